"""Compiled loops (numba, CPU), and the one place that decides whether they run."""
