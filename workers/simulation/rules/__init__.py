"""Imagined worlds, and how a plan would have gone. Pure."""
