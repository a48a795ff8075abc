"""The simulator's world on the wall clock, with the real daemon in front of it: docs/routing-benchmark.md."""
