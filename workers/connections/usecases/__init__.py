"""What can be done about connections."""
