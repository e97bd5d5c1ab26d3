"""What others ask: commands, taken and done; and requests, answered once a key."""
