"""What is told about the state, as plain JSON values: the reads behind the command line."""
