"""Structured values: JSON Schema (a subset that is checked whole), paths, and the text a value is read as."""

from __future__ import annotations

import functools
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sift_fast.errors import ConfigError, LimitExceeded
from sift_fast.guard._pattern import Pattern

__all__ = [
    "Schema",
    "digits_of",
    "drop_fields",
    "edited",
    "ends_only",
    "has_fields",
    "leaves",
    "names_only",
    "plain",
    "render",
    "rough_size",
    "spoken",
]

_MAX_DEPTH = 64
_MAX_LEAVES = 20_000
_LONG_PATH = 60
_WORD = re.compile(r"\w+")
_HOLDS = (Mapping, list, tuple)
#: Names up to this many characters say nothing to a model.
_SHORT = 7
#: Numbers that are read as texts: of more digits than a count has, and fewer than nobody's has.
_LEAST_NUMBER, _MOST_NUMBER = 10**7, 10**100
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
                compiled(value)
            except (ValueError, TypeError) as error:
                why = f": {error}" if isinstance(error, ValueError) else " of text"
                raise ConfigError(f"{where}: `pattern` is no regular expression that is supported{why}") from None


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
    if "pattern" in schema and not compiled(schema["pattern"]).found(value):
        return f"{here}: pattern"
    return None


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str) -> Pattern:
    """A pattern of JSON Schema, ready to be searched for.

    Raises:
        TypeError: it is no string.
        ValueError: it is no regular expression, or one that is not supported.
    """
    return Pattern(ends_only(pattern))


def ends_only(pattern: str) -> str:
    r"""A pattern of JSON Schema, whose `$` is the end, for `re`, whose `$` also stands before a last line feed.

    Args:
        pattern: a regular expression as ECMA-262 has them.

    Raises:
        TypeError: it is no string.

    Example:
        >>> print(ends_only(r"^[a-z$]+\$?$"))
        ^[a-z$]+\$?\Z
    """
    out, at, inside = [], 0, False
    while at < len(pattern):
        one = pattern[at]
        if one == "\\":
            out.append(pattern[at : at + 2])
            at += 2
            continue
        if one == "[" and not inside:
            # Directly behind the bracket another one, or `$`, is a character like any.
            head = re.match(r"\[\^?\]?", pattern[at:])
            out.append(head.group() if head else one)
            at += len(out[-1])
            inside = True
            continue
        inside = inside and one != "]"
        out.append(r"\Z" if one == "$" and not inside else one)
        at += 1
    return "".join(out)


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


def render(value: Any) -> str:
    """A document as the text that rules read: a line for each value, after the name it has. Names of what says nothing
    itself (containers, null, true, false) are lines of their own: a model reads them all the same.
    """
    if isinstance(value, str):
        return value
    lines = []
    for path, name, item in leaves(value):
        # Something may hide in the names of a long path: then all of it is read.
        label = path if len(path) > _LONG_PATH else name
        if item is None or isinstance(item, bool):
            if label and len(label) > _SHORT:
                lines.append(label)
        else:
            lines.append(f"{label}: {item}" if label else str(item))
    return "\n".join([*dict.fromkeys(_names(value)), *lines])


def _names(value: Any) -> Iterator[str]:
    """Names of the containers in a document, those that are long enough to say something."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            yield from (
                str(name) for name, inner in item.items() if isinstance(inner, _HOLDS) and len(str(name)) > _SHORT
            )
            waiting += item.values()
        elif isinstance(item, list | tuple):
            waiting += item


def plain(value: Any) -> Any:
    """A copy of a document that nobody else holds, in the types that JSON has: what is read is what goes on.

    Raises:
        LimitExceeded: it is deeper or larger than is read.
        TypeError: there is something in it that JSON does not have.
    """
    return _plain(value, 0, itertools.count())


def _plain(value: Any, depth: int, count: Iterator[int]) -> Any:
    if depth > _MAX_DEPTH or next(count) > _MAX_LEAVES:
        raise LimitExceeded(f"a document has more than {_MAX_DEPTH} levels or {_MAX_LEAVES} values")
    if isinstance(value, Mapping):
        # What a class of its own says of its items need not be what it holds.
        items = dict.items(value) if isinstance(value, dict) else value.items()
        return {_plain_leaf(name): _plain(inner, depth + 1, count) for name, inner in items}
    if isinstance(value, list):
        return [_plain(inner, depth + 1, count) for inner in list.__iter__(value)]
    if isinstance(value, tuple):
        return tuple(_plain(inner, depth + 1, count) for inner in tuple.__iter__(value))
    return _plain_leaf(value)


def _plain_leaf(value: Any) -> Any:
    # What a class of its own makes of itself may be something else the next time.
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    raise TypeError("a document holds something that JSON does not have")


def digits_of(value: Any) -> str | None:
    """The digits of a number that is long enough to be somebody's, of a card or an account; None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    size = abs(value)
    # Also not for what is no number at all.
    if not _LEAST_NUMBER <= size < _MOST_NUMBER or size != int(size):
        return None
    return str(int(size))


