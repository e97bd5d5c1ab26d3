"""Scaling actions, orders, and what is published to gateways."""
