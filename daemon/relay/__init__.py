"""One client request, from its bytes to its last: exchanges with providers under their deadlines."""
