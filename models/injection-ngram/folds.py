"""The weights that `train.py --folds` wrote: a text that the shipped n-grams are fitted on is scored by others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sift_fast import _core

if TYPE_CHECKING:
    import corpus

#: The weights that are shipped, among those of folds.
SHIPPED = "shipped"


def scorers(folder: Path) -> dict[str, _core.NgramScorer]:
    """Weights by name: those of each fold, and what `train.py` made with them for everybody."""
    known = json.loads((folder / "folds.json").read_text(encoding="utf-8"))
    digests = {SHIPPED: known["shipped"], **known["sha256"]}
    return {name: _core.NgramScorer(folder / f"{name}.bin", digest) for name, digest in digests.items()}


def of(row: corpus.Row) -> str:
    """The weights that score a text: the shipped ones only where they are not fitted on it."""
    return str(row.fold) if row.fold >= 0 else SHIPPED


def logits(rows: Sequence[corpus.Row], known: dict[str, _core.NgramScorer], longest: int) -> list[float]:
    """What the n-grams say of texts that they were not fitted on; of each the first `longest` characters are read."""
    out = [0.0] * len(rows)
    for name in {of(row) for row in rows}:
        at = [number for number, row in enumerate(rows) if of(row) == name]
        found = known[name].score_batch([rows[number].text[:longest] for number in at])
        for number, row in zip(at, found, strict=True):
            out[number] = row[0]
    return out
