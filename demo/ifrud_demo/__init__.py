"""`ifrud demo`: train a model, run a daemon on a stream of deletions, compare the result with retraining."""
