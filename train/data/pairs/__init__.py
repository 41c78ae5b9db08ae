"""Preference pairs: sampling, ranking, and the dataset."""
