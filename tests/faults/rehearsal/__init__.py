"""A worker package whose handlers misbehave on request; `python -m rehearsal JOB_DIR` with tests/faults on the path."""
