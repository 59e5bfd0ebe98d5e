"""Models that are trained as practised: answers, refinements and many batches beside several retrained models."""
