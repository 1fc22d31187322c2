"""Turns trained weights into what is loaded: an int8 ONNX model, its vocabulary and its manifest.

    python export.py --trained BEFORE --trained OUT --data DIR --corpora DIR --folds FOLDS --out .

Of several runs, each begun where the one before had ended, the mean of the weights is taken (Wortsman et al., "Model
soups", 2022): it errs less than the last of them and costs the same.
Weights become signed bytes, one scale for each output or word, activations bytes with a scale for each call (dynamic
quantisation); the last linear map stays in floats. Weights use seven of the eight bits, because
processors without VNNI add two products in 16 bits, and with eight they would overflow there and score otherwise.

How far the small model is from the floats is measured on windows of the development split, and what the cascade does
with its answers (`[band]`) is chosen there and on the calibration split, never on the test split.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import corpus_path  # noqa: F401 -- makes the modules of the n-grams importable

# isort: split
import band
import corpus
import folds
import graph
import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file

from sift_fast.classifier.encoder import FORMAT, Encoder
from sift_fast.classifier.wordpiece import SPECIAL, WordPiece

HEADS = 12
WINDOW = 128
WINDOWS = 16
MODEL, VOCABULARY = "model.onnx", "vocab.txt"


def small(weights: dict[str, np.ndarray], heads: int = HEADS) -> tuple[bytes, bytes]:
    """The model in floats, and in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        whole, part = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(graph.build(weights, heads), whole)
        quantize_dynamic(
            whole,
            part,
            op_types_to_quantize=["MatMul"],
            nodes_to_exclude=[graph.HEAD],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            extra_options={"DisableShapeInference": True},
        )
        return whole.read_bytes(), part.read_bytes()


def vocabulary(tokenizer: Path) -> list[str]:
    """The words of a trainer's tokenizer, in order."""
    known: dict[str, int] = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    words = sorted(known, key=known.__getitem__)
    if tuple(words[: len(SPECIAL)]) != SPECIAL or any("\n" in word for word in words):
        raise SystemExit("the tokenizer has another order of words than the encoder expects")
    return words


def averaged(folders: Sequence[Path]) -> dict[str, np.ndarray]:
    """The mean of the weights of trained models that have the same words."""
    if len({(folder / "tokenizer.json").read_bytes() for folder in folders}) != 1:
        raise SystemExit("models of different words have no mean: name runs that began with one another")
    models = [load_file(folder / "encoder.safetensors") for folder in folders]
    return {name: np.mean([model[name] for model in models], axis=0, dtype=np.float32) for name in models[0]}


def agreement(whole: bytes, part: bytes, windows: list[list[int]]) -> tuple[float, float]:
    """Largest difference of log-odds, and the correlation of both models over windows."""
    answers = []
    for model in (whole, part):
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        rows = [np.array([[2, *ids, 3]], dtype=np.int64) for ids in windows]
        answers.append(
            np.array([session.run(["logits"], {"ids": row, "mask": np.ones_like(row)})[0][0] for row in rows])
        )
    return float(np.abs(answers[0] - answers[1]).max()), float(np.corrcoef(*answers)[0, 1])


