"""How much of each resource there should be. Pure."""
