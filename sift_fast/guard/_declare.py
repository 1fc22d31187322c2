"""Tables of a configuration, declared once: read from it are the loader, the JSON Schema and the reference.

A table is a frozen dataclass whose fields carry a sentence and their bounds in `metadata`, put there by `option`.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from sift_fast.errors import ConfigError

__all__ = ["build", "option", "options", "schema"]

_Table = TypeVar("_Table")


def option(
    default: Any = dataclasses.MISSING,
    doc: str = "",
    *,
    low: float | None = None,
    high: float | None = None,
    factory: Callable[[], Any] | None = None,
) -> Any:
    """One key of a table.

    Args:
        default: its value where the file says nothing; none for a key that must be there.
        doc: what it means, one sentence, with its unit.
        low: the smallest number it may be.
        high: the largest.
        factory: makes the default, for containers.
    """
    metadata = {"doc": doc, "low": low, "high": high}
    if factory is not None:
        return dataclasses.field(default_factory=factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def options(table: type[Any]) -> list[tuple[str, Any, dataclasses.Field[Any]]]:
    """Name, resolved type and field of every key of a table."""
    hints = _hints(table)
    return [(field.name, hints[field.name], field) for field in dataclasses.fields(table) if field.init]


_resolved: dict[type[Any], dict[str, Any]] = {}


def _hints(table: type[Any]) -> dict[str, Any]:
    if table not in _resolved:
        _resolved[table] = typing.get_type_hints(table)
    return _resolved[table]


def build(table: type[_Table], values: Mapping[str, Any], where: str) -> _Table:
    """A table from what a file says.

    Args:
        table: the declared dataclass.
        values: keys and values as TOML gives them.
        where: the table's name, for messages.

    Raises:
        ConfigError: a key is unknown or missing, or a value has the wrong type or is out of bounds. The message
            names the key and never the value.
    """
    known = {name: (hint, field) for name, hint, field in options(table)}
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}: unknown key `{key}`; known are {', '.join(sorted(known))}")
    out: dict[str, Any] = {}
    for name, (hint, field) in known.items():
        if name in values:
            out[name] = _value(hint, values[name], f"{where}: `{name}`", field.metadata)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{where}: `{name}` is missing")
    return table(**out)


# One branch per sort of type: together they are what TOML can say.
def _value(hint: Any, value: Any, where: str, bounds: Mapping[str, Any]) -> Any:  # noqa: C901
    origin = get_origin(hint)
    if origin in {typing.Union, types.UnionType}:
        return _value(next(arm for arm in get_args(hint) if arm is not types.NoneType), value, where, bounds)
    if origin is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"{where} must be one of {', '.join(map(str, get_args(hint)))}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where} must be an array")
        return tuple(_value(get_args(hint)[0], item, where, bounds) for item in value)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a table")
        inner = get_args(hint)[1]
        return {str(key): _value(inner, item, f"{where}.{key}", bounds) for key, item in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a table")
        return build(hint, value, where)
    if hint is Any:
        return value
    return _scalar(hint, value, where, bounds)


def _scalar(hint: Any, value: Any, where: str, bounds: Mapping[str, Any]) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where} must be {_NAMES[hint]}")
    low, high = bounds.get("low"), bounds.get("high")
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    # A comparison with NaN is never true: what is not inside is refused.
    if numeric and ((low is not None and not value >= low) or (high is not None and not value <= high)):
        raise ConfigError(f"{where} must lie between {low} and {high if high is not None else 'any number'}")
    return value


_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}
_JSON_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def schema(table: type[Any]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a table, for editors."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, hint, field in options(table):
        entry = _schema_of(hint, field.metadata)
        if field.metadata.get("doc"):
            entry["description"] = field.metadata["doc"]
        if field.default is not dataclasses.MISSING and field.default is not None:
            entry["default"] = list(field.default) if isinstance(field.default, tuple) else field.default
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            required.append(name)
        properties[name] = entry
    out: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
    if required:
        out["required"] = required
    return out


def _schema_of(hint: Any, bounds: Mapping[str, Any]) -> dict[str, Any]:
    origin = get_origin(hint)
    if origin in {typing.Union, types.UnionType}:
        return _schema_of(next(arm for arm in get_args(hint) if arm is not types.NoneType), bounds)
    if origin is Literal:
        return {"enum": list(get_args(hint))}
    if origin is tuple:
        return {"type": "array", "items": _schema_of(get_args(hint)[0], bounds)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema_of(get_args(hint)[1], bounds)}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return schema(hint)
    if hint is Any:
        return {}
    out: dict[str, Any] = {"type": _JSON_NAMES[hint]}
    if hint in {int, float}:
        if bounds.get("low") is not None:
            out["minimum"] = bounds["low"]
        if bounds.get("high") is not None:
            out["maximum"] = bounds["high"]
    return out
