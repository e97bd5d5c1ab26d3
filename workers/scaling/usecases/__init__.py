"""What can be done about capacity."""
