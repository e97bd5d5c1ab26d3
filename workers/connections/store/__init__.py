"""The registry, and what is published to gateways."""
