"""Who may connect, and what they get. Pure."""
