"""Evaluation of speech models: what they say against what they were to say, in whose voice, and how fast."""
