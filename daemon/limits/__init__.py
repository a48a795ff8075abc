"""What callers may ask for and spend: limits, budgets, and the ledger that counts them."""
