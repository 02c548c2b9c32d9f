"""Work that leaves the daemon: jobs, the folders they are, and the worker processes that do them."""
