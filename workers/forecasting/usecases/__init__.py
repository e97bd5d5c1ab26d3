"""Forecasting every region."""
