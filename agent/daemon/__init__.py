"""The daemon as a process: its loop, its log, its house-keeping, and how it is started, supervised and ended."""
