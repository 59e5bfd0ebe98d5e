"""Requests one at a time: whether what is left stays the same however many have been answered."""
