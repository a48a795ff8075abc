"""Sorting requests by what they are: each kind has targets that suit it best, and the others stand behind those."""
