"""Writes rust/sift-checks/src/phone.bin: the telephone numbers of all countries as one automaton.

    python scripts/phone_table.py FOLDER      FOLDER holds the package `phonenumbers` (PyPI, Apache-2.0)

Google's libphonenumber describes the numbers of a region by regular expressions over digits and by
possible lengths. Both are finite, so together they are an acyclic automaton; equal states are merged.
The table is little-endian 16-bit words: the number of regions; for each its two letters and its first
state; then the states, named by their place in the table. A state is one word (bits 0 to 9: the digits
that go on, bits 10 and 11: its answer) and the states that those digits go to. The first state is the end
of everything, the second begins behind a `+`.
"""

from __future__ import annotations

import importlib
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

# sre_parse has been private since Python 3.11, and no public module parses an expression.
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

REGIONS = ["AU", "BR", "CA", "CN", "DE", "ES", "FR", "GB", "IL", "IN", "IT", "JP", "KR", "NG", "NL", "NZ"]
REGIONS += ["PH", "PL", "SE", "SG", "TH", "TR", "US", "ZA"]
KINDS = ["fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip", "pager"]
KINDS += ["uan", "voicemail"]
OUTPUT = Path(__file__).resolve().parent.parent / "rust/sift-checks/src/phone.bin"
# Answers of a state: a number ends here; one that is dialled only with the national prefix.
VALID, PREFIXED = 1, 2

# An automaton without determinism: for each state, pairs of a set of digits (none: no digit) and a state.
Edges = list[list[tuple[frozenset[int] | None, int]]]
# A state of the table: its answer, and its digits with the states behind them.
Row = tuple[int, tuple[tuple[int, int], ...]]
# Where each of several patterns is.
States = tuple[frozenset[int], ...]


class Pattern:
    """One regular expression over digits.

    Args:
        text: the expression, of literals, classes, groups, alternatives and bounded repeats.
        lengths: lengths of numbers it may match; none means any.
        whole: whether the number must end where the expression does.
    """

    def __init__(self, text: str, lengths: tuple[int, ...] | None = None, whole: bool = True) -> None:
        self.edges: Edges = [[]]
        self.lengths, self.whole = lengths, whole
        self.end = self._add(parser.parse(text), 0)

    def _new(self) -> int:
        self.edges.append([])
        return len(self.edges) - 1

    def _add(self, items: Iterable[Any], at: int) -> int:
        for kind, value in items:
            name = str(kind)
            if name == "LITERAL":
                at = self._step(at, frozenset([value - 48]))
            elif name == "IN":
                at = self._step(at, _digits(value))
            elif name in ("MAX_REPEAT", "MIN_REPEAT"):
                at = self._repeat(value, at)
            elif name == "SUBPATTERN":
                at = self._add(value[3], at)
            elif name == "BRANCH":
                at = self._join([self._add(arm, at) for arm in value[1]])
            else:
                raise ValueError(f"the metadata use {name}, which this script does not know")
        return at

    def _repeat(self, value: tuple[int, int, Iterable[Any]], at: int) -> int:
        least, most, inner = value
        ends = [at]
        for _ in range(int(most)):
            ends.append(self._add(inner, ends[-1]))
        return self._join(ends[least:])

    def _join(self, ends: list[int]) -> int:
        end = self._new()
        for one in ends:
            self.edges[one].append((None, end))
        return end

    def _step(self, at: int, digits: frozenset[int]) -> int:
        to = self._new()
        self.edges[at].append((digits, to))
        return to

    def close(self, states: Iterable[int]) -> frozenset[int]:
        """The states that can be reached without a digit."""
        seen = set(states)
        todo = list(seen)
        while todo:
            for digits, to in self.edges[todo.pop()]:
                if digits is None and to not in seen:
                    seen.add(to)
                    todo.append(to)
        # Behind a beginning that matched, anything goes on.
        return frozenset([self.end]) if not self.whole and self.end in seen else frozenset(seen)

    def move(self, states: frozenset[int], digit: int) -> frozenset[int]:
        """The states behind one more digit."""
        if not self.whole and self.end in states:
            return states
        edges = (edge for state in states for edge in self.edges[state])
        return self.close(to for digits, to in edges if digits is not None and digit in digits)

    def accepts(self, states: frozenset[int], length: int) -> bool:
        """Whether the digits so far are a match."""
        return self.end in states and (self.lengths is None or length in self.lengths)


def _digits(items: Iterable[Any]) -> frozenset[int]:
    found: set[int] = set()
    for kind, value in items:
        if str(kind) == "LITERAL":
            found.add(value - 48)
        elif str(kind) == "RANGE":
            found.update(range(value[0] - 48, value[1] - 47))
        elif str(kind) == "CATEGORY":
            found.update(range(10))
    return frozenset(found)


class Table:
    """States with equal futures are one."""

    def __init__(self) -> None:
        # The answer of a state, and its digits with the states behind them.
        self.known: dict[Row, int] = {(0, ()): 0}
        # The second is the state behind a plus, which is known last.
        self.rows: list[Row] = [(0, ()), (0, ())]

    def state(self, answer: int, steps: dict[int, int]) -> int:
        """The number of a state."""
        key: Row = (answer, tuple(sorted((digit, to) for digit, to in steps.items() if to)))
        if key not in self.known:
            self.known[key] = len(self.rows)
            self.rows.append(key)
        return self.known[key]


