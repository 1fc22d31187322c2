"""Vectors of Presidio's own packages, for tests of `sift_fast.integrations.presidio` that do without them.

Texts, results and operators are drawn from a seed; what the packages make of them is recorded. Type
`.venv-presidio/bin/python scripts/presidio_vectors.py` (`make presidio` makes that environment) to write
`tests/data/presidio.jsonl` anew; `tests/integration/presidio/test_real.py` compares it with what is installed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "tests" / "data" / "presidio.jsonl"

Vector = dict[str, Any]

ENTITIES = ["PERSON", "URL", "PHONE"]
#: Operators with parameters that JSON holds; `custom` stands for a function that turns the value round.
OPERATORS: list[tuple[str, dict[str, Any]]] = [
    ("replace", {}),
    ("replace", {"new_value": "new"}),
    ("replace", {"new_value": ""}),
    ("redact", {}),
    ("keep", {}),
    ("mask", {"masking_char": "*", "chars_to_mask": 2, "from_end": True}),
    ("mask", {"masking_char": "#", "chars_to_mask": 30, "from_end": False}),
    ("mask", {"masking_char": "#", "chars_to_mask": -3, "from_end": False}),
    ("mask", {"masking_char": "**", "chars_to_mask": 2, "from_end": False}),
    ("hash", {"salt": "0123456789abcdef"}),
    ("hash", {"salt": "0123456789abcdef", "hash_type": "sha512"}),
    ("hash", {"salt": "short"}),
    ("custom", {}),
    ("nothing", {}),
]
METHODS = ["contained_in", "contains", "equal_indices", "has_conflict", "__gt__", "__eq__"]
#: What the recognizers of the analyzer's vectors look for: entity, expression, score.
PATTERNS = [("ZIP", r"\b\d{5}\b", 0.4), ("LONG", r"\b\d{5,9}\b", 0.6), ("WORD", r"\b[ab]+\b", 0.05)]


def turned_round(value: str) -> str:
    """The function that `custom` stands for."""
    return value[::-1] + "!"


def parameters(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Parameters as the engines take them: a salt is bytes, `custom` has its function."""
    params = dict(given)
    if "salt" in params:
        params["salt"] = params["salt"].encode()
    if name == "custom":
        params["lambda"] = turned_round
    return params


def _result(source: random.Random, length: int) -> list[Any]:
    start = source.randint(0, length)
    return [source.choice(ENTITIES), start, source.randint(start, length), source.choice([0.0, 0.1, 0.5, 0.5, 1.0])]


def anonymized(module: Any, vector: Vector) -> Any:
    """What an anonymizer gives for a vector; None if it refuses."""
    strategy = module.ConflictResolutionStrategy
    operators = {
        entity: module.OperatorConfig(name, parameters(name, params))
        for entity, (name, params) in vector["operators"].items()
    }
    try:
        done = module.AnonymizerEngine().anonymize(
            vector["text"],
            [module.RecognizerResult(*one) for one in vector["results"]],
            operators,
            strategy.REMOVE_INTERSECTIONS if vector["trim"] else strategy.MERGE_SIMILAR_OR_CONTAINED,
            vector["spaces"],
        )
    except module.InvalidParamError:
        return None
    return [done.text, [item.to_dict() for item in done.items]]


def compared(cls: Any, one: list[Any], two: list[Any]) -> list[Any]:
    """What the methods of two results say of each other."""
    first, second = cls(*one), cls(*two)
    said = [getattr(first, name)(second) for name in METHODS]
    return [*(None if answer is NotImplemented else answer for answer in said), max(0, first.intersects(second))]


def shown(results: list[Any]) -> list[list[Any]]:
    """Results in an order that does not depend on that of equals."""
    return sorted([[r.entity_type, r.start, r.end, r.score] for r in results])


