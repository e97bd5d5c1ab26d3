"""The promised Saturday: a day of 10,000 weddings at once, and its storms."""
