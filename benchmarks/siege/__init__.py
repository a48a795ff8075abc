"""Whether the daemon keeps serving others while it is attacked: `make siege`."""
