"""Preference pairs: made by sampling and ranking, and read to train on."""