def spoken(metadata: Mapping[str, Any], but: Sequence[str]) -> dict[str, Any]:
    """The strings of metadata that are long enough to say something to a model that is shown them, and their names;
    numbers that may be somebody's by their digits.

    Args:
        metadata: of a document; it may hold values that JSON does not have.
        but: keys that are left out.
    """
    out: dict[str, Any] = {}
    for number, (key, value) in enumerate(metadata.items()):
        if key in but:
            continue
        said = _spoken(value, 0)
        if said is not None:
            out[str(key)] = said
        elif len(str(key)) > _SHORT:
            out[str(key)] = None
        if number > _MAX_LEAVES:
            raise LimitExceeded(f"metadata has more than {_MAX_LEAVES} values")
    return out


def _spoken(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise LimitExceeded(f"metadata has more than {_MAX_DEPTH} levels")
    if isinstance(value, str):
        return value if len(value) > _SHORT else None
    if isinstance(value, Mapping):
        return {str(key): _spoken(inner, depth + 1) for key, inner in value.items()} or None
    if isinstance(value, list | tuple | set | frozenset):
        return [said for inner in value if (said := _spoken(inner, depth + 1)) is not None] or None
    return digits_of(value)


def edited(value: Any, edit: Callable[[str], str]) -> Any:
    """A document with every string edited, and every number that may be somebody's: one that changes becomes a string.
    What JSON does not have stays.
    """
    if isinstance(value, str):
        return edit(value)
    digits = digits_of(value)
    if digits is not None:
        said = edit(digits)
        return value if said == digits else said
    if isinstance(value, Mapping):
        return {key: edited(inner, edit) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [edited(inner, edit) for inner in value]
    if isinstance(value, set | frozenset):
        return {edited(inner, edit) for inner in value}
    return value


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
    """A document without some fields, and how many were removed.

    Args:
        value: the document.
        fields: their names, `customer.email`: removed wherever they stand, at any depth, in any case.
    """
    wanted = [tuple(field.casefold().split(".")) for field in fields]
    removed = 0

    def walk(item: Any, path: tuple[str, ...]) -> Any:
        nonlocal removed
        if isinstance(item, list | tuple):
            return [walk(inner, path) for inner in item]
        if not isinstance(item, Mapping):
            return item
        out = {}
        for name, inner in item.items():
            here = (*path, *str(name).casefold().split("."))
            if any(here[-len(parts) :] == parts for parts in wanted):
                removed += 1
            else:
                out[name] = walk(inner, here)
        return out

    return (walk(value, ()) if wanted else value), removed


def has_fields(value: Any, fields: Sequence[str]) -> bool:
    """Whether a result has names from which it could be told where fields are that somebody must not see.

    Args:
        value: the result, as it came.
        fields: those that are to be removed.

    Returns:
        False where they may stand in what has no names: in text, in numbers of a list, in JSON within a string, or in
        a string that speaks of one.
    """
    if isinstance(value, Mapping) and list(value) == ["result"]:
        # Servers wrap so what has no names of its own.
        value = value["result"]
    if not isinstance(value, _HOLDS):
        return False
    if value and not any(isinstance(item, Mapping) for item in _containers(value)):
        return False
    names = {field.rpartition(".")[2].casefold() for field in fields}
    left = [item for _, _, item in leaves(drop_fields(value, fields)[0]) if isinstance(item, str)]
    return not any(_is_encoded(text) or not names.isdisjoint(_WORD.findall(text.casefold())) for text in left)


def _containers(value: Any) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, _HOLDS):
            yield item
            waiting += item.values() if isinstance(item, Mapping) else item


def _is_encoded(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def names_only(value: Any, field: str, wanted: str) -> bool:
    """Whether a field holds one value wherever it stands, and stands wherever there is something.

    Args:
        value: a document.
        field: `row.tenant`: in every item on the way to it; its last name alone may hold nothing else anywhere.
        wanted: the value.
    """
    parts = field.split(".")
    name, stands = parts[-1].casefold(), False
    for item in _containers(value):
        for key, inner in item.items() if isinstance(item, Mapping) else ():
            if str(key).casefold() == name:
                if not _is_value(inner, wanted):
                    return False
                stands = True
    if stands:
        return _stands(value, parts)
    # Nothing is there of which it could be said whose it is.
    return isinstance(value, _HOLDS) and not any(item and item is not True for _, _, item in leaves(value))


def _is_value(value: Any, wanted: str) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(item == wanted for item in value)
    return isinstance(value, str) and value == wanted


def _stands(value: Any, parts: Sequence[str]) -> bool:
    if not parts:
        return True
    if isinstance(value, list | tuple):
        return all(_stands(item, parts) for item in value)
    return isinstance(value, Mapping) and parts[0] in value and _stands(value[parts[0]], parts[1:])
