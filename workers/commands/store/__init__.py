"""What the room remembers: requests, and answers under their keys."""
