"""cld's deciding half: the daemon, its store, planner, history, CLI. Imports monitors and learners, never torch."""
