"""What is known of each target, and how that changes: pure values, the registry, the history."""
