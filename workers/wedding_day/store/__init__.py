"""What is remembered of wedding days: looks, reports, how each goes on, what was learned."""
