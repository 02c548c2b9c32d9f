"""What people ask for: each change as a verb, the commands that carry it, and data put in by hand."""
