"""Runs cases of personal data from a folder: `make eval-pii CASES=FOLDER`; with `CORPUS=FOLDER` as well, counts
what the set `pii` finds in its `*.txt`.

The folder holds `*recognizer*.jsonl.gz` (`entity`, `text`, `expected_positions` as spans of characters or
`expected_len`, `recognizer`) and may hold `*validator*.jsonl.gz` (`recognizer`, `text`, `expected`: true, false
or null). Cases belong to their authors and are not part of the project. A recognizer case is passed if the
findings of its entity alone are exactly the spans; a validator case if the whole text is a finding unless
`expected` is false. Prints the share that passed, and where cases failed: entity and line, never a text. Of a
corpus it prints findings that would be edited (score 0.5 or more) per megabyte and entity.
"""

from __future__ import annotations

import collections
import functools
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import sift_fast

# What a user says when a recognizer is built has no counterpart in a rule.
OPTIONS = {"leniency", "strict_checksum", "deny_list", "patterns"}


@functools.cache
def scanner(entity: str) -> sift_fast.Scanner:
    """A scanner for one entity type."""
    return sift_fast.Scanner("pii-all", entities=[entity])


def spans(entity: str, text: str) -> list[list[int]]:
    """Where an entity is found, in characters."""
    return [[finding.start, finding.end] for finding in scanner(entity).scan(text)]


def read(file: Path) -> list[dict[str, Any]]:
    """The cases of a compressed file, one JSON object a line."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def count(folder: str) -> None:
    """Prints findings per megabyte of each text in a folder."""
    chosen = sift_fast.Scanner("pii", min_score=0.5)
    for file in sorted(Path(folder).glob("*.txt")):
        text = file.read_bytes()
        entities = collections.Counter(finding.entity_type for finding in chosen.scan(text))
        rates = ", ".join(f"{name} {n / len(text) * 1e6:.2f}" for name, n in entities.most_common())
        print(f"{file.name}: {len(text) / 1e6:.2f} MB; found per MB: {rates or 'nothing'}")


def plain(case: dict[str, Any]) -> bool:
    """Whether a case is about a recognizer without options."""
    return not OPTIONS & case.get("recognizer_kwargs", {}).keys()


def passes(case: dict[str, Any]) -> bool:
    """Whether a recognizer case is passed."""
    found = spans(case["entity"], case["text"])
    expected: list[list[int]] | None = case["expected_positions"]
    return len(found) == int(case["expected_len"]) if expected is None else found == expected


def report(kind: str, results: list[tuple[str, bool]]) -> bool:
    """Prints the share that passed and where cases failed; whether all passed."""
    for place, passed in results:
        if not passed:
            print(f"{place}: failed")
    print(f"{kind}: {sum(passed for _, passed in results)} of {len(results)} cases passed")
    return all(passed for _, passed in results)


def main(folder: str) -> int:
    """Runs the cases of a folder and returns 1 if one failed."""
    entities: dict[str, str] = {}
    recognized, validated = [], []
    for file in sorted(Path(folder).glob("*recognizer*.jsonl.gz")):
        for number, case in enumerate(read(file), 1):
            entities.setdefault(case["recognizer"], case["entity"])
            if plain(case):
                recognized.append((f"{file.name}:{number}: {case['entity']}", passes(case)))
    for file in sorted(Path(folder).glob("*validator*.jsonl.gz")):
        for number, case in enumerate(read(file), 1):
            # Helpers of a validator take a part of a value.
            if plain(case) and case["recognizer"] in entities and case["call"] == "validate_result":
                entity = entities[case["recognizer"]]
                valid = spans(entity, case["text"]) == [[0, len(case["text"])]]
                validated.append((f"{file.name}:{number}: {entity}", valid == (case["expected"] is not False)))
    passed = [report("recognizers", recognized), report("validators", validated)]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    for corpus in sys.argv[2:]:
        count(corpus)
    raise SystemExit(main(sys.argv[1]))
