"""What the encoder is trained with: windows of tokens, each an attack or harmless, from the splits of the n-grams.

Texts come from `../injection-ngram/corpus.py`, which decides the splits, and from the generator beside it.
Only windows that the n-grams find suspicious reach the encoder when it is used (`sift_fast.classifier`), so harmless
windows are mostly those of each text that the n-grams score highest; the rest is drawn at random.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import corpus_path  # noqa: F401 -- makes the modules of the n-grams importable

# isort: split
import corpus
import generate
from tokenizers import Tokenizer  # noqa: TC002 -- loaded anyway

from sift_fast import _core

#: Tokens of a window without its two marks.
WINDOW = 126
SEED = 8
Sample = tuple[list[int], int]


def splits(data: Path, corpora: Path | None, packages: Sequence[str]) -> tuple[list[corpus.Row], list[corpus.Row]]:
    """Texts for training, and those of the other splits; near duplicates of the others are not trained with."""
    rows = corpus.collected(data) + corpus.local(packages, limit=1.5, piece_limit=8)
    rows += corpus.corpora(corpora) if corpora else []
    rows = corpus.unique(rows)
    held = [row for row in rows if row.split != corpus.TRAIN]
    train = [row for row in rows if row.split == corpus.TRAIN and row.source not in corpus.NOT_FOR_TRAINING]
    return corpus.drop_near(train, held), held


def scorer(folder: Path | None) -> _core.NgramScorer:
    """The n-grams that are installed, or those that a folder holds."""
    if folder is None:
        return _core.NgramScorer()
    return _core.NgramScorer(
        folder / "injection.bin", (folder / "injection.sha256").read_text(encoding="utf-8").strip()
    )


class Maker:
    """Samples without end, the same for the same seed, texts and tokenizer."""

    def __init__(
        self, train: Sequence[corpus.Row], tokenizer: Tokenizer, ngrams: _core.NgramScorer, seed: int = SEED
    ) -> None:
        self.random = random.Random(seed)
        self.tokenizer = tokenizer
        self.ngrams = ngrams
        harmless = [row for row in train if not row.label]
        self.generator = generate.Generator(seed + 1, [row.text for row in harmless if len(row.text) > 200])
        self.suspicious, self.others = self._mined(harmless)
        self.rare = [row.text for row in harmless if row.family in ("security_prose", "role_prompt")]
        self.chat = [row.text for row in harmless if row.family == "prompts"]
        self.jailbreaks = self._jailbreaks([row.text for row in train if row.label])
        harmless_kinds: list[tuple[float, Callable[[], str]]] = [
            (0.27, lambda: self.random.choice(self.suspicious)),
            (0.10, lambda: self.random.choice(self.others)),
            (0.08, lambda: self._piece(self.random.choice(self.rare))),
            (0.05, lambda: self._piece(self.random.choice(self.chat))),
            (0.08, self.generator.twin),
            (0.10, self.generator.trigger),
            (0.04, self.generator.prose),
            (0.08, self.generator.request),
            (0.07, self._instruction),
            (0.10, self._contained),
            (0.02, self.generator.mail),
            (0.01, self.generator.quoted),
        ]
        self._kinds = [make for _, make in harmless_kinds]
        self._shares = [share for share, _ in harmless_kinds]

    def _pieces(self, text: str) -> Iterator[str]:
        """Windows of characters that hold about as much as a window of tokens."""
        at = 0
        while at < len(text):
            yield text[at : at + 480]
            if at + 480 >= len(text):
                return
            at += 320

    def _mined(self, rows: Sequence[corpus.Row]) -> tuple[list[str], list[str]]:
        """The pieces that the n-grams find most suspicious, one in twelve, and as many others."""
        pieces = [piece for row in rows for piece in self._pieces(row.text[:12_000])]
        scores = [row[0] for row in self.ngrams.score_batch(pieces)]
        order = sorted(range(len(pieces)), key=lambda at: -scores[at])
        count = len(order) // 12
        others = self.random.sample(order[count:], min(count, len(order) - count))
        return [pieces[at] for at in order[:count]], [pieces[at] for at in others]

    def _jailbreaks(self, texts: Sequence[str]) -> list[str]:
        """Of each long attack the three pieces that the n-grams score highest, and its beginning."""
        out = []
        for text in texts:
            pieces = list(self._pieces(text[:12_000]))
            scores = [row[0] for row in self.ngrams.score_batch(pieces)]
            best = sorted(range(len(pieces)), key=lambda at: -scores[at])[:3]
            out += [pieces[at] for at in sorted({0, *best})]
        return out

    def _piece(self, text: str) -> str:
        at = self.random.randrange(max(1, len(text) - 400))
        return text[at : at + 480] if self.random.random() < 0.7 else text[:480]

    def _instruction(self) -> str:
        text = self.generator.instruction()
        return text if self.random.random() < 0.5 else "".join(self.generator.surrounded(text))

    def _contained(self) -> str:
        """A harmless order where attacks are put, too: the container says nothing."""
        make = self.generator.innocent
        return "".join(self.generator.surrounded(make()))

    def _attack(self) -> str:
        """Half of them for agents: what the encoder is mostly asked about lies in documents."""
        return self.generator.attack()[1] if self.random.random() < 0.6 else self.generator.to_reader()

    def _holding(self, before: str, attack: str, after: str) -> list[int]:
        """Tokens of a window that holds an attack, or its beginning if it is longer than a window."""
        encoded = self.tokenizer.encode(before + attack + after, add_special_tokens=False)
        begin, end = len(before), len(before) + len(attack)
        inside = [at for at, (a, b) in enumerate(encoded.offsets) if b > begin and a < end]
        if not inside:
            return list(encoded.ids[:WINDOW])
        first, last = inside[0], inside[-1] + 1
        size = max(min(last - first, WINDOW), self.random.randint(48, WINDOW))
        low, high = max(0, last - size), min(first, max(0, len(encoded.ids) - size))
        start = self.random.randint(min(low, high), max(low, high)) if last - first < size else first
        return list(encoded.ids[start : start + size])

    def positive(self) -> list[int]:
        """An attack: by itself, in a document, or a piece of a long one."""
        pick = self.random.random()
        if pick < 0.1 and self.jailbreaks:
            text = self.random.choice(self.jailbreaks)
            return list(self.tokenizer.encode(text, add_special_tokens=False).ids[:WINDOW])
        attack = self._attack()
        if pick < 0.4:
            return self._holding("", attack, "")
        return self._holding(*self.generator.surrounded(attack))

    def negative(self) -> list[int]:
        """A harmless window."""
        make = self.random.choices(self._kinds, self._shares)[0]
        ids = self.tokenizer.encode(make(), add_special_tokens=False).ids
        size = self.random.randint(48, WINDOW)
        start = self.random.randint(0, max(0, len(ids) - size))
        return list(ids[start : start + size])

    def samples(self, count: int, *, share: float = 0.45) -> list[Sample]:
        """`count` windows, `share` of them attacks."""
        return [(self.positive(), 1) if self.random.random() < share else (self.negative(), 0) for _ in range(count)]
