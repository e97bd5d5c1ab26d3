"""HTTP for machines: health, readiness and metrics."""
