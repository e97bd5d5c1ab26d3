"""Scaling actions, orders, and what gateways are told."""
