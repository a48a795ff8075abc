"""The doors: the sockets that clients come through, and how a connection is served."""
