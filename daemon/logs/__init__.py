"""What the daemon tells of itself: one event at a time, as a value, in the shape that its reader takes."""
