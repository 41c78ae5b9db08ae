"""Lazy imports of the names of a package (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def lazy(package: dict[str, Any], homes: dict[str, list[str]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make `__getattr__` and `__dir__` of a package.

    Args:
        package: its `globals()`.
        homes: names to import, by module of the package. Modules are attributes in any case.
    """
    home_of = {name: module for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name in home_of:
            package[name] = getattr(import_module(f"{package['__name__']}.{home_of[name]}"), name)
            return package[name]
        if not name.startswith("_") and find_spec(f"{package['__name__']}.{name}"):
            return import_module(f"{package['__name__']}.{name}")
        raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")

    return get, lambda: sorted({*package, *home_of})
