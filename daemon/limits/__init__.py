"""Who may use how much: callers, and the limits that hold for them."""
