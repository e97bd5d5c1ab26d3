"""One file a benchmark: `python -m benchmarks.NAME [--json]`."""
