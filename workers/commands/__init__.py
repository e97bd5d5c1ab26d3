"""What others ask: a row first, sent until it had its effect."""
