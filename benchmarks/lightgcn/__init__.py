"""LightGCN: what updates leave where rows are passed along a graph, which a deletion changes, beside retraining."""
