"""Settings: validated dataclasses, read from the plain values of JSON, YAML and Python."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Collection, Mapping
from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

DEFAULT = "default"  # name of the packaged checkpoint
OLD_NAME = "old_name"  # in the metadata of a field: its first name, which is still read and identifies it
_hints: Callable[[Any], dict[str, Any]] = cache(partial(get_type_hints, include_extras=True))
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "null", ...: "..."}


class Range(NamedTuple):
    """What a number may be, beside its type."""

    holds: Callable[[float], bool]
    words: str  # in errors and help


_POSITIVE, _NON_NEGATIVE = Range(lambda x: x > 0, "a positive number"), Range(lambda x: x >= 0, "0 or more")
PositiveInt = Annotated[int, _POSITIVE]
PositiveFloat = Annotated[float, _POSITIVE]
NonNegativeInt = Annotated[int, _NON_NEGATIVE]
NonNegativeFloat = Annotated[float, _NON_NEGATIVE]
AtLeast1 = Annotated[int, Range(lambda x: x >= 1, "at least 1")]
AtLeast2 = Annotated[int, Range(lambda x: x >= 2, "at least 2")]
Seconds = Annotated[float, Range(lambda x: x > 0, "seconds above 0")]
PositiveShare = Annotated[float, Range(lambda x: 0 < x <= 1, "a number in (0, 1]")]
Share = Annotated[float, Range(lambda x: 0 <= x <= 1, "a number in [0, 1]")]
Probability = Annotated[float, Range(lambda x: 0 <= x <= 1, "a probability")]
BelowOne = Annotated[float, Range(lambda x: 0 <= x < 1, "a number in [0, 1)")]


class Settings:
    """Base of dataclasses whose fields are converted to their types and checked against their ranges.

    Raises:
        ValueError: a value of the wrong type, or out of range; the message names the field.
    """

    def __post_init__(self) -> None:
        coerce(self)


def require(condition: bool, name: str, value: object, expected: str) -> None:
    """Check a setting; raises a ValueError that names it."""
    if not condition:
        raise ValueError(f"{name} = {value!r}: expected {expected}")


def used_fields(config: Any, first: Collection[str]) -> dict[str, Any]:
    """Fields that identify a config: those in `first`, and others that differ from their default.

    So a new field does not change the identity of older configs. Its default must never change. A renamed
    field keeps its `OLD_NAME`.
    """
    defaults, values = dataclasses.asdict(type(config)()), dataclasses.asdict(config)
    used = [f for f in dataclasses.fields(config) if f.name in first or values[f.name] != defaults[f.name]]
    return {field.metadata.get(OLD_NAME, field.name): values[field.name] for field in used}


def read(cls: Any, fields: Any, where: str = "") -> Any:
    """Make a dataclass, or one of several by `kind`, from a mapping of plain values; absent fields take their defaults.

    The dataclass checks the values, by `coerce`.

    Raises:
        ValueError: no mapping, unknown or missing fields, or invalid values; the message starts with the path of the
            field, from `where`.
    """
    if not isinstance(fields, Mapping):
        raise ValueError(f"{where or 'settings'} = {fields!r}: expected settings by name")
    cls = select_kind(cls, fields, where)
    known = {field.name: field for field in dataclasses.fields(cls)}
    new_names = {f.metadata[OLD_NAME]: name for name, f in known.items() if OLD_NAME in f.metadata}
    fields = {new_names.get(name, name): value for name, value in fields.items()}
    for name in fields:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {_join(where, near[0])}?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"{_join(where, name)}: no such setting; {hint}")
    for name, field in known.items():
        if name not in fields and field.init and field.default is field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{_join(where, name)}: has no value; give it one")
    try:
        return cls(**{name: value for name, value in fields.items() if known[name].init})
    except ValueError as error:
        raise ValueError(_join(where, error)) from error


def coerce(config: Any) -> None:
    """Convert the fields of a dataclass, in place, to the types of their hints, and check them against their ranges.

    Converts between lists and tuples, and mappings to dataclasses: of a union `A | B`, the one whose `kind` is in the
    mapping, else the first. An integer is accepted as a float and stays an integer.

    Raises:
        ValueError: a value of the wrong type, or an invalid one; the message names the field.
    """
    hints = _hints(type(config))
    for field in dataclasses.fields(config):
        value = _coerced(hints[field.name], getattr(config, field.name), field.name)
        object.__setattr__(config, field.name, value)  # for frozen dataclasses


def change(cls: Any, fields: Mapping[str, Any], changes: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Apply nested changes to the settings of a dataclass, or of one of several by `kind`.

    If the `kind` changes, settings that only other kinds have are dropped, unless they are among the changes.
    """
    chosen = select_kind(cls, {**fields, **changes}, where)
    hints = _hints(chosen)
    left_over = {name for option in _options(cls) for name in _hints(option)} - hints.keys() - changes.keys()
    changed: dict[str, Any] = {}
    for name, before in {**changes, **fields}.items():
        after = changes.get(name, {})
        if isinstance(before, Mapping) and isinstance(after, Mapping) and name in hints:
            changed[name] = change(hints[name], before, after, _join(where, name))
        elif name not in left_over:
            changed[name] = changes.get(name, before)
    return changed


def select_kind(cls: Any, fields: Mapping[str, Any], where: str) -> Any:
    """Select the dataclass of a union by `kind` in a mapping; a single dataclass is returned as it is.

    Raises:
        ValueError: no such kind; the message lists them.
    """
    if len(_options(cls)) == 1:
        return cls
    kinds = {option.kind: option for option in _options(cls)}
    kind = fields.get("kind", next(iter(kinds)))
    require(kind in kinds, _join(where, "kind"), kind, f"one of {', '.join(kinds)}")
    return kinds[kind]


def _join(where: str, name: object) -> str:
    return f"{where}.{name}" if where else str(name)


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _coerced(hint: Any, value: Any, path: str) -> Any:
    if get_origin(hint) is Annotated:
        value, limit = _coerced(hint.__origin__, value, path), hint.__metadata__[0]
        require(limit.holds(value), path, value, limit.words)
        return value
    options = _options(hint)
    if all(map(dataclasses.is_dataclass, options)):
        return value if isinstance(value, options) else read(hint, value, path)
    for option in options:
        kind, args = get_origin(option) or option, get_args(option)
        if kind is dict and isinstance(value, Mapping):
            return {_coerced(args[0], k, path): _coerced(args[1], v, _join(path, k)) for k, v in value.items()}
        if kind in (list, tuple) and isinstance(value, list | tuple):
            hints = args if kind is tuple and args[-1] is not ... else args[:1] * len(value)
            if len(hints) == len(value):
                items = zip(hints, value, strict=True)
                return kind(_coerced(inner, item, f"{path}[{i}]") for i, (inner, item) in enumerate(items))
        if kind is float and type(value) is float:
            require(math.isfinite(value), path, value, "a finite number")
        is_number = kind is float and type(value) is int
        if is_number or (kind is Literal and value in args) or (not args and type(value) is kind):
            return value
    raise ValueError(f"{path} = {value!r}: expected {' or '.join(map(_expected, options))}")


def _expected(hint: Any) -> str:
    kind, args = get_origin(hint), get_args(hint)
    if kind is Literal:
        return " or ".join(filter(None, [", ".join(args[:-1]), args[-1]]))
    if kind in (list, tuple):
        return f"a list [{', '.join(map(_expected, args if kind is tuple else (*args, ...)))}]"
    return "settings by name" if kind is dict else _WORDS[hint]
