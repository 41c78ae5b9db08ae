"""Adapters to the scoreboards of others, a file for each."""
