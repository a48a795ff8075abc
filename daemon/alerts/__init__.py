"""What an operator must hear of at once: nobody answers, too much falls back, a key stopped working."""
