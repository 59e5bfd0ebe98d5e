"""The influence engine: what one batch of deletions does to a model, and how it is computed."""
