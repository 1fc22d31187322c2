"""Text for people: safe names, sizes, plurals, columns, colours.

File names and rule files are written by strangers. What is printed of them cannot move the cursor, begin a
line of its own or reorder what stands beside it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any

#: Colours by severity; words that click knows.
SEVERITY_COLOURS = {"critical": "bright_red", "high": "red", "medium": "yellow", "low": "cyan"}

#: In rising order.
SEVERITIES = ("low", "medium", "high", "critical")


def printable(name: bytes | str, *, escape_backslash: bool = True) -> str:
    r"""Show a file name on one line, every byte accounted for.

    Printable characters stay; control, format and invisible ones become escapes such as `\n` or `\u202e`,
    bytes that are not UTF-8 become `\xff`. With `escape_backslash` the result can be told from every other
    name; without it, it is for sentences that hold a name somewhere.
    """
    text = os.fsdecode(name) if isinstance(name, bytes) else name
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(_escape(character, escape_backslash) for character in text)


def _escape(character: str, backslash: bool) -> str:
    if character == "\\":
        return "\\\\" if backslash else character
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        # A byte that is no UTF-8, as `os.fsdecode` carries it.
        return f"\\x{code - 0xDC00:02x}"
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    if named is not None:
        return named
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 file`, `2 files`, `1,024 files`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def megabytes(size: int) -> str:
    """Bytes as `812 B`, `4.5 kB`, `1.2 MB`: decimal units, as disks and networks count."""
    if size < 1000:
        return f"{size} B"
    if size < 1_000_000:
        return f"{size / 1e3:.1f} kB"
    return f"{size / 1e6:,.1f} MB"


def parse_size(text: str) -> int:
    """`500`, `64k`, `10M`, `2G` in bytes; powers of 1,024. Raises ValueError."""
    digits, factor = text.strip(), 1
    for suffix, value in (("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30)):
        if digits.lower().endswith(suffix):
            digits, factor = digits[:-1], value
            break
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(text)
    size = int(digits) * factor
    if size >= 1 << 63:
        raise ValueError(text)
    return size


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[int] = frozenset()) -> str:
    """Columns two blanks apart, as wide as their widest cell; `right` are the columns set to the right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "".join(
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        + "\n"
        for line in lines
    )


def colours(stream: IO[Any]) -> bool:
    """Whether to colour what goes to `stream`: a terminal that can, and no NO_COLOR (https://no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    try:
        return stream.isatty()
    except ValueError:
        return False


def complain(message: str) -> None:
    """One line on standard error. Never raises: there is nowhere left to say it."""
    line = printable(f"sift-fast: {message}", escape_backslash=False)
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass
