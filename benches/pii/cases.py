"""Reads the files of cases. Anything of another form is an error that names the line and never its text.

A folder of cases holds, each JSONL.gz and an object a line:

- ``pii_recognizer_cases``: `recognizer`, `recognizer_kwargs`, `entity`, `text`, `expected_len`, and
  `expected_positions` (half-open spans in code points, or null where only their number is known);
- ``pii_validator_cases``: `recognizer`, `recognizer_kwargs`, `call`, `text`, `expected` (true, false, or null for
  a validator without an opinion);
- ``pii_anonymizer_cases``: `text`, `results`, `operators`, `conflict_resolution`, `merge_entities_with_spaces`,
  `expected_text`, `expected_items` (or null).
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches.errors import BenchError

RECOGNIZERS = "pii_recognizer_cases.jsonl.gz"
VALIDATORS = "pii_validator_cases.jsonl.gz"
ANONYMIZERS = "pii_anonymizer_cases.jsonl.gz"

#: What a user hands to one recognizer when it is built has no counterpart in a rule: such cases are left out.
OPTIONS = {
    "patterns": "patterns of the caller's own",
    "deny_list": "words of the caller's own",
    "leniency": "another leniency than the recognizer's own",
    "strict_checksum": "a switch that drops what fails a checksum",
}

#: What PhoneRecognizer does when it is not told.
USUAL = {"leniency": 1}

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Recognizer:
    """One text, the entity to look for in it, and where it is."""

    number: int
    recognizer: str
    entity: str
    text: str
    count: int
    spans: Spans | None
    left_out: str | None


@dataclass(frozen=True)
class Validator:
    """One value, and whether its recognizer lets it pass: True, False, or None for no opinion."""

    number: int
    recognizer: str
    call: str
    text: str
    expected: bool | None
    left_out: str | None


@dataclass(frozen=True)
class Anonymizer:
    """One text with results of an analysis, and the text and items that come of it."""

    number: int
    row: Mapping[str, Any]


@dataclass(frozen=True)
class Cases:
    """All cases of a folder, and the SHA-256 of each file, which ties a record to exactly these."""

    recognizers: Sequence[Recognizer]
    validators: Sequence[Validator]
    anonymizers: Sequence[Anonymizer]
    sha256: Mapping[str, str]


def load(folder: Path) -> Cases:
    """The cases of a folder.

    Raises:
        BenchError: a file is missing, unreadable, empty or of another form.
    """
    files = {name: _rows(folder / name) for name in (RECOGNIZERS, VALIDATORS, ANONYMIZERS)}
    return Cases(
        [_recognizer(number, row) for number, row in files[RECOGNIZERS]],
        [_validator(number, row) for number, row in files[VALIDATORS]],
        [_anonymizer(number, row) for number, row in files[ANONYMIZERS]],
        {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
    )


def _rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            lines = stream.read().splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BenchError(f"cannot read the cases `{path.name}` ({type(error).__name__}); JSONL.gz is wanted") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise BenchError(f"`{path.name}`, line {number} is not JSON") from error
        if not isinstance(row, dict):
            raise BenchError(f"`{path.name}`, line {number} is not an object")
        rows.append((number, row))
    if not rows:
        raise BenchError(f"`{path.name}` holds no case, so it can measure nothing")
    return rows


def _field(name: str, number: int, row: Mapping[str, Any], field: str, *kinds: type) -> Any:
    value = row.get(field)
    # A bool is an int to Python, and nowhere here.
    if field not in row or not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        shown = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
        raise BenchError(f"`{name}`, line {number}: `{field}` is not {shown}")
    return value


def _left_out(name: str, number: int, row: Mapping[str, Any]) -> str | None:
    given: dict[str, Any] = _field(name, number, row, "recognizer_kwargs", dict)
    reasons = [why for key, why in OPTIONS.items() if key in given and USUAL.get(key) != given[key]]
    return reasons[0] if reasons else None


def _recognizer(number: int, row: Mapping[str, Any]) -> Recognizer:
    name = RECOGNIZERS
    count = _field(name, number, row, "expected_len", int)
    places = _field(name, number, row, "expected_positions", list, type(None))
    text = _field(name, number, row, "text", str)
    spans: Spans | None = None
    if places is not None:
        if len(places) != count or not all(_is_span(place, len(text)) for place in places):
            raise BenchError(f"`{name}`, line {number}: `expected_positions` are not {count} spans of the text")
        spans = tuple(sorted((place[0], place[1]) for place in places))
    return Recognizer(
        number,
        _field(name, number, row, "recognizer", str),
        _field(name, number, row, "entity", str),
        text,
        count,
        spans,
        _left_out(name, number, row),
    )


def _is_span(place: Any, length: int) -> bool:
    return (
        isinstance(place, list)
        and len(place) == 2
        and all(isinstance(bound, int) for bound in place)
        and 0 <= place[0] < place[1] <= length
    )


def _validator(number: int, row: Mapping[str, Any]) -> Validator:
    name = VALIDATORS
    return Validator(
        number,
        _field(name, number, row, "recognizer", str),
        _field(name, number, row, "call", str),
        _field(name, number, row, "text", str),
        _field(name, number, row, "expected", bool, type(None)),
        _left_out(name, number, row),
    )


def _anonymizer(number: int, row: Mapping[str, Any]) -> Anonymizer:
    name = ANONYMIZERS
    for field in ("text", "conflict_resolution", "expected_text"):
        _field(name, number, row, field, str)
    for field in ("operators", "expected_items"):
        _field(name, number, row, field, dict if field == "operators" else list, type(None))
    for result in _field(name, number, row, "results", list):
        if not isinstance(result, dict) or not {"entity_type", "start", "end", "score"} <= set(result):
            raise BenchError(f"`{name}`, line {number}: a result lacks `entity_type`, `start`, `end` or `score`")
    _field(name, number, row, "merge_entities_with_spaces", bool)
    return Anonymizer(number, row)
