"""Runs cases of personal data from a folder: `make eval-pii CASES=FOLDER`.

The folder holds `*recognizer*.jsonl.gz` (`entity`, `text`, `expected_positions` as spans of characters or
`expected_len`, `recognizer`) and may hold `*validator*.jsonl.gz` (`recognizer`, `text`, `expected`: true, false
or null). Cases belong to their authors and are not part of the project. A recognizer case is passed if the
findings of its entity alone are exactly the spans; a validator case if the whole text is a finding unless
`expected` is false. Prints the share that passed, and where cases failed: entity and line, never a text.
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
    return sift_fast.Scanner("pii-all", entities=[entity])


def spans(entity: str, text: str) -> list[list[int]]:
    return [[finding.start, finding.end] for finding in scanner(entity).scan(text)]


def read(file: Path) -> list[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def main(folder: str) -> int:
    entities: dict[str, str] = {}
    failed: collections.Counter[str] = collections.Counter()
    tried = skipped = 0
    for file in sorted(Path(folder).glob("*recognizer*.jsonl.gz")):
        for number, case in enumerate(read(file), 1):
            entities.setdefault(case["recognizer"], case["entity"])
            if OPTIONS & case.get("recognizer_kwargs", {}).keys():
                skipped += 1
                continue
            tried += 1
            found = spans(case["entity"], case["text"])
            expected = case["expected_positions"]
            if (found != expected) if expected is not None else (len(found) != case["expected_len"]):
                failed[case["entity"]] += 1
                print(f"{file.name}:{number}: {case['entity']}: {len(found)} found")
    print(f"recognizers: {tried - failed.total()} of {tried} cases passed, {skipped} with options of their own")
    wrong = checked = 0
    for file in sorted(Path(folder).glob("*validator*.jsonl.gz")):
        for number, case in enumerate(read(file), 1):
            entity = entities.get(case["recognizer"])
            # Helpers of a validator take a part of a value.
            if entity is None or case.get("call", "validate_result") != "validate_result":
                continue
            if OPTIONS & case.get("recognizer_kwargs", {}).keys():
                continue
            checked += 1
            found = spans(entity, case["text"]) == [[0, len(case["text"])]]
            if found != (case["expected"] is not False):
                wrong += 1
                print(f"{file.name}:{number}: {entity}: the answer differs")
    print(f"validators: {checked - wrong} of {checked} cases passed")
    return 1 if failed or wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    raise SystemExit(main(sys.argv[1]))
