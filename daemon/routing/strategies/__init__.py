"""The strategies: each gives the targets that could take a request a score, the lowest of which is chosen."""
