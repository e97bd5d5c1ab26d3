"""When it does it."""
