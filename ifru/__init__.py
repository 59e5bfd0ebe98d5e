"""Recommendation unlearning by influence functions: the library behind the ifrud daemon."""
