"""Answers when nobody answers: the last good one to the same question, or a text that says so."""
