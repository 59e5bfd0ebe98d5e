"""Log, metrics and status of the daemon, and the port that serves them."""
