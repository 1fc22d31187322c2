"""Trains the n-gram scorer and writes its weights, manifest and the vectors that hold Rust to `features.py`.

    python train.py --data DIR --out ../../rust/sift-ngram/data

A logistic regression over hashed n-grams of windows. An attack counts with the window that holds it; a long
jailbreak with the window that scores highest so far, a harmless text with those that score highest so far: the score
of a text is that of its best window, so these are the ones that decide. Hence rounds: fit, choose windows, fit again.
Weights are then rounded to one signed byte each. Deterministic for a seed, a machine's files and library versions.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import struct
import time
from pathlib import Path

import corpus
import features
import generate
import numpy as np
from scipy import optimize, sparse

MAGIC = b"sift-ngram\x00\x01"
SEED = 8
#: Strength of the L2 penalty, per sample: chosen on jailbreaks and phrases held out of training, not of the test.
PENALTY = 3e-6
ROUNDS = 3
#: Harmless windows above this count more in the next round, by this factor.
NEAR, NEAR_WEIGHT = -2.0, 3.0
#: Families of harmless text that are few and hard count more.
HARD = {"security_prose": 4.0, "role_prompt": 3.0, "prompts": 1.5}


class Windows:
    """Windows of texts as rows of a sparse matrix."""

    def __init__(self) -> None:
        self.indices: list[np.ndarray] = []
        self.scales: list[float] = []
        self.text: list[int] = []

    def add(self, folded: bytes, text: int, spans: list[tuple[int, int]]) -> None:
        """Adds the windows of one text."""
        positions, indices = features.features(folded)
        order = np.argsort(positions, kind="stable")
        positions, indices = positions[order], indices[order]
        for begin, end in spans:
            low, high = np.searchsorted(positions, (begin, end))
            self.indices.append(indices[low:high])
            self.scales.append(features.scale(end - begin))
            self.text.append(text)

    def matrix(self) -> sparse.csr_matrix:
        """One row for a window, a value for each of its features."""
        starts = np.concatenate([[0], np.cumsum([len(row) for row in self.indices])])
        values = np.repeat(np.array(self.scales, dtype=np.float32), np.diff(starts))
        columns = np.concatenate(self.indices) if self.indices else np.zeros(0, dtype=np.int32)
        return sparse.csr_matrix((values, columns, starts), shape=(len(self.indices), 1 << features.BITS))


def spans_every(length: int, step: int) -> list[tuple[int, int]]:
    """Every `step`-th window of a text, and the last one."""
    spans = features.windows(length)
    return spans[::step] if (len(spans) - 1) % step == 0 else [*spans[::step], spans[-1]]


def holding(before: bytes, attack: bytes, length: int) -> list[tuple[int, int]]:
    """The windows that hold an attack whole, or the one at its beginning."""
    begin, end = len(before), len(before) + len(attack)
    spans = features.windows(length)
    whole = [span for span in spans if span[0] <= begin and end <= span[1]]
    return whole or [spans[min(begin // features.BLOCK, len(spans) - 1)]]


def fit(matrix: sparse.csr_matrix, labels: np.ndarray, weight: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Logistic regression by L-BFGS; the last of the numbers is the bias."""
    total = weight.sum()
    transposed = matrix.T.tocsr()

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        logits = matrix @ x[:-1].astype(np.float32) + x[-1]
        signed = np.where(labels, -logits, logits).astype(np.float64)
        value = (weight * np.logaddexp(0, signed)).sum() / total + 0.5 * PENALTY * (x[:-1] ** 2).sum()
        error = (weight * (1 / (1 + np.exp(-logits.astype(np.float64))) - labels) / total).astype(np.float32)
        gradient = np.concatenate([(transposed @ error).astype(np.float64) + PENALTY * x[:-1], [error.sum()]])
        return value, gradient

    result = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 60, "maxcor": 8})
    return np.asarray(result.x)


