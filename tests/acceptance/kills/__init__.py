"""Real daemons that are killed at every step of a commit, with a real broker and a real bucket.

`python -m tests.acceptance.kills --seeds 20` starts both, and kills at all points. `points` names these.
"""
