"""Frozen parts of a network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def freeze(network: nn.Module, names: Sequence[str]) -> None:
    """Freeze modules and all their submodules: their parameters get no gradients.

    Whatever learns without gradients, such as a codebook, must check `is_frozen`.

    Args:
        network: contains the modules.
        names: dotted, such as `decoder.stack.layers.0`; `encoder` also means an attribute `_encoder`.

    Raises:
        ValueError: no such module, or nothing is left to train; the message lists the modules.
    """
    for name in names:
        for module in _find(network, name).requires_grad_(False).modules():
            module.__dict__["frozen"] = True
    if names and not any(p.requires_grad for p in network.parameters()):
        raise ValueError(f"trainer.freeze = {list(names)}: nothing of {_parts(network)} is left to train; freeze less")


def is_frozen(module: nn.Module) -> bool:
    """Whether `freeze` has frozen this module, or one that contains it."""
    return "frozen" in module.__dict__


def _find(network: nn.Module, name: str) -> nn.Module:
    module, path = network, ""
    for part in name.split("."):
        children = dict(module.named_children())
        found = children.get(part, children.get(f"_{part}"))
        if found is None:
            where = path or "the network"
            raise ValueError(f"trainer.freeze: no {name!r}; the parts of {where} are {_parts(module) or 'none'}")
        module, path = found, f"{path}.{part}" if path else part
    return module


def _parts(module: nn.Module) -> str:
    return ", ".join(name.removeprefix("_") for name, _ in module.named_children())
