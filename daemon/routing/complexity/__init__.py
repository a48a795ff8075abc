"""How much of a model a request needs, read from the request alone."""
