"""Load and micro benchmarks, beside the peers and the floor. Run with ``python -m benchmarks``."""