def attacks(maker: generate.Generator, jailbreaks: list[str], count: int) -> tuple[Windows, list[float]]:
    """Windows that hold attacks, and how much each text of them counts."""
    windows, weight = Windows(), []
    source = random.Random(SEED + 1)
    for _ in range(count):
        kind, attack = maker.attack()
        pick = source.random()
        if pick < (0.35 if kind != "indirect" else 0.1):
            before, after = "", ""
        else:
            before, attack, after = maker.surrounded(attack)
        head, body = features.fold(before), features.fold(attack)
        folded = features.fold(before + attack + after)
        spans = holding(head, body, len(folded))
        windows.add(folded, len(weight), source.sample(spans, min(2, len(spans))))
        weight.append(1.0)
    for text in jailbreaks:
        folded = features.fold(text)
        windows.add(folded, len(weight), features.windows(len(folded))[:200])
        weight.append(2.0)
    return windows, weight


def best(scores: np.ndarray, texts: np.ndarray, most: int) -> np.ndarray:
    """Which windows to take: the `most` highest of each text."""
    order = np.lexsort((-scores, texts))
    ordered = texts[order]
    first = np.searchsorted(ordered, ordered)
    return order[np.arange(len(order)) - first < most]


def quantise(x: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights as signed bytes, and what one unit is worth."""
    unit = float(np.quantile(np.abs(x), 0.9999)) / 127
    return np.clip(np.rint(x / unit), -127, 127).astype(np.int8), unit


def blob(table: np.ndarray, unit: float, bias: float) -> bytes:
    """The file that Rust reads: magic, bits, gram, block, blocks, shortest, unit and bias, then the weights."""
    head = (features.BITS, features.GRAM, features.BLOCK, features.BLOCKS, features.SHORTEST)
    return MAGIC + struct.pack("<5I2f", *head, unit, bias) + table.tobytes()


def manifest(digest: str, size: int, texts: int, attacks: int) -> str:
    """What the weights are, for whoever loads them."""
    return f"""# What these weights are; written by train.py. tests/package/test_models.py holds it against the file.
name = "injection-ngram"
kind = "hashed n-grams, linear, one signed byte a weight"
file = "rust/sift-ngram/data/injection.bin"
sha256 = "{digest}"
bytes = {size}
bits = {features.BITS}
licence = "Apache-2.0"
seed = {SEED}
collected_and_local_texts = {texts}
generated_attacks = {attacks}
"""


def text_score(text: str, weights: np.ndarray, bias: float) -> float:
    """The logit of a text."""
    return float(features.scores(features.fold(text), weights, bias).max())


def vectors(weights: np.ndarray, bias: float) -> list[dict[str, object]]:
    """Texts with their features and scores, for the tests of both sides."""
    maker = generate.Generator(SEED + 5, ["A page about bread. It rises.\nThen it is baked."])
    source = random.Random(SEED + 6)
    texts = ["", " ", "a", "word", "two words", "\u200b\u200b", "0123456789", "日本語のテキスト", "x" * 700, "é" * 300]
    texts += [maker.attack()[1] for _ in range(25)] + [maker.twin() for _ in range(15)]
    texts += ["".join(maker.surrounded(maker.direct())) for _ in range(15)]
    texts += [" ".join(maker.twin() for _ in range(12)) for _ in range(5)]
    texts += [
        "".join(chr(source.choice((source.randrange(32, 127), source.randrange(0xA1, 0x24F)))) for _ in range(90))
    ]
    out: list[dict[str, object]] = []
    for text in texts:
        folded = features.fold(text)
        positions, indices = features.features(folded)
        pairs = sorted(zip(positions.tolist(), indices.tolist(), strict=True))
        digest = hashlib.sha256(b"".join(struct.pack("<II", *pair) for pair in pairs)).hexdigest()
        out.append({"text": text, "features": len(pairs), "sha256": digest, "score": text_score(text, weights, bias)})
    return out


def main() -> None:  # noqa: PLR0915 -- one recipe, from top to bottom
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl.gz and benign_chat.jsonl.gz")
    parser.add_argument("--corpora", type=Path, help="folder of general corpora, kept out of training")
    parser.add_argument("--packages", action="append", default=[], help="more folders of installed Python packages")
    parser.add_argument("--out", type=Path, required=True, help="where weights and vectors go")
    parser.add_argument("--attacks", type=int, default=50_000)
    parser.add_argument("--twins", type=int, default=24_000)
    options = parser.parse_args()
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)

    rows = corpus.collected(options.data) + corpus.local(options.packages)
    rows += corpus.corpora(options.corpora) if options.corpora else []
    rows = corpus.unique(rows)
    train = corpus.drop_near(
        [row for row in rows if row.split == corpus.TRAIN],
        [row for row in rows if row.split in (corpus.TEST, corpus.DEVELOPMENT) and row.label],
    )
    benign = [row for row in train if not row.label]
    say(f"{len(train)} texts for training, {len(benign)} of them harmless")

    maker = generate.Generator(SEED, [row.text for row in benign if len(row.text) > 200])
    positive, weight = attacks(maker, [row.text for row in train if row.label], options.attacks)
    negative = Windows()
    harmless = [row.text for row in benign]
    for make, share in ((maker.twin, 1.0), (maker.request, 1.0), (maker.mail, 0.25), (maker.quoted, 0.05)):
        harmless += [make() for _ in range(int(options.twins * share))]
    for number, text in enumerate(harmless):
        folded = features.fold(text)
        negative.add(folded, number, spans_every(len(folded), 3))
    say(f"{len(positive.text)} windows of attacks, {len(negative.text)} harmless ones")

    of_harmless = np.array([HARD.get(row.family, 1.0) for row in benign] + [1.0] * (len(harmless) - len(benign)))
    plus, minus = positive.matrix(), negative.matrix()
    plus_text, minus_text = np.array(positive.text), np.array(negative.text)
    per_text = np.array(weight)
    jail = per_text[plus_text] > 1
    x = np.zeros((1 << features.BITS) + 1)
    source = np.random.default_rng(SEED)
    for number in range(ROUNDS):
        if number == 0:
            use_plus = np.flatnonzero(~jail | (source.random(len(jail)) < 0.15))
            use_minus = best(source.random(len(minus_text)), minus_text, 3)
        else:
            scores = plus @ x[:-1].astype(np.float32)
            use_plus = np.concatenate(
                [np.flatnonzero(~jail), np.flatnonzero(jail)[best(scores[jail], plus_text[jail], 3)]]
            )
            scores = minus @ x[:-1].astype(np.float32)
            use_minus = np.union1d(best(scores, minus_text, 3), best(source.random(len(minus_text)), minus_text, 1))
        matrix = sparse.vstack([plus[use_plus], minus[use_minus]]).tocsr()
        labels = np.concatenate([np.ones(len(use_plus), bool), np.zeros(len(use_minus), bool)])
        weights = np.concatenate([per_text[plus_text[use_plus]], of_harmless[minus_text[use_minus]]])
        if number:
            # What is nearly flagged decides the rate of false positives.
            weights[len(use_plus) :] *= np.where(scores[use_minus] > NEAR, NEAR_WEIGHT, 1.0)
        x = fit(matrix, labels, weights, x)
        say(f"round {number}: {matrix.shape[0]} windows, bias {x[-1]:.2f}")

    table, unit = quantise(x[:-1])
    bias = float(np.float32(x[-1]))
    unit = float(np.float32(unit))
    raw = blob(table, unit, bias)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "injection.bin").write_bytes(raw)
    digest = hashlib.sha256(raw).hexdigest()
    (options.out / "injection.sha256").write_text(f"{digest}\n", encoding="utf-8")
    (options.out / "manifest.toml").write_text(manifest(digest, len(raw), len(train), len(weight)), encoding="utf-8")
    dequantised = table.astype(np.float64) * unit
    lines = [json.dumps(vector, ensure_ascii=True) for vector in vectors(dequantised, bias)]
    (options.out / "vectors.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    say(f"weights sha256 {digest}, {len(raw)} bytes, {(table != 0).mean():.1%} not zero")


if __name__ == "__main__":
    main()
