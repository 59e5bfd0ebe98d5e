"""Requests on their way through the daemon, from the envelope to the receipt."""
