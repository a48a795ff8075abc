"""What fairlead costs, and what it survives: measured on the real process, on this machine, on loopback only."""
