"""The steps of a cycle, one file each: a function from persisted records to persisted records.

A step is called again and again until it moves the cycle on. It may be killed at any point: what it asks of a worker
is a job that is done once, and what it writes goes into one transaction together with the cycle's new state.
"""
