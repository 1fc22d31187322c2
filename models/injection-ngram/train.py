"""Trains the n-gram scorer and writes its weights, manifest and the vectors that hold Rust to `features.py`.

    python train.py --data DIR --out ../../rust/sift-ngram/data --folds FOLDS

`--folds` names the folder for weights that `evaluate.py` alone uses: each is fitted without one group of sources
(`corpus.FOLDS`), and, for deepset, without one fifth of it.

A logistic regression over hashed n-grams of windows. An attack counts with the window that holds it; a long
jailbreak with the window that scores highest so far, a harmless text with those that score highest so far: the score
of a text is that of its best window, so these are the ones that decide. Hence rounds: fit, choose windows, fit again.
Weights are then rounded to one signed byte each. Deterministic for a seed, a machine's files and library versions.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import random
import shutil
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import corpus
import features
import generate
import numpy as np
from scipy import optimize, sparse

SHIPPED = "shipped"
MAGIC = b"sift-ngram\x00\x02"
SEED = 8
#: Strength of the L2 penalty, per sample: chosen on jailbreaks and phrases held out of training, not of the test.
PENALTY = 3e-6
#: Rounds without any fold, and more of them from there on for each fold and for what is shipped.
ROUNDS, AGAIN = 3, 1
#: Steps of L-BFGS in a round, from nothing and from weights that are nearly right.
STEPS, STEPS_AGAIN = 60, 40
#: Harmless windows above these log-odds count more in the next round, by this factor.
NEAR, NEAR_WEIGHT = -4.0, 3.0
#: Windows that are this far on the right side have next to no say: of them one in `THIN` is taken for all.
EASY, THIN = 4.5, 8
#: Share of the machine's texts that are read: more of them made no difference.
LOCAL_SHARE = 0.35
#: Longest of what people asked that is put where attacks are.
ASKED = 300
#: Processes that compute features and fit folds.
WORKERS = 2
#: Families of harmless text that are few and hard count more.
HARD = {"security_prose": 4.0, "role_prompt": 3.0, "hard_negative": 2.0, "prompts": 1.5}
#: Attacks that were found count more than those of the generator, those by people most.
FOUND = {"direct_human": 3.0, "direct_other": 3.0, "jailbreak": 2.0}


class Windows:
    """Windows of texts as rows of a sparse matrix."""

    def __init__(self) -> None:
        self.indices: list[np.ndarray] = []
        self.scales: list[float] = []
        self.text: list[int] = []
        self.kinds: list[int] = []

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
            self.kinds.append(features.kind(begin, end, len(folded)))

    def matrix(self) -> sparse.csr_matrix:
        """One row for a window, a value for each of its features."""
        starts = np.concatenate([[0], np.cumsum([len(row) for row in self.indices])])
        values = np.repeat(np.array(self.scales, dtype=np.float32), np.diff(starts))
        columns = np.concatenate(self.indices) if self.indices else np.zeros(0, dtype=np.int32)
        grams = sparse.csr_matrix((values, columns, starts), shape=(len(self.indices), 1 << features.BITS))
        kinds = sparse.csr_matrix(np.array(self.kinds)[:, None] == np.arange(1, features.KINDS), dtype=np.float32)
        return sparse.hstack([grams, kinds], format="csr")

    def join(self, more: Windows) -> None:
        """Adds the windows of others, whose texts are numbered on."""
        first = self.text[-1] + 1 if self.text else 0
        self.indices += more.indices
        self.scales += more.scales
        self.kinds += more.kinds
        self.text += [first + number for number in more.text]


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


def fit(matrix: sparse.csr_matrix, labels: np.ndarray, weight: np.ndarray, start: np.ndarray, steps: int) -> np.ndarray:
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

    result = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": steps, "maxcor": 8})
    return np.asarray(result.x)


def generated(maker: generate.Generator, count: int) -> Windows:
    """Windows that hold attacks of the generator."""
    windows = Windows()
    source = random.Random(SEED + 1)
    for number in range(count):
        kind, attack = maker.attack()
        pick = source.random()
        if pick < (0.35 if kind != "indirect" else 0.1):
            before, after = "", ""
        elif pick < 0.55 and kind == "direct":
            before, attack, after = maker.among(attack)
        else:
            before, attack, after = maker.surrounded(attack)
        head, body = features.fold(before), features.fold(attack)
        folded = features.fold(before + attack + after)
        spans = holding(head, body, len(folded))
        windows.add(folded, number, source.sample(spans, min(2, len(spans))))
    return windows


def _written(job: tuple[Sequence[str], int]) -> Windows:
    texts, step = job
    windows = Windows()
    for number, text in enumerate(texts):
        folded = features.fold(text)
        windows.add(folded, number, spans_every(len(folded), step)[:200])
    return windows


def written(texts: Sequence[str], step: int) -> Windows:
    """Every `step`-th window of texts that were found, not made: which of them count is chosen in rounds."""
    windows = Windows()
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        for part in pool.imap(_written, [(texts[at : at + 2000], step) for at in range(0, len(texts), 2000)]):
            windows.join(part)
    return windows


@dataclass(frozen=True)
class Part:
    """Windows of one label. `text` is of windows, the rest of texts."""

    matrix: sparse.csr_matrix
    text: np.ndarray
    #: How much a text counts.
    weight: np.ndarray
    #: Whether its windows are chosen anew each round, or all are used.
    mined: np.ndarray

    def of_texts(self, per_text: np.ndarray) -> np.ndarray:
        """For each window what its text has."""
        return per_text[self.text]


def joined(kinds: Sequence[tuple[Windows, Sequence[float], bool]]) -> Part:
    """Several kinds of texts of one label: windows, what their texts count, whether they are mined."""
    windows = Windows()
    weight: list[float] = []
    mined: list[bool] = []
    for more, weights, chosen in kinds:
        windows.indices += more.indices
        windows.scales += more.scales
        windows.kinds += more.kinds
        windows.text += [number + len(weight) for number in more.text]
        weight += weights
        mined += [chosen] * len(weights)
    return Part(windows.matrix(), np.array(windows.text), np.array(weight), np.array(mined))


def thinned(is_easy: np.ndarray, luck: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which windows to take, and what they count: of easy ones one in `THIN`, for all of them."""
    take = ~is_easy | (luck < 1 / THIN)
    return np.flatnonzero(take), np.where(is_easy[take], float(THIN), 1.0)


