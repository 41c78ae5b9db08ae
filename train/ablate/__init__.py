"""Ablations: variants of one training, each with several seeds, and a table that says which is best."""
