"""What would have been: the recorded history through another configuration, by the code that decides."""
