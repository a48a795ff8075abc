"""What models cost by their providers' price lists: a snapshot that comes with the program."""
