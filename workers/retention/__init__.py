"""How long rows are kept that have ended."""
