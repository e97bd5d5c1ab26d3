"""What scaling does in more than one step."""
