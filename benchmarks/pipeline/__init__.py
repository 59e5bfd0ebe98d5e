"""The whole way of a request: a broker, a daemon, a load, and what became of it."""
