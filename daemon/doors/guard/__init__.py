"""What guards the doors: how many may be there, how long each may take, and what is no request at all."""
