"""Ways of writing a text, from the standard library: what both get wrong together would not be noticed."""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Callable

Way = Callable[[str], str]


def _bytes(template: str, joint: str = "") -> Way:
    return lambda text: joint.join(template.format(byte) for byte in text.encode())


def _shift(base: int) -> Way:
    return lambda text: "".join(chr(base + ord(c)) if "!" <= c <= "~" else c for c in text)


def _between(sign: str) -> Way:
    return sign.join


def _packed(pack: Callable[[bytes], bytes]) -> Way:
    return lambda text: base64.b64encode(pack(text.encode())).decode()


#: Encodings of anything.
WAYS: dict[str, Way] = {
    "base64": _packed(bytes),
    "base64, URL-safe": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "UTF-16 in base64": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "gzip in base64": _packed(lambda raw: gzip.compress(raw, mtime=0)),
    "zlib in base64": _packed(zlib.compress),
    "hex": lambda text: text.encode().hex(),
    "hex pairs": lambda text: text.encode().hex(" "),
    "percent": _bytes("%{:02X}"),
    "HTML entities": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "JSON escapes": lambda text: "".join(f"\\u{ord(c):04x}" if ord(c) < 65536 else c for c in text),
    "byte escapes": _bytes("\\x{:02x}"),
    "zero width": _between("\u200b"),
    "full width": _shift(0xFEE0),
}

_LOOKALIKES = str.maketrans("aceopxyABEHKMOPTX", "асеорхуАВЕНКМОРТХ")  # noqa: RUF001 -- that is the point
_LEET = str.maketrans("aeiost", "431057")
_ROT13 = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "NOPQRSTUVWXYZABCDEFGHIJKLMnopqrstuvwxyzabcdefghijklm",
)

#: Evasions of words.
VEILS: dict[str, Way] = {
    "look-alikes": lambda text: text.translate(_LOOKALIKES),
    "tags": lambda text: "".join(chr(0xE0000 + ord(c)) if c < "\x7f" else c for c in text),
    "spaced": lambda text: "  ".join(" ".join(word) for word in text.split()),
    "digits for letters": lambda text: text.translate(_LEET),
    "backwards": lambda text: text[::-1],
    "ROT13": lambda text: text.translate(_ROT13),
}
