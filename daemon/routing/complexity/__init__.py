"""How hard a request is: what is read of it, which signals speak, and the tier that they come to."""
