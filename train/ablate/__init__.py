"""Ablation studies: train variants with several seeds each, and compare them in a table."""
