"""What a command carries, and what became of it."""
