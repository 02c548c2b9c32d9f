"""Tasks of lm-evaluation-harness as suites: its own tasks and scores, asked of our engines."""
