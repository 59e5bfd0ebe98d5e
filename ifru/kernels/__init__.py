"""Compiled loops (numba, CPU), and the device that a model is computed on."""
