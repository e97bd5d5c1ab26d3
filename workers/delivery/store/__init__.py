"""What is remembered of messages, and how gateways hear of them."""
