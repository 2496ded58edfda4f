"""What the benchmarks share: an election on a stack, and running services on it."""
