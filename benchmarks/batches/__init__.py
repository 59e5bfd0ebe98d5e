"""One combined batch of requests against as many single ones."""
