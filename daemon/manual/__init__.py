"""The manual pages, made from the parsers, the documents and the history's schema. Not a part of what is installed."""
