"""Diagonal blocks of the Hessian, their inverses, and the cache that keeps them up to date."""
