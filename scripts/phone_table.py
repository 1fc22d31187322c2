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
import re
import struct
import sys
from pathlib import Path

# sre_parse has been private since Python 3.11, and no public module parses an expression.
from re import _parser as parser  # type: ignore[attr-defined]

REGIONS = ["AU", "BR", "CA", "CN", "DE", "ES", "FR", "GB", "IL", "IN", "IT", "JP", "KR", "NG", "NL", "NZ"]
REGIONS += ["PH", "PL", "SE", "SG", "TH", "TR", "US", "ZA"]
KINDS = ["fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip", "pager"]
KINDS += ["uan", "voicemail"]
OUTPUT = Path(__file__).resolve().parent.parent / "rust/sift-checks/src/phone.bin"
# Answers of a state: a number ends here; one that is dialled only with the national prefix.
VALID, PREFIXED = 1, 2

# An automaton without determinism: for each state, pairs of a set of digits (none: no digit) and a state.
Edges = list[list[tuple[frozenset[int] | None, int]]]


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

    def _add(self, items, at: int) -> int:
        for kind, value in items:
            name = str(kind)
            if name == "LITERAL":
                at = self._step(at, frozenset([value - 48]))
            elif name == "IN":
                at = self._step(at, _digits(value))
            elif name in ("MAX_REPEAT", "MIN_REPEAT"):
                least, most, inner = value
                for _ in range(least):
                    at = self._add(inner, at)
                ends = [at]
                for _ in range(int(most) - least):
                    at = self._add(inner, at)
                    ends.append(at)
                end = self._new()
                for one in ends:
                    self.edges[one].append((None, end))
                at = end
            elif name == "SUBPATTERN":
                at = self._add(value[3], at)
            elif name == "BRANCH":
                end = self._new()
                for arm in value[1]:
                    self.edges[self._add(arm, at)].append((None, end))
                at = end
            else:
                raise ValueError(f"the metadata use {name}, which this script does not know")
        return at

    def _step(self, at: int, digits: frozenset[int]) -> int:
        to = self._new()
        self.edges[at].append((digits, to))
        return to

    def close(self, states) -> frozenset[int]:
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
        if not self.whole and self.end in states:
            return states
        edges = (edge for state in states for edge in self.edges[state])
        return self.close(to for digits, to in edges if digits is not None and digit in digits)

    def accepts(self, states: frozenset[int], length: int) -> bool:
        return self.end in states and (self.lengths is None or length in self.lengths)


def _digits(items) -> frozenset[int]:
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
        self.known: dict[tuple, int] = {(0, ()): 0}
        self.rows: list[tuple] = [(0, ())]

    def state(self, answer: int, steps: dict[int, int]) -> int:
        key = (answer, tuple(sorted((digit, to) for digit, to in steps.items() if to)))
        if key not in self.known:
            self.known[key] = len(self.rows)
            self.rows.append(key)
        return self.known[key]


class Region:
    """The numbers of one region, by its patterns."""

    def __init__(self, metadata) -> None:
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


def build(table: Table, regions: list[Region], prefixes: Region | None) -> int:
    """The state in which a national number of any of the regions begins."""
    patterns = [pattern for region in regions for pattern in [region.general, *region.valid]]
    if prefixes:
        patterns += [pattern for lead, whole, _ in prefixes.formats for pattern in (lead, whole)]
    memo: dict[tuple, int] = {}

    def visit(states: tuple, length: int) -> int:
        key = (states, length)
        if key in memo:
            return memo[key]
        answer, at = 0, 0
        alive = False
        for region in regions:
            count = 1 + len(region.valid)
            mine = states[at : at + count]
            at += count
            if mine[0] and any(mine[1:]):
                alive = True
                kinds = zip(region.valid, mine[1:], strict=True)
                if region.general.accepts(mine[0], length) and any(k.accepts(s, length) for k, s in kinds):
                    answer = VALID
        if prefixes and answer:
            for index, (lead, whole, needs) in enumerate(prefixes.formats):
                one, two = states[at + 2 * index : at + 2 * index + 2]
                if lead.accepts(one, length) and whole.accepts(two, length):
                    answer |= PREFIXED if needs else 0
                    break
        steps = {}
        if alive and length < 17:
            for digit in range(10):
                after = tuple(p.move(s, digit) for p, s in zip(patterns, states, strict=True))
                steps[digit] = visit(after, length + 1)
        memo[key] = table.state(answer, steps)
        return memo[key]

    return visit(tuple(pattern.close([0]) for pattern in patterns), 0)


def main(folder: str) -> None:
    sys.path.insert(0, folder)
    data = importlib.import_module("phonenumbers.data")
    phonenumbers = importlib.import_module("phonenumbers")
    table = Table()
    table.known[("the state behind a plus",)] = 1
    table.rows.append((0, ()))

    def metadata(region: str):
        return importlib.import_module(f"phonenumbers.data.region_{region}").__dict__[f"PHONE_METADATA_{region}"]

    codes: dict[str, int] = {}
    for code, names in data._COUNTRY_CODE_TO_REGION_CODE.items():
        regions = [metadata(name if name != "001" else str(code)) for name in names]
        codes[str(code)] = build(table, [Region(region) for region in regions], None)

    def behind_plus(start: str) -> dict[int, int]:
        steps = {}
        for digit in range(10):
            code = f"{start}{digit}"
            if code in codes:
                steps[digit] = codes[code]
            elif any(known.startswith(code) for known in codes):
                steps[digit] = table.state(0, behind_plus(code))
        return steps

    steps = behind_plus("")
    table.rows[1] = (0, tuple(sorted((digit, to) for digit, to in steps.items() if to)))
    roots = []
    for name in REGIONS:
        code = phonenumbers.country_code_for_region(name)
        names = data._COUNTRY_CODE_TO_REGION_CODE[code]
        regions = [Region(metadata(one)) for one in names]
        # Formats are those of the country the code belongs to first.
        roots.append((name, build(table, regions, Region(metadata(names[0])))))

    words: list[int] = [len(roots)]
    starts, size = [], 1 + 2 * len(roots)
    for _answer, edges in table.rows:
        starts.append(size)
        size += 1 + len(edges)
    if size >= 1 << 16:
        raise SystemExit(f"the table has {size} words, one of them can address {1 << 16}")
    for name, root in roots:
        words += [name.encode()[0] | name.encode()[1] << 8, starts[root]]
    for answer, edges in table.rows:
        words.append(sum(1 << digit for digit, _ in edges) | answer << 10)
        words += [starts[to] for _, to in edges]
    print(f"{len(table.rows)} states, {2 * size} bytes")
    OUTPUT.write_bytes(struct.pack(f"<{len(words)}H", *words))


if __name__ == "__main__":
    if len(sys.argv) != 2 or not re.fullmatch(r".+", sys.argv[1]):
        raise SystemExit(__doc__)
    main(sys.argv[1])
