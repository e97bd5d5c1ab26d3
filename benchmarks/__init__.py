"""One file a benchmark.

`python -m benchmarks.NAME [--json] [--runs N]`; docs/benchmarks holds what they said.
"""
