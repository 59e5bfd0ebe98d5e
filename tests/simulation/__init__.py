"""A seeded world around the daemon: its store, its streams, its clock, its crashes, other writers and readers.

Everything in a world follows from its seed, so a seed that breaks a promise of `docs/protocol.md` breaks it again.
"""
