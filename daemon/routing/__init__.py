"""Which target a request goes to, and what comes next after a fault: pure decisions."""
