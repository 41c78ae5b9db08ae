"""Probes of codes: what they say of text and sounds, what bits they carry, how stable they are."""
