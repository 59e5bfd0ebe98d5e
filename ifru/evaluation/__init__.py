"""What a model is worth, and how far an update is from a retrained model."""
