"""How good and how fast: evaluation, statistics, benchmarks."""
