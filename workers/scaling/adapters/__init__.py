"""What sets a resource on a real system."""
