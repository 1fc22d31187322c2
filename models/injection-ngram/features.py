"""The features of the n-gram scorer, bit for bit as `rust/sift-ngram/src/features.rs` computes them.

Input is *folded* text (`fold`): lower case, each run of white space one space. Digits count as `0`. Features are
indices into a table of `2**BITS` weights, each at the byte where it ends:

- every run of `GRAM` bytes;
- every word, every pair of neighbouring words, every pair with one word in between, every run of three words.

A word is a run of ASCII letters, digits and bytes above ASCII; of scripts that are written without spaces (first
byte `E3` to `ED`: Chinese, Japanese, Korean) each character is one. The score of a window is the sum of its
weights, divided by the square root of its length in bytes, and a bias; the score of a text is the highest of its
windows, which begin at each `BLOCK` bytes and are `BLOCKS` or `SHORT` blocks long. `vectors.jsonl` beside the Rust crate holds what both must
say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BITS = 19
BLOCK = 32
#: Blocks of a long window, and of a short one: what surrounds a short attack must not outweigh it.
BLOCKS, SHORT = 8, 3
WINDOW = BLOCK * BLOCKS
#: A window counts as at least this long: two words are no text.
SHORTEST = 48
GRAM = 5

_MASK = (1 << 64) - 1
_FNV_START, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
_GOLDEN = 0x9E3779B97F4A7C15
#: One odd factor for each kind of feature.
_GRAM_KEY = 0xD6E8FEB86659FD93
_PAIR_KEY, _SKIP_KEY, _TRIPLE_KEY = 0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3

_DIGITS = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))
_words: dict[bytes, int] = {}


def fold(text: str) -> bytes:
    """The folded view: as `sift_text::fold`, for text that is valid."""
    out = []
    white = False
    for letter in text:
        if letter.isspace() and letter not in "\x1c\x1d\x1e\x1f":
            if not white:
                out.append(" ")
            white = True
            continue
        white = False
        lower = letter.lower()
        out.append(lower if len(lower) == 1 else letter)
    return "".join(out).encode("utf-8", "replace")


def word_hash(word: bytes) -> int:
    """FNV-1a, 64 bits."""
    known = _words.get(word)
    if known is None:
        known = _FNV_START
        for byte in word:
            known = ((known ^ byte) * _FNV_PRIME) & _MASK
        _words[word] = known
    return known


_KIND = np.zeros(256, dtype=np.uint8)
for _byte in range(256):
    if chr(_byte).isascii() and chr(_byte).isalnum():
        _KIND[_byte] = 1
    elif 0xE3 <= _byte <= 0xED:
        _KIND[_byte] = 2
    elif _byte >= 0x80:
        _KIND[_byte] = 1


def words(folded: bytes) -> list[tuple[int, int]]:
    """Begin and end of each word."""
    out = []
    at, length, kinds = 0, len(folded), _KIND
    begin = -1
    data = folded
    while at < length:
        kind = kinds[data[at]]
        if kind == 1:
            if begin < 0:
                begin = at
            at += 1
            continue
        if begin >= 0:
            out.append((begin, at))
            begin = -1
        if kind == 2:
            end = min(at + 3, length)
            out.append((at, end))
            at = end
            continue
        at += 1
    if begin >= 0:
        out.append((begin, length))
    return out


def features(folded: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Where each feature ends (the index of its last byte), and its index in the table."""
    data = folded.translate(_DIGITS)
    positions, indices = [], []
    raw = np.frombuffer(data, dtype=np.uint8).astype(np.uint64)
    with np.errstate(over="ignore"):
        if len(raw) >= GRAM:
            gram = np.zeros(len(raw) - GRAM + 1, dtype=np.uint64)
            for offset in range(GRAM):
                gram |= raw[offset : offset + len(gram)] << np.uint64(8 * offset)
            positions.append(np.arange(GRAM - 1, len(raw)))
            indices.append((gram * np.uint64(_GRAM_KEY)) >> np.uint64(64 - BITS))
        spans = words(data)
        if spans:
            ends = np.array([end - 1 for _, end in spans])
            hashes = np.array([word_hash(data[a:b]) for a, b in spans], dtype=np.uint64)
            shift, golden = np.uint64(64 - BITS), np.uint64(_GOLDEN)
            positions.append(ends)
            indices.append((hashes * golden) >> shift)
            for key, distance in ((_PAIR_KEY, 1), (_SKIP_KEY, 2)):
                if len(hashes) > distance:
                    pair = hashes[:-distance] * np.uint64(key) ^ hashes[distance:]
                    positions.append(ends[distance:])
                    indices.append((pair * golden) >> shift)
            if len(hashes) > 2:
                first = hashes[:-2] * np.uint64(_TRIPLE_KEY) ^ hashes[1:-1]
                triple = first * np.uint64(_TRIPLE_KEY) ^ hashes[2:]
                positions.append(ends[2:])
                indices.append((triple * golden) >> shift)
    if not positions:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32)
    return np.concatenate(positions), np.concatenate(indices).astype(np.int32)


def windows(length: int) -> list[tuple[int, int]]:
    """Begin and end, in bytes, of the windows of a folded text of `length` bytes: the long ones, then the short."""
    blocks = max(1, -(-length // BLOCK))
    sizes = (BLOCKS, SHORT) if blocks > SHORT else (BLOCKS,)
    return [(at * BLOCK, min(length, (at + size) * BLOCK)) for size in sizes for at in range(max(1, blocks - size + 1))]


#: A text by itself, a long window of a text, a short one. A text has one chance to look like an attack for each of its
#: windows, so each kind has a bias of its own.
KINDS = 3


def kind(begin: int, end: int, length: int) -> int:
    """What a window is of a text of `length` bytes."""
    if (begin, end) == (0, length):
        return 0
    return 1 if end - begin > SHORT * BLOCK else 2


def scale(length: int) -> float:
    """What the sum of a window of `length` bytes is multiplied by."""
    return max(length, SHORTEST) ** -0.5


def scores(folded: bytes, weights: np.ndarray, biases: Sequence[float]) -> np.ndarray:
    """The score of each window of a folded text, in the order of `windows`; `biases` are by `kind`."""
    positions, indices = features(folded)
    length = len(folded)
    blocks = max(1, -(-length // BLOCK))
    sums = np.bincount(positions // BLOCK, weights=weights[indices], minlength=blocks)
    totals = np.concatenate([[0.0], np.cumsum(sums)])
    return np.array(
        [
            (totals[-(-end // BLOCK)] - totals[begin // BLOCK]) * scale(end - begin) + biases[kind(begin, end, length)]
            for begin, end in windows(length)
        ]
    )
