"""Measurements: how well and how fast models forget, on real and generated data."""

# First of all imports: it settles how the threads of compiled loops wait, before torch starts any.
import ifru as ifru
