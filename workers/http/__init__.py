"""HTTP: health, what Prometheus wants, where to connect, measurements."""
