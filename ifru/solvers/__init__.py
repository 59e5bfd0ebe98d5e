"""Conjugate gradients, the Schur complement, and Newton steps in a trust region."""
