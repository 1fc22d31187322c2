"""The look-alike engines against recorded results of the real packages, which are not needed here.

`scripts/presidio_vectors.py` records them; `test_real.py` compares the record with the packages where they are.
"""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

import sift_fast as sf
from sift_fast.integrations import presidio

ROOT = Path(__file__).parents[3]


def recorder():
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("presidio_vectors", ROOT / "scripts" / "presidio_vectors.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RECORDER = recorder()
VECTORS = [json.loads(line) for line in RECORDER.FILE.read_text(encoding="utf-8").splitlines()]


def of(kind):
    found = [vector for vector in VECTORS if vector["kind"] == kind]
    assert found
    return found


def test_what_is_recorded_is_enough():
    kinds = {vector["kind"] for vector in VECTORS}
    assert kinds == {"anonymize", "compare", "duplicates", "decrypt", "analyze"}
    refused = [vector for vector in of("anonymize") if vector["wanted"] is None]
    assert 10 < len(refused) < 100
    assert sum(bool(vector["wanted"]) for vector in of("analyze")) > 20
    # Each operator has edited something.
    done = {item["operator"] for vector in of("anonymize") if vector["wanted"] for item in vector["wanted"][1]}
    assert done == {name for name, _ in RECORDER.OPERATORS} - {"nothing"}


@pytest.mark.parametrize("number", range(len(of("anonymize"))))
def test_anonymizers_agree(number):
    vector = of("anonymize")[number]
    assert RECORDER.anonymized(presidio, vector) == vector["wanted"]


def test_results_compare_alike():
    for vector in of("compare"):
        assert RECORDER.compared(presidio.RecognizerResult, vector["one"], vector["two"]) == vector["wanted"], vector


def test_duplicates_are_removed_alike():
    for vector in of("duplicates"):
        kept = presidio._without_duplicates([presidio.RecognizerResult(*one) for one in vector["results"]])
        assert RECORDER.shown(kept) == vector["wanted"], vector


def test_their_ciphertexts_are_read():
    pytest.importorskip("cryptography")
    for vector in of("decrypt"):
        items = [presidio.OperatorResult.from_json(item) for item in vector["items"]]
        config = presidio.OperatorConfig("decrypt", {"key": bytes.fromhex(vector["key"])})
        shown = presidio.DeanonymizeEngine().deanonymize(vector["text"], items, {"DEFAULT": config})
        assert shown.text == vector["wanted"]


class Recognizer:
    """What an engine needs of a recognizer of Presidio's: one expression."""

    supported_language = "en"

    def __init__(self, entity, expression, score):
        self.name = self.id = entity
        self.supported_entities = [entity]
        self._expression = re.compile(expression, re.DOTALL | re.MULTILINE | re.IGNORECASE)
        self._score = score

    def analyze(self, text, entities, nlp_artifacts=None):
        del nlp_artifacts
        if self.name not in entities:
            return []
        found = self._expression.finditer(text)
        return [presidio.RecognizerResult(self.name, *match.span(), self._score) for match in found]


@pytest.mark.parametrize("number", range(len(of("analyze"))))
def test_analyzers_agree(number):
    vector = of("analyze")[number]
    # It finds nothing in these texts by itself.
    engine = presidio.AnalyzerEngine(scanner=sf.Scanner(["secrets"], entities=["GITHUB_TOKEN"]))
    recognizers = [Recognizer(*pattern) for pattern in RECORDER.PATTERNS]
    assert RECORDER.analyzed(engine, recognizers, vector) == vector["wanted"]