class Region:
    """The numbers of one region, by its patterns."""

    def __init__(self, metadata: Any) -> None:
        self.valid = [
            Pattern(kind.national_number_pattern, kind.possible_length)
            for kind in (getattr(metadata, name) for name in KINDS)
            if kind is not None and kind.national_number_pattern
        ]
        general = metadata.general_desc
        self.general = Pattern(general.national_number_pattern)
        self.formats = []
        prefix = metadata.national_prefix or ""
        for form in metadata.number_format:
            rule = form.national_prefix_formatting_rule or ""
            first = rule.split("\\1")[0]
            needs = bool(prefix) and prefix in first and not form.national_prefix_optional_when_formatting
            lead = form.leading_digits_pattern[-1] if form.leading_digits_pattern else ""
            self.formats.append((Pattern(lead, whole=False), Pattern(form.pattern), needs))


class Builder:
    """National numbers of some regions.

    Args:
        regions: a number of any of them is valid.
        formats: the region whose formats say which numbers are written with the national prefix.
    """

    def __init__(self, table: Table, regions: list[Region], formats: Region | None) -> None:
        self.table, self.regions = table, regions
        self.formats = formats.formats if formats else []
        self.patterns = [pattern for region in regions for pattern in [region.general, *region.valid]]
        self.patterns += [pattern for lead, whole, _ in self.formats for pattern in (lead, whole)]
        self.memo: dict[tuple[States, int], int] = {}

    def build(self) -> int:
        """The state in which a number begins."""
        return self._visit(tuple(pattern.close([0]) for pattern in self.patterns), 0)

    def _visit(self, states: States, length: int) -> int:
        if (states, length) not in self.memo:
            steps = {}
            if length < 17 and self._alive(states):
                for digit in range(10):
                    after = tuple(p.move(s, digit) for p, s in zip(self.patterns, states, strict=True))
                    steps[digit] = self._visit(after, length + 1)
            self.memo[states, length] = self.table.state(self._answer(states, length), steps)
        return self.memo[states, length]

    def _by_region(self, states: States) -> Iterator[tuple[Region, States]]:
        at = 0
        for region in self.regions:
            yield region, states[at : at + 1 + len(region.valid)]
            at += 1 + len(region.valid)

    def _alive(self, states: States) -> bool:
        return any(mine[0] and any(mine[1:]) for _, mine in self._by_region(states))

    def _answer(self, states: States, length: int) -> int:
        valid = any(
            region.general.accepts(mine[0], length)
            and any(kind.accepts(one, length) for kind, one in zip(region.valid, mine[1:], strict=True))
            for region, mine in self._by_region(states)
        )
        if not valid:
            return 0
        at = len(states) - 2 * len(self.formats)
        for lead, whole, needs in self.formats:
            if lead.accepts(states[at], length) and whole.accepts(states[at + 1], length):
                return VALID | PREFIXED if needs else VALID
            at += 2
        return VALID


def build_table(folder: str) -> tuple[Table, list[tuple[str, int]]]:
    """The states, and the first of each region, from the metadata in a folder."""
    sys.path.insert(0, folder)
    codes = importlib.import_module("phonenumbers.phonenumberutil").COUNTRY_CODE_TO_REGION_CODE
    table = Table()

    def metadata(name: str) -> Region:
        module = importlib.import_module(f"phonenumbers.data.region_{name}")
        return Region(module.__dict__[f"PHONE_METADATA_{name}"])

    starts: dict[str, int] = {}
    roots: list[tuple[str, int]] = []
    for code, names in codes.items():
        regions = [metadata(name if name != "001" else str(code)) for name in names]
        starts[str(code)] = Builder(table, regions, None).build()
        # Formats are those of the country the code belongs to first.
        wanted = [name for name in REGIONS if name in names]
        roots += [(name, Builder(table, regions, regions[0]).build()) for name in wanted]

    def behind(start: str) -> dict[int, int]:
        steps = {}
        for digit in range(10):
            code = f"{start}{digit}"
            if code in starts:
                steps[digit] = starts[code]
            elif any(known.startswith(code) for known in starts):
                steps[digit] = table.state(0, behind(code))
        return steps

    table.rows[1] = (0, tuple((digit, to) for digit, to in behind("").items() if to))
    return table, sorted(roots)


def main(folder: str) -> None:
    """Writes the table."""
    table, roots = build_table(folder)
    places, size = [], 1 + 2 * len(roots)
    for _, edges in table.rows:
        places.append(size)
        size += 1 + len(edges)
    if size >= 1 << 16:
        raise SystemExit(f"the table has {size} words, one of them can address {1 << 16}")
    words = [len(roots)]
    for name, root in roots:
        words += [name.encode()[0] | name.encode()[1] << 8, places[root]]
    for answer, edges in table.rows:
        words.append(sum(1 << digit for digit, _ in edges) | answer << 10)
        words += [places[to] for _, to in edges]
    OUTPUT.write_bytes(struct.pack(f"<{size}H", *words))
    print(f"{len(table.rows)} states, {2 * size} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
