"""Operators: what is put in the place of a finding.

One operator for everything, or a mapping by entity type with `"default"` for the rest:

>>> operators = {"GITHUB_TOKEN": Mask(keep_last=4), "default": Remove()}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, final

from sift_fast import _core
from sift_fast.errors import ConfigError
from sift_fast.types import Value

__all__ = ["Mask", "Operator", "Operators", "Remove", "Replace"]

# What `_core` reads of an operator: its name, a text, and two numbers.
_Lowered: TypeAlias = tuple[str, str | None, int, int]


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
        return ("replace", self.text, 0, 0)


@final
class Remove(Value):
    """Put nothing in the place of a finding."""

    __slots__ = ()

    def _lower(self) -> _Lowered:
        return ("remove", None, 0, 0)


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


Operator: TypeAlias = Replace | Remove | Mask
Operators: TypeAlias = Operator | Mapping[str, Operator]
