"""Text in UTF-16 on its way through a command. Rules are patterns of UTF-8: of UTF-16 they would find nothing.

A byte order mark decides, as it does for the files that `scan` walks. Without one nothing is guessed; bytes that look
like it are told of.
"""

from __future__ import annotations

from typing import Final

from sift_fast.cli._text import complain
from sift_fast.errors import ConfigError

__all__ = ["MARK", "as_utf8", "encoding", "undecided", "warn", "warn_binary"]

#: Bytes that decide. The mark of UTF-32 begins with one of UTF-16.
MARK: Final = 4

_WIDE: Final = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
#: What `scan` looks at as well, for a NUL.
_HEAD: Final = 8000
_WIDER: Final = (b"\xff\xfe\0\0", b"\0\0\xfe\xff")


def undecided(head: bytes) -> bool:
    """Whether more bytes may still make this the beginning of a mark."""
    return len(head) < MARK and any(mark.startswith(head) for mark in (*_WIDE, *_WIDER))


def encoding(head: bytes, name: str) -> str | None:
    """The codec that the mark at the beginning of a text names; None for bytes that are taken as they are.

    Raises:
        ConfigError: it is UTF-32, which nothing here reads.
    """
    if head.startswith(_WIDER):
        raise ConfigError(f"`{name}` is in UTF-32: convert it to UTF-8 first")
    return _WIDE.get(head[:2])


def as_utf8(data: bytes, name: str) -> bytes:
    """A whole text in UTF-8: what has the mark of UTF-16 is converted, everything else stays as it is.

    Raises:
        ConfigError: it is UTF-32.
    """
    codec = encoding(data[:MARK], name)
    if codec is None:
        warn(data[:8000], name)
        return data
    return data[2:].decode(codec, "replace").encode("utf-8")


def warn(head: bytes, name: str) -> None:
    """Say so where every other byte is NUL, as in UTF-16 of Latin letters without a mark."""
    for rest in (0, 1):
        pairs = head[rest::2], head[1 - rest :: 2]
        if len(pairs[0]) >= 8 and pairs[0].count(0) * 2 > len(pairs[0]) and pairs[1].count(0) * 20 < len(pairs[1]):
            complain(
                f"`{name}`: every other byte is NUL: if this is UTF-16 without a byte order mark, nothing in it is "
                "found; convert it to UTF-8 first"
            )


def warn_binary(head: bytes, name: str) -> None:
    """Say so where a file is none of text, as the files that `scan` skips: most of it is out of reach for rules."""
    if 0 in head[:_HEAD]:
        complain(f"`{name}` is binary: what is compressed in it is not read, and passes as it is")
