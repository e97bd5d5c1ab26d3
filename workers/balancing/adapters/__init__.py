"""What we ask of nodes."""
