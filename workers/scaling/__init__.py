"""How much of what each region should have, and seeing to it."""
