"""Foreign input by the hundred thousand: `make fuzz`. One module for each surface that takes it."""
