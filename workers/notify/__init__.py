"""Who is notified, by what channel."""
