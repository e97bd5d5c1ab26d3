"""What alerts are and what becomes of them. Pure."""