def rounds(plus: Part, minus: Part, kept: tuple[np.ndarray, np.ndarray], x: np.ndarray, count: int) -> np.ndarray:
    """Weights fitted in `count` rounds to the texts that are kept, from `x` on."""
    source = np.random.default_rng(SEED)
    in_plus, in_minus = plus.of_texts(kept[0]), minus.of_texts(kept[1])
    fixed = np.flatnonzero(in_plus & ~plus.of_texts(plus.mined))
    open_plus = np.flatnonzero(in_plus & plus.of_texts(plus.mined))
    open_minus = np.flatnonzero(in_minus)
    begin = not x.any()
    steps = STEPS if begin else STEPS_AGAIN
    for _ in range(count):
        luck = source.random(len(open_minus))
        if begin:
            use_plus = np.concatenate([fixed, open_plus[source.random(len(open_plus)) < 0.15]])
            use_minus = open_minus[best(luck, minus.text[open_minus], 1)]
            factor_plus, factor_minus = np.ones(len(use_plus)), np.ones(len(use_minus))
        else:
            weights = x[:-1].astype(np.float32)
            scores = plus.matrix @ weights + x[-1]
            use_plus = np.concatenate([fixed, open_plus[best(scores[open_plus], plus.text[open_plus], 3)]])
            taken, factor_plus = thinned(scores[use_plus] > EASY, source.random(len(use_plus)))
            use_plus = use_plus[taken]
            scores = minus.matrix @ weights + x[-1]
            high = best(scores[open_minus], minus.text[open_minus], 3)
            use_minus = open_minus[np.union1d(high, best(luck, minus.text[open_minus], 1))]
            taken, factor_minus = thinned(scores[use_minus] < -EASY, source.random(len(use_minus)))
            use_minus = use_minus[taken]
            # What is nearly flagged decides the rate of false positives.
            factor_minus = factor_minus * np.where(scores[use_minus] > NEAR, NEAR_WEIGHT, 1.0)
        matrix = sparse.vstack([plus.matrix[use_plus], minus.matrix[use_minus]]).tocsr()
        labels = np.concatenate([np.ones(len(use_plus), bool), np.zeros(len(use_minus), bool)])
        weight = np.concatenate(
            [plus.weight[plus.text[use_plus]] * factor_plus, minus.weight[minus.text[use_minus]] * factor_minus]
        )
        x, begin = fit(matrix, labels, weight, x, steps), False
    return x


