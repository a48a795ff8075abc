"""Making a recorded choice again, from what it was made from, with the code that makes choices."""
