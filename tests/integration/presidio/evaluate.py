"""Runs anonymizer cases of another suite through `AnonymizerEngine` and counts those that differ.

    python tests/integration/presidio/evaluate.py CASES.jsonl[.gz]

A case is a JSON object with `text`, `results`, `operators`, `conflict_resolution`, `merge_entities_with_spaces`,
`expected_text` and `expected_items` (None: any). Texts are not shown.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

from sift_fast.integrations.presidio import (
    AnonymizerEngine,
    ConflictResolutionStrategy,
    OperatorConfig,
    RecognizerResult,
)


def by_place(items: list[dict]) -> list[dict]:
    """Items from the beginning of the text."""
    return sorted(items, key=lambda item: (item["start"], item["end"], item["entity_type"]))


def passes(case: dict) -> bool:
    """Whether one case comes out as it should."""
    operators = {
        entity: OperatorConfig(config["operator"], config.get("params"))
        for entity, config in (case["operators"] or {}).items()
    }
    result = AnonymizerEngine().anonymize(
        case["text"],
        [RecognizerResult.from_json(found) for found in case["results"]],
        operators,
        ConflictResolutionStrategy(case["conflict_resolution"]),
        case["merge_entities_with_spaces"],
    )
    items = [{name: value for name, value in item.to_dict().items() if name != "score"} for item in result.items]
    # Some suites list items from the beginning, some from the end.
    expected = case["expected_items"]
    agree = expected is None or by_place(items) == by_place(expected)
    return bool(agree) and result.text == case["expected_text"]


def main() -> int:
    """Reads the file that is named and says how many pass."""
    path = Path(sys.argv[1])
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    cases = [json.loads(line) for line in raw.decode().splitlines()]
    failed = [number for number, case in enumerate(cases, 1) if not passes(case)]
    print(f"{len(cases) - len(failed)} of {len(cases)} pass" + (f"; lines {failed} do not" if failed else ""))
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
