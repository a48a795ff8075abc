"""The history: one SQLite file, written by the recorder alone, read by everyone."""
