"""The migrations, oldest first: `NNNN_what_changes.py` with `revision = "NNNN"`."""
