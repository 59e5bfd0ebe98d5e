"""Recommendation unlearning by influence functions: the library behind the ifrud daemon."""

import os

# Set before torch and numba load their OpenMP runtimes. Each has its own pool of threads, and by default a waiting
# thread spins for long: next to any other load, a waiting pool takes the cores from the working one (20 to 40 times
# slower). A very short spin, which only GNU's runtime knows, saves waking a thread for the next loop of a solve.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
