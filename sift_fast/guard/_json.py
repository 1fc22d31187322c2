"""Structured values: JSON Schema (a subset that is checked whole), paths, and the text a value is read as."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sift_fast.errors import ConfigError, LimitExceeded

__all__ = ["Schema", "drop_fields", "leaves", "named", "plain", "render", "rough_size"]

_MAX_DEPTH = 64
_MAX_LEAVES = 20_000
_LONG_PATH = 60
#: Names up to this many characters say nothing.
_SHORT = 7
#: Characters that a number or another small value takes, about.
_NUMBER = 8

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "object": (Mapping,),
    "array": (list, tuple),
    "null": (type(None),),
}
_KNOWN = {
    "type", "enum", "const", "properties", "required", "additionalProperties", "items", "minItems", "maxItems",
    "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "anyOf",
    "allOf", "title", "description", "default", "examples", "$schema", "$id", "format",
}  # fmt: skip


class Schema:
    """A JSON Schema that is understood whole: an unknown keyword is an error, never a check that is left out.

    `format` says something to people and nothing is checked by it, as the standard has it.

    Args:
        document: the schema.
        where: names it in messages.

    Raises:
        ConfigError: it has a keyword that is not supported, or one with a wrong value.

    Example:
        >>> Schema({"type": "object", "required": ["total"]}, "answer").error({"sum": 1})
        '/: required'
    """

    __slots__ = ("_document",)

    def __init__(self, document: Mapping[str, Any], where: str) -> None:
        _check(document, where, 0)
        self._document = document

    def error(self, value: Any) -> str | None:
        """Where a value does not fit, and by which keyword; None if it fits. Never shows the value."""
        return _fit(self._document, value, "", 0)


# One branch per keyword that holds schemas.
def _check(document: Any, where: str, depth: int) -> None:  # noqa: C901
    if isinstance(document, bool):
        return
    if not isinstance(document, Mapping) or depth > _MAX_DEPTH:
        raise ConfigError(f"{where}: a schema must be a table of at most {_MAX_DEPTH} levels")
    for key, value in document.items():
        if key not in _KNOWN:
            raise ConfigError(f"{where}: the schema keyword `{key}` is not supported")
        if key == "type" and any(name not in _TYPES for name in ([value] if isinstance(value, str) else value)):
            raise ConfigError(f"{where}: `type` names no type of JSON")
        if key == "properties":
            for name, inner in value.items():
                _check(inner, f"{where}.{name}", depth + 1)
        elif key in {"items", "additionalProperties"}:
            _check(value, where, depth + 1)
        elif key in {"anyOf", "allOf"}:
            for inner in value:
                _check(inner, where, depth + 1)
        elif key == "pattern":
            try:
                _pattern(value)
            except (re.error, TypeError):
                raise ConfigError(f"{where}: `pattern` is no regular expression") from None


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if isinstance(value, float) and name == "integer":
        return value.is_integer()
    return isinstance(value, _TYPES[name])


# One branch per keyword: together they are the standard's table.
def _fit(schema: Any, value: Any, path: str, depth: int) -> str | None:  # noqa: C901, PLR0912
    here = path or "/"
    if isinstance(schema, bool):
        return None if schema else f"{here}: not allowed"
    if depth > _MAX_DEPTH:
        return f"{here}: too deep"
    wanted = schema.get("type")
    if wanted is not None and not any(_is(value, name) for name in ([wanted] if isinstance(wanted, str) else wanted)):
        return f"{here}: type"
    if "enum" in schema and not any(_same(value, item) for item in schema["enum"]):
        return f"{here}: enum"
    if "const" in schema and not _same(value, schema["const"]):
        return f"{here}: const"
    for inner in schema.get("allOf", ()):
        if (wrong := _fit(inner, value, path, depth + 1)) is not None:
            return wrong
    if "anyOf" in schema and all(_fit(inner, value, path, depth + 1) is not None for inner in schema["anyOf"]):
        return f"{here}: anyOf"
    if isinstance(value, str):
        return _fit_text(schema, value, here)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _fit_number(schema, value, here)
    if isinstance(value, list | tuple):
        if len(value) < schema.get("minItems", 0) or len(value) > schema.get("maxItems", len(value)):
            return f"{here}: number of items"
        if "items" in schema:
            for number, item in enumerate(value):
                if (wrong := _fit(schema["items"], item, f"{path}/{number}", depth + 1)) is not None:
                    return wrong
    if isinstance(value, Mapping):
        properties = schema.get("properties", {})
        if any(name not in value for name in schema.get("required", ())):
            return f"{here}: required"
        rest = schema.get("additionalProperties", True)
        for name, item in value.items():
            inner = properties.get(name, rest)
            # Names of unknown fields are content.
            shown = f"{path}/{name}" if name in properties else f"{path}/*"
            if (wrong := _fit(inner, item, shown, depth + 1)) is not None:
                return wrong
    return None


def _fit_text(schema: Mapping[str, Any], value: str, here: str) -> str | None:
    if len(value) < schema.get("minLength", 0) or len(value) > schema.get("maxLength", len(value)):
        return f"{here}: length"
    if "pattern" in schema and _pattern(schema["pattern"]).search(value) is None:
        return f"{here}: pattern"
    return None


@functools.lru_cache(maxsize=1_000)
def _pattern(given: str) -> re.Pattern[str]:
    """A pattern in which `$` is the end, as in ECMA-262, which JSON Schema refers to: Python lets a line end follow."""
    in_class = False
    out = []
    for piece in re.findall(r"\\.|[^\\]|\\", given, re.DOTALL):
        in_class = (in_class or piece == "[") and piece != "]"
        out.append(r"\Z" if piece == "$" and not in_class else piece)
    return re.compile("".join(out))


def _fit_number(schema: Mapping[str, Any], value: float, here: str) -> str | None:
    if not math.isfinite(value):
        return f"{here}: not a number of JSON"
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    if not (low <= value <= high and above < value < below):
        return f"{here}: range"
    return None


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def leaves(value: Any) -> Iterator[tuple[str, str | None, Any]]:
    """Path, nearest name, and value of everything in a document that holds nothing.

    Raises:
        LimitExceeded: it is deeper or larger than is read.
        TypeError: there is something in it that JSON does not have.
    """
    count = 0
    stack: list[tuple[str, str | None, Any, int]] = [("", None, value, 0)]
    while stack:
        path, name, item, depth = stack.pop()
        count += 1
        if depth > _MAX_DEPTH or count > _MAX_LEAVES:
            raise LimitExceeded(f"a document has more than {_MAX_DEPTH} levels or {_MAX_LEAVES} values")
        if isinstance(item, Mapping):
            stack += [(f"{path}/{key}", str(key), inner, depth + 1) for key, inner in reversed(list(item.items()))]
        elif isinstance(item, list | tuple):
            stack += [(f"{path}/{number}", name, item[number], depth + 1) for number in range(len(item) - 1, -1, -1)]
        elif item is None or isinstance(item, str | int | float):
            yield path, name, item
        else:
            raise TypeError("a document holds something that JSON does not have")


def plain(value: Any, depth: int = 0) -> Any:
    """A copy in containers of Python's own: nobody else holds it, and none of it says one thing now and another later.

    Raises:
        LimitExceeded: it is deeper than is read.
    """
    if depth > _MAX_DEPTH:
        raise LimitExceeded(f"a document has more than {_MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {key: plain(inner, depth + 1) for key, inner in dict.items(value)}
    if isinstance(value, Mapping):
        return {key: plain(value[key], depth + 1) for key in value}
    if isinstance(value, list):
        return [plain(inner, depth + 1) for inner in list.__iter__(value)]
    if isinstance(value, tuple):
        return tuple(plain(inner, depth + 1) for inner in tuple.__iter__(value))
    return value


def named(value: Any, name: str) -> Iterator[Any]:
    """All that stands in a document under a name, in any spelling of its case."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            for key, inner in item.items():
                if str(key).casefold() == name:
                    yield inner
                waiting.append(inner)
        elif isinstance(item, list | tuple):
            waiting += item


