"""What the daemon shows of itself: log, metrics, status, and the port that serves them."""
