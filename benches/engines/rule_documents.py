"""Our rules as Python `re` patterns: what somebody would have who took the patterns and no engine.

Read from the rule documents in the tree (`rust/sift-rules/data/<set>/*.toml`), in which alone
patterns are written. Checks, entropy, bodies and context words are not part of a pattern and are
left out, so `re` does less work than we do and finds more.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches import ROOT
from benches.errors import BenchError

DATA = ROOT / "rust" / "sift-rules" / "data"

#: Literals shorter than this are in every text: a gate on them lets everything through.
SHORTEST_GATE = 3


@dataclass(frozen=True)
class RePattern:
    """One pattern as `re` takes it, with the lower-case literals of which one must occur (or none)."""

    rule_id: str
    compiled: re.Pattern[str]
    literals: tuple[str, ...]


def exported(rule_sets: Sequence[str]) -> tuple[list[RePattern], list[str]]:
    """Patterns of the rule sets, and the ids of those that `re` does not take."""
    taken, untaken = [], []
    for rule_id, pattern in _documents(rule_sets):
        text = _translate(pattern)
        try:
            compiled = re.compile(text, re.ASCII)
        except re.error:
            untaken.append(rule_id)
            continue
        taken.append(RePattern(rule_id, compiled, _literals(text)))
    return taken, untaken


def _documents(rule_sets: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for rule_set in rule_sets:
        paths: list[Path] = sorted((DATA / rule_set).glob("*.toml"))
        if not paths:
            raise BenchError(f"no rule documents of the set `{rule_set}` in the tree: run from the repository root")
        for path in paths:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            found += [(rule["id"], rule["pattern"]) for rule in table.get("rule", [])]
            found += [(family["id"], _family(family)) for family in table.get("family", [])]
    return found


def _family(family: dict[str, Any]) -> str:
    words = [word for provider in family["provider"] for word in provider["words"]]
    # In a word, `_ - .` or a space stands for one optional separator.
    joined = "|".join(re.sub(r"[_\-. ]", lambda _: r"[_\-. ]?", word) for word in words)
    return str(family["pattern"]).replace("{words}", f"(?:{joined})")


def _translate(pattern: str) -> str:
    # `\z` is spelled `\Z` there; the other notations that differ make `re.compile` fail and are counted.
    return re.sub(r"(?<!\\)((?:\\\\)*)\\z", r"\1\\Z", pattern)


def _literals(pattern: str) -> tuple[str, ...]:
    from re import _parser  # type: ignore[attr-defined]  # private, but the only parser of this dialect

    found = _required(_parser.parse(pattern, re.ASCII))
    if found is None or min(map(len, found)) < SHORTEST_GATE:
        return ()
    return tuple(sorted(found))


def _better(one: set[str] | None, other: set[str] | None) -> set[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other, key=lambda words: min(map(len, words)))


def _required(sequence: Any) -> set[str] | None:
    """The best set of lower-case literals of which at least one stands in every match."""
    best: set[str] | None = None
    run = ""
    for operation, argument in sequence:
        name = str(operation)
        if name == "LITERAL" and argument < 128:
            run += chr(argument).lower()
            continue
        best, run = _better(best, {run} if run else None), ""
        if name == "SUBPATTERN":
            best = _better(best, _required(argument[3]))
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") and argument[0] >= 1:
            best = _better(best, _required(argument[2]))
        elif name == "BRANCH":
            arms = [_required(arm) for arm in argument[1]]
            if all(arm is not None for arm in arms):
                best = _better(best, {word for arm in arms if arm is not None for word in arm})
    return _better(best, {run} if run else None)
