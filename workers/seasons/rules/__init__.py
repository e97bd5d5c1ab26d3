"""Seasons and kinds of day. Pure."""
