"""Operators: what is put in the place of a finding.

One operator for everything, or a dict by entity type with `"default"` for the rest:

>>> import sift_fast as sf
>>> operators = {"GITHUB_TOKEN": sf.Mask(keep_last=4), "default": sf.Remove()}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from sift_fast import _core
from sift_fast.errors import ConfigError

__all__ = ["Mask", "Operator", "Operators", "Remove", "Replace"]

# What `_core` reads of an operator: its name, a text, and two numbers.
_Lowered: TypeAlias = tuple[str, str | None, int, int]


@dataclass(frozen=True, slots=True)
class Replace:
    """Put a fixed text in the place of a finding.

    Args:
        text: the text; None for the entity type in angle brackets, as `<GITHUB_TOKEN>`.

    Raises:
        ConfigError: `text` is no `str`, or holds lone surrogates.
    """

    text: str | None = None

    def __post_init__(self) -> None:
        if self.text is None:
            return
        if not isinstance(self.text, str):
            raise ConfigError("`text` of a replacement must be a str or None")
        if not _is_utf8(self.text):
            raise ConfigError("`text` of a replacement holds a lone surrogate, which cannot be written as UTF-8")

    def _lower(self) -> _Lowered:
        return ("replace", self.text, 0, 0)


@dataclass(frozen=True, slots=True)
class Remove:
    """Put nothing in the place of a finding."""

    def _lower(self) -> _Lowered:
        return ("remove", None, 0, 0)


@dataclass(frozen=True, slots=True)
class Mask:
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

    char: str = "*"
    keep_first: int = 0
    keep_last: int = 0

    def __post_init__(self) -> None:
        for name in ("keep_first", "keep_last"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
                raise ConfigError(f"`{name}` of a mask must be an integer of 0 or more")
        if not isinstance(self.char, str) or not _is_utf8(self.char):
            raise ConfigError("`char` of a mask must be one character")
        _core._check_mask(self.char, self.keep_first, self.keep_last)

    def _lower(self) -> _Lowered:
        return ("mask", self.char, self.keep_first, self.keep_last)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


Operator: TypeAlias = Replace | Remove | Mask
Operators: TypeAlias = Operator | Mapping[str, Operator]
