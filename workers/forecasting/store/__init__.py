"""Forecasts, and what was fitted."""
