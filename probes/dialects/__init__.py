"""What each API family says and means: pure functions from bytes and headers to values."""
