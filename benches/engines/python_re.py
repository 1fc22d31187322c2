"""Python's `re` with our patterns, one after another, with and without a gate of literals.

The plain loop is what a first version of such a filter looks like. The gated one asks first whether a
literal that the pattern needs is in the lower-cased text, as careful scanners in Python do; the
literals are derived from each pattern, so nobody tuned it by hand, for or against.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from typing import Any

from benches.engines.base import Runner
from benches.engines.rule_documents import exported


def _build(name: str, how: str, scan: Callable[[str], list[Any]], taken: int, untaken: list[str], gated: int) -> Runner:
    return Runner(
        name=name,
        version=platform.python_version(),
        settings=f"our patterns in `re`, {how}; no checks, no bodies",
        scan=scan,
        count=len,
        read=lambda found: sum(1 for match in found if match.end() > match.start()),
        facts={"patterns": taken, "untaken": untaken, "gated_patterns": gated},
    )


def runner(rules: Sequence[str]) -> Runner:
    """`finditer` of each pattern in turn."""
    taken, untaken = exported(rules)
    finders = [pattern.compiled.finditer for pattern in taken]

    def scan(text: str) -> list[Any]:
        return [match for find in finders for match in find(text)]

    return _build("re", "one by one", scan, len(taken), untaken, 0)


def runner_gated(rules: Sequence[str]) -> Runner:
    """The same behind `literal in text.lower()`."""
    taken, untaken = exported(rules)
    gates = [(pattern.literals, pattern.compiled.finditer) for pattern in taken]

    def scan(text: str) -> list[Any]:
        lower = text.lower()
        found: list[Any] = []
        for literals, find in gates:
            for literal in literals:
                if literal in lower:
                    break
            else:
                if literals:
                    continue
            found.extend(find(text))
        return found

    gated = sum(bool(pattern.literals) for pattern in taken)
    return _build("re_gated", "each behind its literals", scan, len(taken), untaken, gated)
