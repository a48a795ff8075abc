"""Routing policies compared by simulation: a virtual clock, the same luck for all: docs/routing-benchmark.md."""
