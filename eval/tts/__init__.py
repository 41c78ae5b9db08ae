"""Evaluation of speech models: intelligibility, voice and speed."""
