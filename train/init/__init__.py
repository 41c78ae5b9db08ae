"""Initial weights, and frozen ones."""