def render(value: Any) -> str:
    """A document as the text that rules read: a line for each value, after the name it has, and for each other name."""
    if isinstance(value, str):
        return value
    lines = []
    for path, name, item in leaves(value):
        if item is not None and not isinstance(item, bool):
            # Something may hide in the names of a long path: then all of it is read.
            label = path if len(path) > _LONG_PATH else name
            lines.append(f"{label}: {item}" if label else str(item))
    return "\n".join([*lines, *_names(value)])


def _names(value: Any) -> Iterable[str]:
    """Names of what has no text of its own: a model reads them all the same."""
    found: dict[str, None] = {}
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            for key, inner in item.items():
                if isinstance(inner, str | int | float) and not isinstance(inner, bool) and inner != "":
                    continue
                if len(str(key)) > _SHORT:
                    found[str(key)] = None
                waiting.append(inner)
        elif isinstance(item, list | tuple):
            waiting += item
    return found


def rough_size(value: Any, most: int) -> int:
    """About how many characters there are to read, counted no further than just beyond `most`."""
    if isinstance(value, str):
        return len(value)
    size, waiting = 0, [value]
    while waiting and size <= most:
        item = waiting.pop()
        if isinstance(item, str):
            size += len(item)
        elif isinstance(item, Mapping):
            size += sum(len(name) for name in item if isinstance(name, str))
            waiting += item.values()
        elif isinstance(item, list | tuple):
            # What is not looked at any more counts as one each.
            waiting += item[:most]
            size += len(item)
        else:
            size += _NUMBER
    return size


def drop_fields(value: Any, fields: Sequence[str]) -> tuple[Any, int]:
    """A document without some fields, `customer.email`, wherever such a path stands, in any spelling of its case; and
    how many were removed.
    """
    paths = [field.casefold().split(".") for field in fields]
    removed = 0

    def walk(item: Any, begun: list[list[str]]) -> Any:
        nonlocal removed
        if isinstance(item, list | tuple):
            return [walk(inner, begun) for inner in item]
        if not isinstance(item, Mapping):
            return item
        out = {}
        for key, inner in item.items():
            # A path may begin at every name.
            further = [path[1:] for path in (*begun, *paths) if path[0] == str(key).casefold()]
            if any(not path for path in further):
                removed += 1
            else:
                out[key] = walk(inner, further)
        return out

    return walk(value, []), removed
