"""Measurements: how well and how fast models forget, on real and generated data."""
