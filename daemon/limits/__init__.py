"""Limits and budgets: who may ask how much, and what may be spent."""
