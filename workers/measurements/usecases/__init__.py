"""What can be done with measurements."""