def best(scores: np.ndarray, texts: np.ndarray, most: int) -> np.ndarray:
    """Which windows to take: the `most` highest of each text."""
    order = np.lexsort((-scores, texts))
    ordered = texts[order]
    first = np.searchsorted(ordered, ordered)
    return order[np.arange(len(order)) - first < most]


def quantise(x: np.ndarray) -> tuple[np.ndarray, float, list[float]]:
    """Weights as signed bytes, what one unit is worth, and the bias of each kind of window."""
    table = x[: 1 << features.BITS]
    unit = float(np.float32(np.quantile(np.abs(table), 0.9999) / 127))
    more = x[1 << features.BITS : -1]
    biases = [float(np.float32(x[-1] + value)) for value in (0.0, *more)]
    return np.clip(np.rint(table / unit), -127, 127).astype(np.int8), unit, biases


def weights_file(table: np.ndarray, unit: float, biases: Sequence[float]) -> bytes:
    """The file that Rust reads: magic, bits, gram, block, blocks, short, shortest, unit and biases, then the weights."""
    head = (features.BITS, features.GRAM, features.BLOCK, features.BLOCKS, features.SHORT, features.SHORTEST)
    return MAGIC + struct.pack(f"<6I{1 + features.KINDS}f", *head, unit, *biases) + table.tobytes()


