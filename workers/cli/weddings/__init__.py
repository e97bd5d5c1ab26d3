"""`wedops weddings`."""
