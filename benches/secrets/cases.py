"""Reads the file of cases, and the list of negatives that are left out. Anything of another form is an error."""

from __future__ import annotations

import gzip
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches.errors import BenchError
from benches.secrets.texts import Text, digest

FIELDS = ("source", "rule_id", "text", "expect", "kind")
EXPECTATIONS = ("match", "no_match")

#: Negatives that hold another rule's secret, by digest, each with the reason.
LEFT_OUT = Path(__file__).with_name("left_out.toml")


@dataclass(frozen=True)
class Case:
    """One text, whose rule it belongs to, and whether something must be found in it."""

    source: str
    rule_id: str
    text: str
    positive: bool
    kind: str
    path: str = ""

    @property
    def digest(self) -> str:
        """What a record calls the case: the SHA-256 of its text."""
        return digest(self.text)

    @property
    def named(self) -> Text:
        """What scanners get."""
        return Text(self.text, self.path)

    @property
    def type(self) -> str:
        """The type of secret, as its source names it."""
        return f"{self.source}/{self.rule_id}"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, which ties a record to exactly these cases."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load(path: Path) -> list[Case]:
    """The cases of a gzipped JSON-lines file, in its order.

    Raises:
        BenchError: the file cannot be read, a line is of another form, or it has no positive or no negative.
            A line is named by its number; its text is never shown.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            lines = stream.read().splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BenchError(f"cannot read the cases `{path.name}` ({type(error).__name__}); JSONL.gz is wanted") from error
    cases = [_case(path.name, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    for word, positive in (("match", True), ("no_match", False)):
        if not any(case.positive is positive for case in cases):
            raise BenchError(f"`{path.name}` has no case with `expect` = `{word}`, so it can measure nothing")
    return cases


def _case(name: str, number: int, line: str) -> Case:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BenchError(f"`{name}`, line {number} is not JSON") from error
    if not isinstance(row, dict):
        raise BenchError(f"`{name}`, line {number} is not an object")
    for field in FIELDS:
        if not isinstance(row.get(field), str) or not row[field]:
            raise BenchError(f"`{name}`, line {number} has no text in the field `{field}`")
    if row["expect"] not in EXPECTATIONS:
        raise BenchError(f"`{name}`, line {number}: `expect` is neither `match` nor `no_match`")
    path = str(row.get("path", ""))
    return Case(row["source"], row["rule_id"], row["text"], row["expect"] == "match", row["kind"], path)


def left_out(cases: Sequence[Case], path: Path = LEFT_OUT) -> dict[str, str]:
    """Digest of a negative's text to the reason why it is not counted.

    Those of the list, and every negative whose text is a positive case of another type in the same file.

    Raises:
        BenchError: the list is of another form, an entry has no reason, or a digest stands there twice.
    """
    try:
        table: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchError(f"cannot read `{path.name}`: {type(error).__name__}") from error
    found: dict[str, str] = {}
    for number, entry in enumerate(table.get("negative", []), 1):
        sha, reason = entry.get("sha256"), entry.get("reason")
        if not isinstance(sha, str) or len(sha) != 64 or not isinstance(reason, str) or not reason.strip():
            raise BenchError(f"`{path.name}`: entry {number} needs a `sha256` of 64 digits and a `reason`")
        if sha in found:
            raise BenchError(f"`{path.name}`: entry {number} repeats a digest")
        found[sha] = reason
    holds: dict[str, set[str]] = {}
    for case in cases:
        if case.positive:
            holds.setdefault(case.digest, set()).add(case.type)
    for case in cases:
        others = set() if case.positive else holds.get(case.digest, set()) - {case.type}
        if others and case.digest not in found:
            found[case.digest] = f"the same text is a positive case of {', '.join(sorted(others))}"
    return found
