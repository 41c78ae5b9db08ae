"""Recordings to random crops, with what is computed of them once and kept beside them."""
