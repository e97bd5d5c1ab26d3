"""Weddings as facts, their phases, and their timeline: what is to happen when, and who does it."""
