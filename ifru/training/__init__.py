"""Training to a proven optimum."""
