"""What can be done with the calendar."""
