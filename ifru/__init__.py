"""Recommendation unlearning by influence functions: the library behind the ifrud daemon."""

import os

# Set before torch and numba load their OpenMP runtimes. Each has its own pool of threads, and by default a waiting
# thread spins: next to any other load, a waiting pool takes the cores from the working one (20 to 40 times slower).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
