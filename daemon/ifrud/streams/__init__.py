"""Streams of events, receipts and dead letters: files and Kafka topics."""
