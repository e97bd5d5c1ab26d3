"""Granting on real servers."""
