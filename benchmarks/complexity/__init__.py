"""How well a tier is told from a request alone, against lists of words."""
