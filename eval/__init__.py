"""Evaluation of codecs and speech models: metrics, systems to compare, runs, reports."""
