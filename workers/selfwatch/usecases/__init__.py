"""What the watch does."""
