"""The hands: configuration, routing, faces, process and command line."""
