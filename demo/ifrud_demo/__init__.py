"""`ifrud demo`: from a data file to a stream of deletions, and to a model that is held against retraining."""
