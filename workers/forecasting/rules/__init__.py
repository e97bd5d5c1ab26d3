"""What is to be expected of a region's load. Pure."""
