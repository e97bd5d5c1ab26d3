"""What others may ask. Pure."""
