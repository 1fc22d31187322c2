"""What is scanned: a text, and the name of the file it was, where that is known."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from benches.errors import BenchError


class Text(NamedTuple):
    """A text and the path it had; some scanners judge by names, so they get the last part of it."""

    text: str
    path: str = ""

    @property
    def name(self) -> str:
        """A safe file name; `text.txt` where none is known."""
        # In a corpus `data.json#3` is the third piece of a file.
        last = PurePosixPath(self.path.partition("#")[0]).name
        return last if re.fullmatch(r"[\w.-]{1,100}", last, re.ASCII) and last not in (".", "..") else "text.txt"

    @property
    def data(self) -> bytes:
        """The bytes that every scanner reads."""
        return self.text.encode("utf-8", "replace")


Corpora = dict[str, list[Text]]


def load_corpora(folder: Path) -> Corpora:
    """The clean texts of a folder: NAME.jsonl.gz, a line an object with `text` and perhaps `path`.

    Raises:
        BenchError: there is no such file, or one is empty or of another form.
    """
    corpora = {path.name.removesuffix(".jsonl.gz"): _read(path) for path in sorted(folder.glob("*.jsonl.gz"))}
    if not corpora:
        raise BenchError(f"`{folder.name}` holds no NAME.jsonl.gz")
    for name, texts in corpora.items():
        if not any(item.text for item in texts):
            raise BenchError(f"the corpus `{name}` is empty")
    return corpora


def _read(path: Path) -> list[Text]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        return [Text(row["text"], str(row.get("path", ""))) for row in rows]
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(f"cannot read the corpus `{path.name}`: {type(error).__name__}") from error


def size(texts: Sequence[Text]) -> int:
    """Bytes in all texts."""
    return sum(len(item.data) for item in texts)


def digest(text: str) -> str:
    """SHA-256 of a text, 64 hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
