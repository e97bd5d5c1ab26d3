"""What was measured: snapshots by region, kept by day."""
