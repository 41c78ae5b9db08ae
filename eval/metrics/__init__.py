"""Distances and quality scores between a reference waveform and a codec's output."""
