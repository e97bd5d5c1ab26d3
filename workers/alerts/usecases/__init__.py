"""What can be done about alerts."""
