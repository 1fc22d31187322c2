"""JSON documents, as text or containers: a walk hands out each text with what names it and puts all together again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, final

from sift_fast import _core
from sift_fast.errors import ConfigError, LimitExceeded
from sift_fast.redact import JsonItem, JsonRedaction, Operators, _is_writable
from sift_fast.types import IncompleteName

if TYPE_CHECKING:
    import re

__all__ = ["redact_json", "restore_json"]

# Containers in one another, and JSON in strings in JSON. Tool calls nest twice; whoever nests deeper hides something.
_MAX_DEPTH = 200
_MAX_ENCODED = 8

_NAME_CHARACTERS = 256
# An integer with more digits than this is none that a rule looks for.
_NUMBER_DIGITS = 40
# Keys that say nothing of their value: `{"password": {"value": ...}}` holds a password.
_NAMELESS = frozenset(
    {"value", "values", "val", "data", "text", "content", "raw", "string", "stringvalue", "plain", "plaintext"}
)

# Keys that say which of the numbers of a thing: `{"phone": {"number": ...}}` holds the number of a phone.
_PARTS = frozenset(
    {"number", "num", "no", "nr", "code", "current", "new", "old", "previous", "date", "line", "line1", "street"}
)
# Keys of a value whose name stands beside it, and of that name: `{"name": "SSN", "value": ...}`.
_VALUES = frozenset({"value", "values", "val", "stringvalue"})
_BESIDE = frozenset({"name", "label", "key", "field", "type"})
_BESIDE_CHARACTERS = 64
# Each is looked after.
_MOST_NAMES = 4
# What is longer is running text, and no value that only its name gives away: it is looked at once.
_SHORT_CHARACTERS = 256
# Keys that say enough over digits and nothing else, and too little in running text ("GPIO pin 1234").
_ENOUGH = {"pin": "pin code", "card code": "card security code"}
# A day with a time behind it, as interfaces write a date of birth (RFC 3339, section 5.6).
_TIME = r"([0-9]{4}-[0-9]{2}-[0-9]{2})([Tt][0-9:.]{2,20}(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})?)"

_Path: TypeAlias = tuple[str | int, ...]
# What a value may be called, the likeliest first.
_Called: TypeAlias = tuple[str, ...]
# Edits a text, given its path, what names it, and whether it is a number; None where it stays.
_Edit: TypeAlias = Callable[[str, _Path, _Called, bool], str | None]


@final
class _Try(NamedTuple):
    """One way of looking at a text: what is looked at, what it stands between, and what is left as it is."""

    text: str
    before: str
    after: str
    rest: str


@final
class _Shape(NamedTuple):
    """What the walk through a text must know of an object when it opens: names that may come behind a value."""

    beside: _Called
    containers: list[Any]


def redact_json(
    scanner: _core.Scanner,
    value: Any,
    operators: Operators | None,
    vault: _core.Vault | None,
    *,
    numbers: str,
    min_score: float,
) -> JsonRedaction[Any]:
    """What `Scanner.redact_json` does."""
    if numbers not in {"zero", "text"}:
        raise ConfigError('`numbers` is "zero" or "text"')
    edits = _Edits(scanner, scanner._document(operators, vault, min_score), numbers)
    as_text = numbers == "text"
    if vault is None:
        edited = _Walk(edits.at_once, as_text=as_text).document(value)
    else:
        # A vault takes in the values of all texts or of none: it knows what failed before it has numbers.
        _Walk(edits.first, as_text=as_text).document(value)
        edits.document._number()
        edited = _Walk(edits.second, as_text=as_text).document(value)
    return JsonRedaction(edited, tuple(edits.items), tuple(edits.limits))


@final
class _Edits:
    """What becomes of the texts of one document, in one walk or in two, and what was done."""

    def __init__(self, scanner: _core.Scanner, document: _core._Document, numbers: str) -> None:
        self.document = document
        self.items: list[JsonItem] = []
        self.limits: dict[IncompleteName, None] = {}
        self._scanner = scanner
        self._zero = numbers == "zero"
        # How often each text was looked at in the first walk.
        self._looks: deque[int] = deque()

    def at_once(self, text: str, path: _Path, called: _Called, number: bool) -> str | None:
        for trial in _tries(text, called, number):
            red = self._scanner._redact_between(self.document, trial.text, trial.before, trial.after)
            if red is not None:
                return self._done(red, trial, path, number)
        return None

    def first(self, text: str, _path: _Path, called: _Called, number: bool) -> str | None:
        looked = 0
        for trial in _tries(text, called, number):
            looked += 1
            if self._scanner._look_between(self.document, trial.text, trial.before, trial.after):
                self._looks.append(looked)
                return text
        self._looks.append(looked)
        return None

    def second(self, text: str, path: _Path, called: _Called, number: bool) -> str | None:
        # Of a document that was changed since there is no look left, and `_next` says so.
        looked = self._looks.popleft() if self._looks else 1
        edited = None
        for trial in islice(_tries(text, called, number), looked):
            red = self._scanner._next(self.document, trial.text)
            looked -= 1
            # The last look is the one that found something, if any did.
            if not looked and red is not None:
                edited = self._done(red, trial, path, number)
        return edited

    def _done(self, red: _core.Redaction, trial: _Try, path: _Path, number: bool) -> str:
        for item in red.items:
            operator = "zero" if number and self._zero else item.operator
            self.items.append(JsonItem(path, item.entity_type, operator))
        self.limits.update(dict.fromkeys(red.incomplete))
        return str(red.text + trial.rest)


def _tries(text: str, called: _Called, number: bool) -> Iterator[_Try]:
    """The ways of looking at a text, until something is found: after each name, and after its words."""
    import re

    quote = "" if number else next((mark for mark in "\"'`" if mark not in text), '"')
    # Backslashes before a quotation mark are in pairs where it ends a string.
    odd = (len(text) - len(text.rstrip("\\"))) % 2
    after = "\\" * odd + quote
    if not called:
        yield _Try(text, "", "", "")
        return
    short = len(text) <= _SHORT_CHARACTERS
    timed = re.fullmatch(_TIME, text) if short else None
    for name in called:
        # No rule looks farther left; a long name over many elements was read anew for each.
        near = name[-_NAME_CHARACTERS:]
        words = _words(near)
        before = _clean(f'{words} "{near}": {quote}' if " " in words else f'"{near}": {quote}')
        yield _Try(text, before, after, "")
        if not short:
            return
        # A rule that holds its label wants it beside the value, and as words: `card cvv: "123"`.
        if " " in words:
            yield _Try(text, f"{words}: {quote}", after, "")
        if words in _ENOUGH and text.isdecimal():
            yield _Try(text, f"{_ENOUGH[words]}: {quote}", after, "")
        if timed is not None and words:
            day, rest = timed.groups()
            yield _Try(day, f"{words}: {quote}", quote, rest)


def restore_json(restore: Callable[[str], str], value: Any, tag: str) -> Any:
    """What `Vault.restore_json` does."""

    def edit(text: str, _path: _Path, _called: _Called, _number: bool) -> str | None:
        restored = restore(text)
        return None if restored is text else restored

    return _Walk(edit, as_text=False, literal=tag).document(value)


def _is_written(word: str, raw: str, value: str) -> bool:
    """Whether a word stands in the JSON of a string wherever it stands in the string, and is not spelt in escapes.

    What a redaction looked at as text, and not as JSON, holds a placeholder that was spelt so by somebody else.
    """
    import json

    if "\\" not in raw or word not in value:
        return True
    pieces, wanted = raw[1:-1].split(word), value.split(word)
    if len(pieces) != len(wanted):
        return False
    try:
        return all(json.loads(f'"{piece}"') == want for piece, want in zip(pieces, wanted, strict=True))
    except ValueError:
        # An escape was cut in two.
        return False


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _words(name: str) -> str:
    """The words of `apiKey` or `API_KEY`, which are context as words and not as one name; empty for a long name."""
    import re

    words: list[str] = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)
    return " ".join(words).lower() if len(words) <= 8 else ""


def _called(key: str, outer: _Called, beside: _Called) -> _Called:
    """What a value may be called: by its key, by that of its object, or by what stands beside it."""
    word = key.lower()
    if word in _NAMELESS:
        return (*outer[:1], *(beside if word in _VALUES else ()), *outer[1:])[:_MOST_NAMES] or (key,)
    if outer and word in _PARTS:
        # The key last in a name of two words: what it meant alone it means there.
        return (outer[0], f"{outer[0]} {key}", *outer[1:])[:_MOST_NAMES]
    return (key,)


def _beside(pairs: Iterable[tuple[Any, Any]]) -> _Called:
    """What an object says its value is called, if it has one."""
    known: dict[str, str] = {}
    for key, value in pairs:
        word = key.lower() if isinstance(key, str) else ""
        if word in _BESIDE and isinstance(value, str) and len(value) <= _BESIDE_CHARACTERS:
            known.setdefault(word, value)
    return tuple(known.values())


def _shape(pairs: list[tuple[str, Any]]) -> _Shape:
    return _Shape(_beside(pairs), [value for _, value in pairs if isinstance(value, (list, _Shape))])


def _digits(value: float) -> str:
    # Not `repr`: a class of their own may show them otherwise, as numpy's floats do.
    try:
        return int.__repr__(value) if isinstance(value, int) else float.__repr__(value)
    except ValueError:
        pass
    raise LimitExceeded("the document has an integer with more digits than Python writes out")


def _plain(number: str) -> str | None:
    """The digits of an integer that is written with a point or an exponent."""
    from decimal import Decimal, InvalidOperation

    if number.lstrip("-").isdecimal():
        return None
    try:
        value = Decimal(number)
    except InvalidOperation:
        return None
    if not value.is_finite() or not 0 <= value.adjusted() < _NUMBER_DIGITS:
        return None
    # Exact, however many digits follow the point.
    return str(int(value)) if value == value.to_integral_value() else None


@final
class _Names:
    """The keys of one object, so that no two become the same."""

    def __init__(self, taken: Callable[[str], bool] | None = None) -> None:
        self.seen: set[str] = set()
        self.made: set[str] = set()
        self._taken = self.seen.__contains__ if taken is None else taken
        self._numbers: dict[str, int] = {}

    def free(self, wanted: str) -> str:
        """`wanted`, or that with the first number behind it that no other key has."""
        name, number = wanted, self._numbers.get(wanted, 1)
        while self._taken(name) or name in self.made:
            number += 1
            name = f"{wanted} ({number})"
        self._numbers[wanted] = number
        self.made.add(name)
        return name


@final
class _Walk:
    """Goes through a document, in its order, and puts it together again."""

    def __init__(self, edit: _Edit, *, as_text: bool, literal: str | None = None) -> None:
        self._edit = edit
        self._as_text = as_text
        # A string that holds this word and does not spell it out in its JSON stays as it is.
        self._literal = literal

    def document(self, value: Any) -> Any:
        """A document: text, or containers."""
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self.document(self._decode(bytes(value))).encode("utf-8", "surrogatepass")
        if isinstance(value, str):
            # A byte order mark is no part of the document, and stays (RFC 8259, section 8.1).
            document = value.removeprefix("\ufeff")
            edited = self._encoded(document, (), (), 0)
            if edited is None:
                raise ConfigError("the text is no JSON document: use `redact` for other texts")
            return value[: len(value) - len(document)] + edited
        return self._value(value, (), (), 0)

    @staticmethod
    def _decode(value: bytes) -> str:
        try:
            return value.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            # The error holds the text: it must not be chained to what is raised.
            pass
        raise ConfigError("the text is no UTF-8, which JSON must be")

    def _value(self, value: Any, path: _Path, called: _Called, encoded: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._string(value, path, called, encoded)
        if isinstance(value, (int, float)):
            edited = self._number(_digits(value), path, called)
            if edited is None:
                return value
            zero = 0 if isinstance(value, int) else 0.0
            return edited if self._as_text else zero
        if len(path) >= _MAX_DEPTH:
            raise LimitExceeded(f"the document has more than {_MAX_DEPTH} containers in one another")
        if isinstance(value, Mapping):
            return self._mapping(value, path, called, encoded)
        if isinstance(value, (list, tuple)):
            values = [self._value(item, (*path, at), called, encoded) for at, item in enumerate(value)]
            return tuple(values) if isinstance(value, tuple) else values
        raise TypeError(f"redact_json takes what JSON can hold, not `{type(value).__name__}`")

    def _number(self, text: str, path: _Path, called: _Called) -> str | None:
        edited = self._edit(text, path, called, True)
        plain = _plain(text) if edited is None else None
        return edited if plain is None else self._edit(plain, path, called, True)

    def _mapping(self, value: Mapping[Any, Any], path: _Path, outer: _Called, encoded: int) -> dict[Any, Any]:
        edited: dict[Any, Any] = {}
        names = _Names(lambda name: name in edited or name in value)
        beside = _beside(value.items())
        for key, item in value.items():
            if key is not None and not isinstance(key, (str, int, float)):
                raise TypeError(f"redact_json takes keys that JSON can hold, not `{type(key).__name__}`")
            text = key if isinstance(key, str) else str(key) if key is None else _digits(key)
            changed = self._edit(text, path, (), False)
            if changed is None and isinstance(key, float):
                plain = _plain(text)
                changed = None if plain is None else self._edit(plain, path, (), False)
            name = key if changed is None else names.free(changed)
            shown = name if isinstance(name, (str, int)) else text
            edited[name] = self._value(item, (*path, shown), _called(text, outer, beside), encoded)
        return edited

    def _key(self, key: str, path: _Path, names: _Names, *, fixed: bool) -> str:
        edited = None if fixed else self._edit(key, path, (), False)
        # A key that reads like what another one became would otherwise be that key once more.
        name = key if edited is None and key not in names.made else names.free(key if edited is None else edited)
        names.seen.add(name)
        return name

    def _string(self, value: str, path: _Path, called: _Called, encoded: int) -> str:
        if value.lstrip()[:1] in {"{", "[", '"'}:
            edited = self._encoded(value, path, called, encoded + 1)
            if edited is not None:
                return edited
        edited = self._edit(value, path, called, False)
        return value if edited is None else edited

    def _encoded(self, text: str, path: _Path, called: _Called, encoded: int) -> str | None:
        """A text that may be JSON; None if it is not. What is not edited stays as it is written."""
        import json

        try:
            # Numbers may be longer than Python converts.
            shape = json.loads(text, parse_int=len, parse_float=len, object_pairs_hook=_shape)
        except ValueError:
            return None
        except RecursionError:
            pass
        else:
            if encoded > _MAX_ENCODED:
                raise LimitExceeded(f"the document has JSON in strings in JSON more than {_MAX_ENCODED} times")
            return self._tokens(text, shape, path, called, encoded)
        raise LimitExceeded("the document has too many containers in one another")

    # One automaton with six kinds of token: cut up, its parts would share everything.
    def _tokens(  # noqa: C901, PLR0912
        self, text: str, shape: Any, path: _Path, called: _Called, encoded: int
    ) -> str:
        import json
        from json.decoder import scanstring  # type: ignore[attr-defined]

        out: list[str] = []
        # For each open container: its path, what names its values, in an object the keys so far and what stands
        # beside a value, and the shapes of the containers in it that are still to come.
        open_: list[tuple[_Path, _Called, _Names | None, _Called, Iterator[Any]]] = []
        coming = iter([shape])
        # What the next value is called, and whether the next string is a key.
        here, key = path, False
        at = 0
        for token in _token_pattern().finditer(text):
            if token.start() < at:
                continue
            out.append(text[at : token.start()])
            at, mark = token.end(), token.group()
            outer, inherited, keys, beside, inner = open_[-1] if open_ else ((), (), None, (), coming)
            if mark == '"':
                value, at = scanstring(text, token.end(), False)
                raw = text[token.start() : at]
                fixed = self._literal is not None and not _is_written(self._literal, raw, value)
                if keys is not None and key:
                    edited = self._key(value, outer, keys, fixed=fixed)
                    here, called, key = (*outer, edited), _called(value, inherited, beside), False
                else:
                    edited = value if fixed else self._string(value, here, called, encoded)
                ascii_only = raw.isascii() or not _is_writable(edited)
                out.append(raw if edited == value else json.dumps(edited, ensure_ascii=ascii_only))
                continue
            if mark in "{[":
                if len(here) >= _MAX_DEPTH:
                    raise LimitExceeded(f"the document has more than {_MAX_DEPTH} containers in one another")
                this = next(item for item in inner if isinstance(item, (list, _Shape)))
                if isinstance(this, _Shape):
                    open_.append((here, called, _Names(), this.beside, iter(this.containers)))
                else:
                    open_.append((here, called, None, (), iter(this)))
                key = mark == "{"
                if mark == "[":
                    here = (*here, 0)
            elif mark in "}]":
                here, called, *_ = open_.pop()
                key = False
            elif mark == ",":
                called, key = inherited, keys is not None
                if not key:
                    here = (*outer, int(here[len(outer)]) + 1)
            elif mark[0] in "-0123456789":
                number = self._number(mark, here, called)
                if number is not None:
                    mark = json.dumps(number) if self._as_text else "0"
            out.append(mark)
        out.append(text[at:])
        return "".join(out)


def _token_pattern() -> re.Pattern[str]:
    import re

    # `re` keeps what it compiled.
    return re.compile(r'["\[\]{},]|-?[0-9][0-9.eE+-]*')
