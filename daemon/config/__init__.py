"""The configuration: what the file may say, how it is read, and where everything is."""