def write(out: Path, x: np.ndarray, texts: int, attacks: int) -> str:
    """Weights, their hash, which is given back, the manifest and the vectors."""
    table, unit, biases = quantise(x)
    raw = weights_file(table, unit, biases)
    digest = hashlib.sha256(raw).hexdigest()
    out.mkdir(parents=True, exist_ok=True)
    (out / "injection.bin").write_bytes(raw)
    (out / "injection.sha256").write_text(f"{digest}\n", encoding="utf-8")
    (out / "manifest.toml").write_text(manifest(digest, len(raw), texts, attacks), encoding="utf-8")
    lines = [json.dumps(vector, ensure_ascii=True) for vector in vectors(table.astype(np.float64) * unit, biases)]
    (out / "vectors.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return digest


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


def text_score(text: str, weights: np.ndarray, biases: Sequence[float]) -> float:
    """The logit of a text."""
    return float(features.scores(features.fold(text), weights, biases).max())


def vectors(weights: np.ndarray, biases: Sequence[float]) -> list[dict[str, object]]:
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
        out.append({"text": text, "features": len(pairs), "sha256": digest, "score": text_score(text, weights, biases)})
    return out


def main() -> None:  # noqa: PLR0915 -- one recipe, from top to bottom
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl.gz and benign_chat.jsonl.gz")
    parser.add_argument("--corpora", type=Path, help="folder of general corpora, kept out of training")
    parser.add_argument("--packages", action="append", default=[], help="more folders of installed Python packages")
    parser.add_argument("--out", type=Path, required=True, help="where weights and vectors go")
    parser.add_argument("--folds", type=Path, help="where weights for measuring go, one file for each fold")
    parser.add_argument("--attacks", type=int, default=40_000)
    parser.add_argument("--twins", type=int, default=13_000)
    options = parser.parse_args()
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)

    rows = corpus.collected(options.data) + corpus.local(options.packages, limit=LOCAL_SHARE)
    rows += corpus.corpora(options.corpora) if options.corpora else []
    fold = corpus.fold_of("templates/")
    for label, text in generate.held_in_training(SEED):
        rows.append(corpus.Row(text, label, "languages_held_out", "templates/", "", corpus.TRAIN, fold))
    rows = corpus.unique(rows)
    everything = [row for row in rows if row.label and row.fold != corpus.NEVER]
    useful = np.array([corpus.for_training(row) for row in everything])
    fifths = corpus.fifths(rows)
    rows = [row for row in rows if corpus.for_training(row)]
    found, benign = [row for row in rows if row.label], [row for row in rows if not row.label]
    say(f"{len(found)} attacks that were found, {len(benign)} harmless texts")

    # What attacks are put into is in the training of all weights: none says anything of a fold.
    always = [row for row in benign if row.fold == corpus.ALWAYS]
    asked = [row.text for row in always if row.family == "prompts" and len(row.text) <= ASKED]
    maker = generate.Generator(SEED, [row.text for row in always if len(row.text) > 200], asked)
    attacks = generated(maker, options.attacks)
    made = [make() for make, share in maker.harmless for _ in range(int(options.twins * share))]
    plus = joined(
        [
            (attacks, [1.0] * options.attacks, False),
            (written([row.text for row in found], 1), [FOUND.get(row.family, 1.0) for row in found], True),
        ]
    )
    minus = joined(
        [
            (written([row.text for row in benign], 3), [corpus.weight(row, HARD) for row in benign], True),
            (written(made, 3), [1.0] * len(made), True),
        ]
    )
    say(f"{len(plus.text)} windows of attacks, {len(minus.text)} harmless ones")

    near = corpus.Near([row.text for row in everything])

    def kept(is_held: Callable[[corpus.Row], bool]) -> tuple[np.ndarray, np.ndarray]:
        """Which texts are trained with if these are held out, and what is near to an attack among them."""
        out = near.to(np.array([is_held(row) for row in everything]))[useful]
        harmless = np.array([not is_held(row) for row in benign])
        return np.concatenate([np.ones(options.attacks, bool), ~out]), np.concatenate(
            [harmless, np.ones(len(made), bool)]
        )

    def of_fold(number: int) -> Callable[[corpus.Row], bool]:
        return lambda row: corpus.held(row, number)

    def of_fifth(number: int) -> Callable[[corpus.Row], bool]:
        return lambda row: row.source == corpus.PEOPLE and fifths[row.text] == number

    x = np.zeros((1 << features.BITS) + features.KINDS)
    x = rounds(plus, minus, kept(lambda row: row.fold != corpus.ALWAYS), x, ROUNDS)
    say(f"without any fold: bias {x[-1]:.2f}")
    held: dict[str, Callable[[corpus.Row], bool]] = {SHIPPED: lambda _: False}
    if options.folds is not None:
        options.folds.mkdir(parents=True, exist_ok=True)
        held |= {str(fold): of_fold(fold) for fold in range(len(corpus.FOLDS))}
        held |= {f"{corpus.PEOPLE}-{number}": of_fifth(number) for number in range(corpus.FIFTHS)}
    _FITS.update(
        {name: lambda is_held=is_held: rounds(plus, minus, kept(is_held), x, AGAIN) for name, is_held in held.items()}
    )
    hashes = {}
    with multiprocessing.get_context("fork").Pool(WORKERS, maxtasksperchild=1) as pool:
        for name, fitted in pool.imap(_fitted, held, chunksize=1):
            if name == SHIPPED:
                digest = write(options.out, fitted, len(rows), options.attacks)
                say(f"weights sha256 {digest}")
                if options.folds is not None:
                    shutil.copy(options.out / "injection.bin", options.folds / f"{SHIPPED}.bin")
                continue
            raw = weights_file(*quantise(fitted))
            (options.folds / f"{name}.bin").write_bytes(raw)
            hashes[name] = hashlib.sha256(raw).hexdigest()
            document = {SHIPPED: digest, "sha256": hashes}
            (options.folds / "folds.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
            say(f"without {name}: {sum(map(held[name], everything))} attacks, {sum(map(held[name], benign))} harmless")


#: What the processes fit, by name: they are forked and find it here.
_FITS: dict[str, Callable[[], np.ndarray]] = {}


def _fitted(name: str) -> tuple[str, np.ndarray]:
    return name, _FITS[name]()


if __name__ == "__main__":
    main()
