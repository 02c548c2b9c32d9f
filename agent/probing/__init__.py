"""Versions measured outside of a cycle: sweeps, profiles, and suites in disguise."""
