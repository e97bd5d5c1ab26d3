"""What people and services can do about an emergency."""
