"""Cuts text into the tokens of an uncased BERT: words and signs, then the longest pieces that a vocabulary knows.

The algorithm is that of Wu et al., 2016 (WordPiece), with the normalisation that Devlin et al., 2019 published with
BERT. It is written here because the usual library for it brings clients for downloading models along; that both cut
the same is tested where the model is made (`models/injection-encoder/export.py`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import final

from sift_fast.errors import ConfigError

#: Tokens that a vocabulary must have, in this order, at its beginning.
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
PAD, UNKNOWN, BEGIN, END = range(4)

# Longer words are unknown as a whole, as in BERT: pieces of them say nothing.
_LONGEST_WORD = 100
_WORDS_KEPT = 16_384


@final
class WordPiece:
    """A vocabulary, and texts as numbers of it. Shared by threads.

    Args:
        words: the vocabulary: `SPECIAL` first; pieces that go on within a word begin with `##`.

    Raises:
        ConfigError: the special tokens are missing, or a word is there twice.

    Example:
        >>> WordPiece([*SPECIAL, "print", "##er"]).encode("Printer, print")
        [4, 5, 1, 4]
    """

    __slots__ = ("_ids", "_pieces_of")

    def __init__(self, words: Sequence[str]) -> None:
        if tuple(words[: len(SPECIAL)]) != SPECIAL:
            raise ConfigError(f"a vocabulary begins with {', '.join(SPECIAL)}")
        self._ids = {word: number for number, word in enumerate(words)}
        if len(self._ids) != len(words):
            raise ConfigError("a vocabulary has each word once")
        self._pieces_of = lru_cache(_WORDS_KEPT)(self._cut)

    def __len__(self) -> int:
        return len(self._ids)

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without marks of begin and end.

        Args:
            text: any; surrogates and control characters are left out.
        """
        out: list[int] = []
        for word in _words(text):
            out += self._pieces_of(word)
        return out

    def _cut(self, word: str) -> tuple[int, ...]:
        if len(word) > _LONGEST_WORD:
            return (UNKNOWN,)
        out = []
        start = 0
        while start < len(word):
            for end in range(len(word), start, -1):
                number = self._ids.get(("##" if start else "") + word[start:end])
                if number is not None:
                    break
            else:
                return (UNKNOWN,)
            out.append(number)
            start = end
        return tuple(out)


def _words(text: str) -> list[str]:
    """Words without case and accents; each sign and each Chinese character is one."""
    if text.isascii():
        return text.translate(_ASCII).lower().split()
    letters = []
    for letter in text:
        kind = unicodedata.category(letter)
        if letter in "\t\n\r" or kind == "Zs":
            letters.append(" ")
        elif kind in {"Cc", "Cf", "Cs", "Co", "Cn"} or letter == "\ufffd":
            continue
        elif _is_chinese(ord(letter)):
            letters.append(f" {letter} ")
        else:
            letters.append(letter)
    plain = unicodedata.normalize("NFD", "".join(letters))
    out = []
    for letter in plain:
        kind = unicodedata.category(letter)
        if kind == "Mn":
            continue
        out.append(f" {letter} " if kind.startswith("P") or (letter.isascii() and _is_sign(letter)) else letter)
    return "".join(out).lower().split()


def _is_sign(letter: str) -> bool:
    return letter.isprintable() and not letter.isalnum() and letter != " "


#: The same for ASCII, in one step: control characters go, signs stand alone.
_ASCII = {
    code: None if code < 32 or code == 127 else f" {chr(code)} "
    for code in range(128)
    if (code < 32 or code == 127 or _is_sign(chr(code))) and chr(code) not in "\t\n\r"
}

_CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def _is_chinese(code: int) -> bool:
    """Whether a character stands for a word: the blocks that BERT names."""
    return code >= 0x3400 and any(low <= code <= high for low, high in _CHINESE)
