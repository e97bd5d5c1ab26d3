"""The registry, and what gateways are told."""
