"""Blind listening tests of a run: a page for listeners, a key beside it, scores from their answers."""
