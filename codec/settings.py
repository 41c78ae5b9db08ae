"""Settings: dataclasses that check themselves, made of the plain values of JSON, YAML and Python."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

DEFAULT = "default"  # names the checkpoint that comes with the package

T = TypeVar("T")


def require(condition: bool, name: str, value: object, expected: str) -> None:
    """The check of a setting; raises ValueError that names it."""
    if not condition:
        raise ValueError(f"{name} = {value!r}: expected {expected}")


def used_fields(config: Any, first: Collection[str]) -> dict[str, Any]:
    """The fields of a config that identify it: those in `first`, and later ones that differ from their default.

    So a new field leaves older configs' identities as they were. Its default must not change afterwards.
    """
    defaults = dataclasses.asdict(type(config)())
    fields = dataclasses.asdict(config)
    return {name: value for name, value in fields.items() if name in first or value != defaults[name]}


def coerce(config: Any) -> None:
    """Give the fields of a dataclass, in place, the types of their hints; for its `__post_init__`.

    Lists become tuples, and mappings dataclasses: of several, as in `A | B`, the one whose `kind` is in the mapping,
    the first if there is none. A whole number may stand for a float, and stays one.

    Raises:
        ValueError: a value cannot be of its type, or is not valid; the message names the field.
    """
    hints = get_type_hints(type(config))
    for field in dataclasses.fields(config):
        setattr(config, field.name, _coerced(hints[field.name], getattr(config, field.name), field.name))


def read(cls: Any, fields: Any, where: str) -> Any:
    """A dataclass, or one of several by `kind`, of a mapping of plain values; absent fields take their defaults.

    Raises:
        ValueError: no mapping, unknown or missing fields, or invalid values; the message begins with `where`.
    """
    if not isinstance(fields, Mapping):
        raise ValueError(f"{where} = {fields!r}: expected settings by name")
    cls = of_kind(cls, fields, where)
    known = {field.name: field for field in dataclasses.fields(cls)}
    if unknown := fields.keys() - known.keys():
        raise ValueError(f"{where}: unknown settings {sorted(unknown)}; known are {', '.join(known)}")
    required = {name for name, field in known.items() if field.default is field.default_factory is dataclasses.MISSING}
    if missing := required - fields.keys():
        raise ValueError(f"{where}: missing settings {sorted(missing)}")
    try:
        return cls(**{name: value for name, value in fields.items() if known[name].init})
    except ValueError as error:
        raise ValueError(f"{where}.{error}") from error


def change(cls: Any, fields: Mapping[str, Any], changes: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Settings of a dataclass, or of one of several by `kind`, with changes to them, in depth.

    Where another `kind` is chosen, what only others have a field for goes, unless it is among the changes.
    """
    chosen = of_kind(cls, {**fields, **changes}, where)
    hints = get_type_hints(chosen)
    left_over = {name for option in _options(cls) for name in get_type_hints(option)} - hints.keys() - changes.keys()
    changed: dict[str, Any] = {}
    for name, before in {**changes, **fields}.items():
        after = changes.get(name, {})
        if isinstance(before, Mapping) and isinstance(after, Mapping) and name in hints:
            changed[name] = change(hints[name], before, after, f"{where}.{name}".lstrip("."))
        elif name not in left_over:
            changed[name] = changes.get(name, before)
    return changed


def of_kind(cls: Any, fields: Mapping[str, Any], where: str) -> Any:
    """`cls` itself, or of several dataclasses the one whose `kind` is that of a mapping.

    Raises:
        ValueError: there is no such kind; the message names those that are.
    """
    if len(_options(cls)) == 1:
        return cls
    kinds = {option.kind: option for option in _options(cls)}
    kind = fields.get("kind", next(iter(kinds)))
    require(kind in kinds, f"{where}.kind", kind, f"one of {', '.join(kinds)}")
    return kinds[kind]


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) is UnionType else (hint,)


def _coerced(hint: Any, value: Any, name: str) -> Any:
    options = _options(hint)
    if any(map(dataclasses.is_dataclass, options)):
        return value if isinstance(value, options) else read(hint, value, name)
    if get_origin(hint) is dict:
        require(isinstance(value, Mapping), name, value, "settings by name")
        return {key: _coerced(get_args(hint)[1], entry, f"{name}.{key}") for key, entry in value.items()}
    value = tuple(value) if isinstance(value, list) else value
    require(
        any(_fits(option, value) for option in options), name, value, hint.__name__ if type(hint) is type else str(hint)
    )
    return value


def _fits(hint: Any, value: Any) -> bool:
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(get_args(hint)[0], item) for item in value)
    if hint is float:
        return type(value) is int or (type(value) is float and math.isfinite(value))
    return type(value) is hint if hint in (int, bool, str) else True
