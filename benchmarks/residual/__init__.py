"""What an update says of itself, against the truth: the residual influence, and the proven bound."""
