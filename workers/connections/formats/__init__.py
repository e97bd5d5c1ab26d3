"""What comes in and goes out as text: permits, and commands."""
