"""What we remember of alerts."""
