"""How long a target takes, and how often it fails: what is believed of it, as values that evidence moves."""
