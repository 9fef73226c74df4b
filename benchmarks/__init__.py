"""Speed and agreement with peers, measured; run with ``python -m benchmarks``."""
