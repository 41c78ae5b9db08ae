"""Measures of an output and its reference; registry.py has their names."""
