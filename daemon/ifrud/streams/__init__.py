"""Streams of events and answers: files and Kafka topics."""
