"""What each server knows of roles, and what is granted there."""
