"""Operators: what is put in the place of a finding; and what is said of a document that was edited.

One operator for everything, or a mapping by entity type with `"default"` for the rest:

>>> operators = {"GITHUB_TOKEN": Mask(keep_last=4), "default": Remove()}

A function is an operator as well. It is given the value and its entity type and returns what takes its place:

>>> operators = {"default": lambda value, entity_type: f"[{entity_type}, {len(value)} characters]"}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar, final

from sift_fast import _core
from sift_fast.errors import ConfigError
from sift_fast.types import IncompleteName, Text, Value

__all__ = [
    "Encrypt",
    "Hash",
    "JsonItem",
    "JsonRedaction",
    "Keep",
    "Mask",
    "Operator",
    "Operators",
    "Pseudonym",
    "Remove",
    "Replace",
]

# What `_core` reads of an operator: its name and its arguments.
_Lowered: TypeAlias = tuple[Any, ...]
_Json = TypeVar("_Json")


@final
class Replace(Value):
    """Put a fixed text in the place of a finding.

    Args:
        text: the text; None for the entity type in angle brackets, as `<GITHUB_TOKEN>`.

    Raises:
        ConfigError: `text` is no `str`, or holds lone surrogates.
    """

    __slots__ = ("text",)

    text: str | None

    def __init__(self, text: str | None = None) -> None:
        if text is not None and not _is_writable(text):
            raise ConfigError("`text` of a replacement must be a str without lone surrogates, or None")
        object.__setattr__(self, "text", text)

    def _lower(self) -> _Lowered:
        return ("replace", self.text)


@final
class Remove(Value):
    """Put nothing in the place of a finding."""

    __slots__ = ()

    def _lower(self) -> _Lowered:
        return ("remove",)


@final
class Mask(Value):
    """Put as many mask characters in the place of a finding as it has characters.

    A value of which the kept characters would show more than a third is masked whole, and one longer than
    `Limits.finding_bytes` is replaced as by `Replace()`: a mask must not show a short value, nor a stream hold an
    endless one.

    Args:
        char: one character.
        keep_first: characters shown at the beginning.
        keep_last: characters shown at the end. At most 8 in all.

    Raises:
        ConfigError: one of these does not hold.
    """

    __slots__ = ("char", "keep_first", "keep_last")

    char: str
    keep_first: int
    keep_last: int

    def __init__(self, char: str = "*", keep_first: int = 0, keep_last: int = 0) -> None:
        for name, value in (("keep_first", keep_first), ("keep_last", keep_last)):
            if not _is_count(value):
                raise ConfigError(f"`{name}` of a mask must be an integer of 0 or more")
        if not _is_writable(char):
            raise ConfigError("`char` of a mask must be one character")
        _core._check_mask(char, keep_first, keep_last)
        object.__setattr__(self, "char", char)
        object.__setattr__(self, "keep_first", keep_first)
        object.__setattr__(self, "keep_last", keep_last)

    def _lower(self) -> _Lowered:
        return ("mask", self.char, self.keep_first, self.keep_last)


@final
class Hash(Value):
    """Put a keyed hash in the place of a finding: `<EMAIL_ADDRESS:h:1a2b3c4d:...>`.

    The same value gives the same hash under the same key and entity type (HMAC-SHA-256, 128 bits), so that
    documents can be joined; without the key nobody can try out values. The eight digits in the middle are the id
    of the key. A value longer than `Limits.finding_bytes` is replaced as by `Replace()`.

    Args:
        key: 32 random bytes, as `secrets.token_bytes(32)` gives.

    Raises:
        ConfigError: `key` is something else.
    """

    __slots__ = ("key",)

    key: _core._Key

    def __init__(self, key: bytes | _core._Key) -> None:
        object.__setattr__(self, "key", _core._Key(key))

    def _lower(self) -> _Lowered:
        return ("hash", self.key)


@final
class Encrypt(Value):
    """Put the encrypted value in the place of a finding: `<EMAIL_ADDRESS:e:1a2b3c4d:...>`.

    XChaCha20-Poly1305 with the entity type authenticated; `decrypt` takes it back. The nonce is a keyed hash of the
    value, so that a stream gives what the whole text gives: equal values of one entity type are seen to be equal.
    The ciphertext is as long as the value, which is seen as well. A value longer than `Limits.finding_bytes` is
    replaced as by `Replace()`.

    Args:
        key: 32 random bytes, as `secrets.token_bytes(32)` gives.

    Raises:
        ConfigError: `key` is something else.

    Example:
        >>> operator = Encrypt(bytes(32))
        >>> operator.decrypt("nothing encrypted")
        'nothing encrypted'
    """

    __slots__ = ("key",)

    key: _core._Key

    def __init__(self, key: bytes | _core._Key) -> None:
        object.__setattr__(self, "key", _core._Key(key))

    def decrypt(self, text: Text, entities: str | Iterable[str] | None = None, *, urls: bool = False) -> Any:
        """Put encrypted values back into a text.

        Opens whatever was sealed with the key, also what was copied into the text: for what was redacted and kept,
        not for what a model or a user has written, for which there is `Vault`.

        Args:
            text: `str`, or a binary type.
            entities: only these entity types; None for all.
            urls: inside web addresses too. A value in an address leaves with the next click, or with none where
                images are shown.

        Returns:
            `str` for `str`, `bytes` for binary types. What was encrypted with another key stays as it is.

        Raises:
            ConfigError: one of `entities` cannot be an entity type.
            TypeError: it is no text.
        """
        return _core._decrypt(self.key, text, _entity_types(entities), urls)

    def _lower(self) -> _Lowered:
        return ("encrypt", self.key)


@final
class Pseudonym(Value):
    """Number the values of each entity type: `<EMAIL_ADDRESS_1>`, the same value under the same number.

    With a `Vault` numbers stay the same over texts, placeholders end with its tag, as `<EMAIL_ADDRESS_1:b7kx2m>`,
    and `Vault.restore` takes them back. Without one, numbers begin anew in each text or stream. A value longer than
    `Limits.finding_bytes` is replaced as by `Replace()`.
    """

    __slots__ = ()

    def _lower(self) -> _Lowered:
        return ("pseudonym",)


@final
class Keep(Value):
    """Leave findings of an entity type as they are. What else is found in them is edited all the same."""

    __slots__ = ()

    def _lower(self) -> _Lowered:
        return ("keep",)


def _entity_types(entities: str | Iterable[str] | None) -> list[str] | None:
    """The names that were given, each of which can be an entity type: another one would restore nothing."""
    import re

    if entities is None:
        return None
    names = [entities] if isinstance(entities, str) else list(entities)
    # The name is not shown: it may be a value.
    if any(re.fullmatch("[A-Z0-9_]+", name) is None for name in names):
        raise ConfigError("`entities` has a name that no entity type can have: write them as `EMAIL_ADDRESS`")
    return names


def _is_count(value: object) -> bool:
    # `True` is an integer to Python and a mistake here.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _is_writable(text: object) -> bool:
    if not isinstance(text, str):
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


Operator: TypeAlias = (
    Replace
    | Remove
    | Mask
    | Hash
    | Encrypt
    | Pseudonym
    | Keep
    | Callable[[str, str], str]
    | Callable[[bytes, str], bytes]
)
Operators: TypeAlias = Operator | Mapping[str, Operator]


@final
class JsonItem(Value):
    """One edit in a JSON document.

    Args:
        path: keys and positions that lead to it; into a string that holds JSON, the path goes on.
        entity_type: what was there.
        operator: what was done, as in `Item.operator`; `zero` for a number.
    """

    __slots__ = ("path", "entity_type", "operator")  # noqa: RUF023 -- the order of `repr`

    path: tuple[str | int, ...]
    entity_type: str
    operator: str

    def __init__(self, path: tuple[str | int, ...], entity_type: str, operator: str) -> None:
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "entity_type", entity_type)
        object.__setattr__(self, "operator", operator)


@final
class JsonRedaction(Generic[_Json]):
    """A document without its findings. Shown without the document, and not pickled."""

    __slots__ = ("incomplete", "items", "value")

    value: _Json
    """The edited document: text for text, containers for containers."""
    items: tuple[JsonItem, ...]
    """What was edited, in the order of the document."""
    incomplete: tuple[IncompleteName, ...]
    """Limits that were hit without letting anything through."""

    def __init__(self, value: _Json, items: tuple[JsonItem, ...], incomplete: tuple[IncompleteName, ...]) -> None:
        self.value = value
        self.items = items
        self.incomplete = incomplete

    def __repr__(self) -> str:
        return f"JsonRedaction({len(self.items)} edits)"

    def __reduce__(self) -> Any:
        raise TypeError("a redaction holds text and is not pickled: keep its `value` or `items`")
