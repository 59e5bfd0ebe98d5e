"""Every kind of model, side by side: what its updates leave, how well it ranks, and what retraining takes."""
