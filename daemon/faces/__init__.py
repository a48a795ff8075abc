"""The HTTP surfaces: what clients and operators see."""
