"""The texts: four corpora from a folder, or seeded stand-ins, cut into pieces of a given size."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benches import synthetic
from benches.errors import BenchError

NAMES = ("code", "docs", "chat", "json")

#: Folder with `code.jsonl.gz` and so on, each line `{"id": ..., "text": ...}`.
ENVIRONMENT = "SIFT_CORPORA"


@dataclass(frozen=True)
class Corpus:
    """One corpus: its documents in file order and where they came from."""

    name: str
    documents: tuple[str, ...]
    synthetic: bool


@dataclass(frozen=True)
class Pieces:
    """Texts that are scanned one by one, and the digest that ties an expected count to exactly them."""

    corpus: str
    piece_bytes: int
    texts: tuple[str, ...]
    byte_count: int
    digest: str
    synthetic: bool

    def non_ascii(self) -> Pieces:
        """Only the pieces that hold a character above U+007F."""
        texts = tuple(text for text in self.texts if not text.isascii())
        if not texts:
            raise BenchError(f"no piece of `{self.corpus}` has a character above U+007F")
        byte_count = sum(len(text.encode()) for text in texts)
        return Pieces(self.corpus, self.piece_bytes, texts, byte_count, digest(texts), self.synthetic)

    def as_record(self) -> dict[str, object]:
        """What a record says about the input: no text."""
        return {
            "corpus": self.corpus,
            "piece_bytes": self.piece_bytes,
            "pieces": len(self.texts),
            "bytes": self.byte_count,
            "sha256": self.digest,
            "synthetic": self.synthetic,
            "non_ascii_pieces": sum(not text.isascii() for text in self.texts),
        }


def digest(texts: Iterable[str]) -> str:
    """SHA-256 over the texts and their boundaries."""
    sha = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        sha.update(len(data).to_bytes(8, "little"))
        sha.update(data)
    return sha.hexdigest()


class Corpora:
    """The corpora of one run; each is read once."""

    def __init__(self, folder: Path | None) -> None:
        if folder is None and os.environ.get(ENVIRONMENT):
            folder = Path(os.environ[ENVIRONMENT])
        if folder is not None and not folder.is_dir():
            raise BenchError(
                f"the corpus folder `{folder.name}` does not exist; give --corpus DIR or unset {ENVIRONMENT}"
            )
        self.folder = folder
        self._read: dict[str, Corpus] = {}

    @property
    def synthetic(self) -> bool:
        """True when there is no folder and the texts are generated."""
        return self.folder is None

    def get(self, name: str) -> Corpus:
        """The corpus `name`, read or generated."""
        if name not in self._read:
            documents = synthetic.documents(name) if self.folder is None else _read(self.folder / f"{name}.jsonl.gz")
            self._read[name] = Corpus(name, tuple(documents), self.folder is None)
        return self._read[name]

    def pieces(self, name: str, piece_bytes: int, sample_bytes: int) -> Pieces:
        """The corpus cut into pieces of at most `piece_bytes`, evenly picked until `sample_bytes`.

        Documents are joined by a line feed first: most chats are shorter than 4 KB. A cut never
        splits a character.
        """
        corpus = self.get(name)
        data = "\n".join(corpus.documents).encode("utf-8", "replace")
        spans = _pick(_cut(data, piece_bytes), max(1, sample_bytes // piece_bytes))
        texts = tuple(data[start:end].decode("utf-8") for start, end in spans)
        byte_count = sum(end - start for start, end in spans)
        return Pieces(name, piece_bytes, texts, byte_count, digest(texts), corpus.synthetic)


def _read(path: Path) -> list[str]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            return [json.loads(line)["text"] for line in lines]
    except (OSError, ValueError, KeyError) as error:
        raise BenchError(f"cannot read the corpus `{path.name}`: {type(error).__name__}") from error


def _cut(data: bytes, piece_bytes: int) -> list[tuple[int, int]]:
    spans = []
    start = 0
    while start < len(data):
        end = min(start + piece_bytes, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        spans.append((start, end))
        start = end
    # A short last piece would be a document of another size class.
    if len(spans) > 1 and spans[-1][1] - spans[-1][0] < piece_bytes // 2:
        spans.pop()
    return spans


def _pick(spans: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    if count >= len(spans):
        return list(spans)
    step = len(spans) / count
    return [spans[int(index * step)] for index in range(count)]
