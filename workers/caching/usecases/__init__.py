"""What can be asked of the cache, and what keeps it right and warm."""
