"""How long rows are kept that are over."""
