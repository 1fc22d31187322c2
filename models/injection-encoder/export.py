"""Turns trained weights into what is loaded: an int8 ONNX model, its vocabulary and its manifest.

    python export.py --trained OUT --data DIR --corpora DIR --out .

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
from pathlib import Path

import corpus_path  # noqa: F401 -- makes the modules of the n-grams importable

# isort: split
import corpus
import graph
import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file

from sift_fast import Scanner, _core
from sift_fast.classifier.cascade import RULE_WEIGHT
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
    digests: dict[str, tuple[str, str, int]], record: dict[str, object], band: dict[str, float], ngrams: str
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
    lines += [f"{name} = {value!r}" for name, value in band.items()]
    lines += ["", "# How it was trained.", "[training]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in record.items()]
    return "\n".join(lines) + "\n"


def write(out: Path, model: bytes, words: list[str], record: dict[str, object], band: dict[str, float]) -> None:
    """Model, vocabulary and manifest into a folder."""
    text = ("\n".join(words) + "\n").encode()
    contents = {"model": (MODEL, model), "vocabulary": (VOCABULARY, text)}
    digests = {}
    for kind, (name, content) in contents.items():
        (out / name).write_bytes(content)
        digests[kind] = (name, hashlib.sha256(content).hexdigest(), len(content))
    (out / "manifest.toml").write_text(manifest(digests, record, band, _core.NgramScorer().hash), encoding="utf-8")
