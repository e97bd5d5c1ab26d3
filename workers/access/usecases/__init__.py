"""Granting, and saying what is wider than needed."""