def _anonymize(source: random.Random) -> Iterator[Vector]:
    import presidio_anonymizer

    for number in range(220):
        text = "".join(source.choice("ab é\n") for _ in range(source.randint(1, 30)))
        names = source.sample([*ENTITIES, "DEFAULT"], source.randint(0, 3))
        vector = {
            "kind": "anonymize",
            "text": text,
            "results": [_result(source, len(text)) for _ in range(source.randint(0, 7))],
            # Each operator in turn for everything, then some by entity.
            "operators": {
                "DEFAULT": OPERATORS[number % len(OPERATORS)],
                **{n: source.choice(OPERATORS) for n in names},
            },
            "trim": source.random() < 0.5,
            "spaces": source.random() < 0.7,
        }
        if number % 20 == 0:
            vector["results"].append(["URL", 0, len(text) + 1, 0.5])
        yield {**vector, "wanted": anonymized(presidio_anonymizer, vector)}


def _compare(source: random.Random) -> Iterator[Vector]:
    from presidio_analyzer import EntityRecognizer, RecognizerResult

    for _ in range(80):
        one, two = _result(source, 9), _result(source, 9)
        if source.random() < 0.3:
            two = list(one)
        yield {"kind": "compare", "one": one, "two": two, "wanted": compared(RecognizerResult, one, two)}
    for _ in range(40):
        results = [_result(source, 6) for _ in range(source.randint(0, 9))]
        kept = EntityRecognizer.remove_duplicates([RecognizerResult(*one) for one in results])
        yield {"kind": "duplicates", "results": results, "wanted": shown(kept)}


def _decrypt(source: random.Random) -> Iterator[Vector]:
    import presidio_anonymizer as theirs

    for size in (16, 24, 32) * 3:
        key = bytes(source.randrange(1, 128) for _ in range(size))
        value = "".join(source.choice("abc é1") for _ in range(source.randint(0, 40)))
        hidden = theirs.AnonymizerEngine().anonymize(
            f"<{value}>",
            [theirs.RecognizerResult("X", 1, 1 + len(value), 0.9)],
            {"DEFAULT": theirs.OperatorConfig("encrypt", {"key": key})},
        )
        items = [item.to_dict() for item in hidden.items]
        yield {"kind": "decrypt", "key": key.hex(), "text": hidden.text, "items": items, "wanted": f"<{value}>"}


def analyzed(engine: Any, recognizers: list[Any], vector: Vector) -> Any:
    """What an analyzer gives for a vector; None if it refuses."""
    try:
        found = engine.analyze(
            vector["text"],
            "en",
            entities=vector["entities"],
            score_threshold=vector["threshold"],
            ad_hoc_recognizers=recognizers,
            allow_list=vector["allow_list"],
            allow_list_match=vector["match"],
        )
    except ValueError:
        return None
    return shown(found)


def _analyze(source: random.Random) -> Iterator[Vector]:
    from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    registry = RecognizerRegistry()
    # A registry is not empty; this one finds nothing.
    registry.add_recognizer(PatternRecognizer("NEVER", patterns=[Pattern("never", r"\b\B", 0.1)]))
    engine = AnalyzerEngine(registry=registry, nlp_engine=NoOpNlpEngine([{"lang_code": "en", "model_name": "none"}]))
    recognizers = [
        PatternRecognizer(entity, patterns=[Pattern(entity.lower(), expression, score)])
        for entity, expression, score in PATTERNS
    ]
    words = ["12345", "123456", "ab", "b", "é", "98765", "x 12345"]
    for _ in range(80):
        vector = {
            "kind": "analyze",
            "text": " ".join(source.choice(words) for _ in range(source.randint(0, 7))),
            "entities": source.choice([None, None, ["ZIP"], ["LONG", "WORD"], ["ZIP", "NOBODY"]]),
            "threshold": source.choice([None, 0.0, 0.05, 0.4, 0.5]),
            "allow_list": source.choice([None, ["12345"], ["1"], ["^1", ""], ["AB"], ["12345", "ab"]]),
            "match": source.choice(["exact", "regex"]),
        }
        yield {**vector, "wanted": analyzed(engine, recognizers, vector)}


def vectors() -> list[Vector]:
    """All of them, made by the packages that are installed. Ciphertexts differ each time."""
    kinds: list[Callable[[random.Random], Iterator[Vector]]] = [_anonymize, _compare, _decrypt, _analyze]
    return [vector for number, kind in enumerate(kinds) for vector in kind(random.Random(number))]


def main() -> None:
    """Write the file."""
    lines = [json.dumps(vector, ensure_ascii=False) for vector in vectors()]
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
