"""Measuring codecs: metrics, systems to compare, and the runs that make tables."""
