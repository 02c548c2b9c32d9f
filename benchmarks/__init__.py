"""Benchmarks: `python -m benchmarks.NAME`; each stores its results, goes on where it stopped, and prints one table."""
