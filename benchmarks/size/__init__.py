"""The same batch on data of all sizes: what grows with the data, and what does not."""
