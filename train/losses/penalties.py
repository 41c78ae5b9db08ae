"""Penalties of the quantizer on latents; each kind of quantizer has its own."""

from __future__ import annotations

from train.losses.terms import Setup, Term


def make(setup: Setup) -> Term:
    return Term(setup.config.quantizer.penalties, lambda x: x.output.quantized.penalties)
