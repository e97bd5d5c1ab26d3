"""`wedops scaling`."""
