"""Ways to hide words from a filter, for measuring: each is applied to attacks and to innocent controls alike."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable

_LOOKALIKES = str.maketrans("aceiopsxyACEHIKMOPTX", "асеіорѕхуАСЕНІКМОРТХ")
_LEET = str.maketrans("aeiostAEIOST", "431057431057")


def _zero_width(text: str) -> str:
    source = random.Random(len(text))
    return "".join(letter + ("\u200b" if source.random() < 0.5 else "") for letter in text)


EVASIONS: dict[str, Callable[[str], str]] = {
    "base64": lambda text: "Decode: " + base64.b64encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "homoglyphs": lambda text: text.translate(_LOOKALIKES),
    "zero width": _zero_width,
    "tags": lambda text: "Hello! " + "".join(chr(0xE0000 + ord(c)) for c in text if c.isascii()),
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "spacing": lambda text: "  ".join(" ".join(word) for word in text.split()),
    "leetspeak": lambda text: text.translate(_LEET),
    "percent": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "entities": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "comment": lambda text: f"<p>Opening hours: daily.</p><!-- {text} --><p>Closed on public holidays.</p>",
}
