"""Chooses what the cascade does with the encoder's answers, on harmless and attack texts that are not the test split.

`low` lets at most 3 in 100 harmless texts through to the encoder: on the development split more found no more. Weight and offset are those with the best mean
recall of the families at 1 % and 0.1 % of harmless texts; the threshold leaves 0.1 % of them above.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Sequence

import corpus_path  # noqa: F401 -- makes the modules of the n-grams importable

# isort: split
import corpus
import folds
import numpy as np

from sift_fast import Scanner, _core
from sift_fast.classifier.cascade import RULE_WEIGHT

#: The largest share of harmless texts that may reach the encoder.
SHARE = 0.03
HIGH = 4.0
MOST = 8.0
#: Most texts of one family of the calibration split, as in `../injection-ngram/evaluate.py`.
FAMILY = 1500
LONGEST = 30_000


def chosen(rows: Sequence[corpus.Row]) -> tuple[list[corpus.Row], list[corpus.Row]]:
    """Harmless texts of both splits, and the attacks of the development split."""
    count: collections.Counter[str] = collections.Counter()
    harmless, attacks = [], []
    for row in rows:
        if row.label and row.split == corpus.DEVELOPMENT:
            attacks.append(row)
        elif not row.label and row.split in (corpus.CALIBRATION, corpus.DEVELOPMENT):
            count[row.split + row.family] += 1
            if count[row.split + row.family] <= FAMILY:
                harmless.append(row)
    return harmless, attacks


def first_two(rows: Sequence[corpus.Row], ngrams: dict[str, _core.NgramScorer]) -> np.ndarray:
    """Log-odds of rules and n-grams together, the n-grams being those that were not fitted on the text."""
    cut = [row.text[:LONGEST] for row in rows]
    batch = Scanner(["injection"]).scan_batch(cut)
    rules = [max((finding.score for finding in batch[number]), default=0.0) for number in range(len(cut))]
    return np.array(folds.logits(rows, ngrams, LONGEST)) + RULE_WEIGHT * np.array(rules)


def low(harmless: Sequence[corpus.Row], scores: np.ndarray) -> float:
    """The lower end of the band, for either split of its own: new kinds of text must not reach it more often."""
    found = []
    for split in (corpus.CALIBRATION, corpus.DEVELOPMENT):
        own = np.array([row.split == split for row in harmless])
        found.append(float(np.quantile(scores[own], 1 - SHARE)))
    return round(max(found), 2)


def together(before: np.ndarray, answers: np.ndarray, weight: float, offset: float) -> np.ndarray:
    """The score of all three: `answers` are -inf where the encoder was not asked."""
    return before + np.clip(weight * (answers - offset), 0, MOST)


def best(
    harmless: tuple[np.ndarray, np.ndarray], attacks: tuple[np.ndarray, np.ndarray], families: Sequence[str]
) -> tuple[float, float, float, float]:
    """Weight, offset, threshold and the mean recall that they have."""
    names = sorted(set(families))
    of = np.array(families)
    found = []
    for weight, offset in itertools.product((0.25, 0.5, 0.75, 1.0, 1.5, 2.0), np.arange(-4, 4.1, 0.5)):
        quiet = together(*harmless, weight, offset)
        loud = together(*attacks, weight, offset)
        recall = 0.0
        for share in (0.99, 0.999):
            limit = np.quantile(quiet, share)
            recall += float(np.mean([(loud[of == name] > limit).mean() for name in names])) / 2
        found.append((recall, weight, float(offset)))
    recall, weight, offset = max(found)
    threshold = round(float(np.quantile(together(*harmless, weight, offset), 0.999)), 2)
    return weight, offset, threshold, recall
