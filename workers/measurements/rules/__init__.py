"""What a measurement is, and what it says. Pure."""
