"""What can be done with urgent messages."""
