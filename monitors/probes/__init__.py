"""Probes: evaluation items, the suites they come in and the scorers that judge their answers. Imports no torch."""