def manifest(
    digests: dict[str, tuple[str, str, int]], record: dict[str, object], settings: dict[str, float], ngrams: str
) -> str:
    """What the model is, for whoever loads it."""
    lines = [
        "# What this model is; written by export.py. Nothing is loaded unless the hashes fit.",
        f'format = "{FORMAT}"',
        'name = "injection-encoder"',
        'licence = "Apache-2.0"',
        f"window_tokens = {WINDOW}",
        f"windows = {WINDOWS}",
        f'ngrams_sha256 = "{ngrams}"',
    ]
    for kind, (name, digest, size) in digests.items():
        lines += ["", f"[{kind}]", f'file = "{name}"', f'sha256 = "{digest}"', f"bytes = {size}"]
    lines += ["", "# Log-odds: which texts the encoder is asked about, and what its answer adds.", "[band]"]
    lines += [f"{name} = {value!r}" for name, value in settings.items()]
    lines += ["", "# How it was trained.", "[training]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in record.items()]
    return "\n".join(lines) + "\n"


def write(
    out: Path, model: bytes, words: list[str], record: dict[str, object], settings: dict[str, float], ngrams: str
) -> None:
    """Model, vocabulary and manifest into a folder; `ngrams` is the hash of the n-grams that it is for."""
    text = ("\n".join(words) + "\n").encode()
    contents = {"model": (MODEL, model), "vocabulary": (VOCABULARY, text)}
    digests = {}
    for kind, (name, content) in contents.items():
        (out / name).write_bytes(content)
        digests[kind] = (name, hashlib.sha256(content).hexdigest(), len(content))
    (out / "manifest.toml").write_text(manifest(digests, record, settings, ngrams), encoding="utf-8")


def main() -> None:
    """Export."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--trained", type=Path, required=True, action="append", help="what train.py wrote; several: mean"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl.gz and benign_chat.jsonl.gz")
    parser.add_argument("--corpora", type=Path, help="folder of general corpora")
    parser.add_argument("--folds", type=Path, required=True, help="folder that `train.py --folds` of the n-grams wrote")
    parser.add_argument("--packages", action="append", default=[], help="more folders of installed Python packages")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    options = parser.parse_args()
    record = json.loads((options.trained[-1] / "record.json").read_text(encoding="utf-8"))
    record["runs_averaged"] = len(options.trained)
    words = vocabulary(options.trained[-1] / "tokenizer.json")
    whole, part = small(averaged(options.trained))

    rows = corpus.collected(options.data) + corpus.local(options.packages)
    rows += corpus.corpora(options.corpora) if options.corpora else []
    harmless, attacks = band.chosen(corpus.unique(rows))
    ngrams = folds.scorers(options.folds)
    calm, loud = (band.first_two(part, ngrams) for part in (harmless, attacks))
    low = band.low(harmless, calm)
    settings = {"low": low, "high": band.HIGH, "weight": 0.0, "offset": 0.0, "most": band.MOST, "threshold": 0.0}
    write(options.out, part, words, record, settings, ngrams[folds.SHIPPED].hash)

    cutter = WordPiece(words)
    windows = [cutter.encode(row.text[:480])[: WINDOW - 2] for row in (*attacks[:200], *harmless[::40][:200])]
    furthest, alike = agreement(whole, part, [ids for ids in windows if ids])
    print(
        f"{len(whole):,} bytes in floats, {len(part):,} in bytes; log-odds differ by {furthest:.2f} at most, r={alike:.4f}"
    )

    encoder = Encoder.open(options.out, ngrams=ngrams[folds.SHIPPED])

    def asked(rows: Sequence[corpus.Row], before: np.ndarray) -> np.ndarray:
        out = np.full(len(rows), -np.inf)
        for at, row in enumerate(rows):
            if encoder.band.holds(before[at]):
                logit = encoder.judge([row.text[: band.LONGEST]])[0].logit
                out[at] = -np.inf if logit is None else logit
        return out

    families = [row.family for row in attacks]
    answers = asked(harmless, calm), asked(attacks, loud)
    weight, offset, threshold, recall = band.best((calm, answers[0]), (loud, answers[1]), families)
    without = band.best((calm, np.full_like(calm, -np.inf)), (loud, np.full_like(loud, -np.inf)), families)[3]
    settings |= {"weight": weight, "offset": offset, "threshold": threshold}
    write(options.out, part, words, record, settings, ngrams[folds.SHIPPED].hash)
    print(f"{(calm > low).mean():.1%} of {len(harmless):,} harmless texts are asked about; {settings}")
    print(f"mean recall of the families on the development split {recall:.3f}, without the encoder {without:.3f}")


if __name__ == "__main__":
    main()
