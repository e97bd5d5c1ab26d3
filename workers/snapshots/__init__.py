"""Connections by region, as they were at a moment."""
