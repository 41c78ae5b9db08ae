"""Recordings as codes: shards of them, their alignment with text, and sequences for a voice model to train on."""
