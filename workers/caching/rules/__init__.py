"""What may be cached and for how long, what an eviction takes, what a warm-up is worth."""
