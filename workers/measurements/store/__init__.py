"""Measurements, their sums and their events."""
