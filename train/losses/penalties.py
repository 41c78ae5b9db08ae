"""What the quantizer itself asks of latents; which penalties there are is a matter of its kind."""

from __future__ import annotations

from train.losses.terms import Setup, Term


def make(setup: Setup) -> Term:
    return Term(setup.config.quantizer.penalties, lambda x: x.output.quantized.penalties)
