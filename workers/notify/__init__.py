"""Who is told, by what channel."""
