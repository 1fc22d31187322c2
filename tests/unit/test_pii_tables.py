"""Tables of personal data that stand in two places and must agree."""

from __future__ import annotations

import re
from pathlib import Path

from sift_fast import _core

ROOT = Path(__file__).parents[2]


def test_lengths_of_accounts_are_those_of_their_structures():
    """The pattern knows lengths, the check structures: a country that is in one alone is never found."""
    source = (ROOT / "rust/sift-checks/src/iban.rs").read_text(encoding="utf-8")
    structures = dict(re.findall(r'\("([A-Z]{2})", "((?:\d+[nac])+)"\)', source))
    lengths = {
        country: 4 + sum(int(number) for number in re.findall(r"(\d+)[nac]", structure))
        for country, structure in structures.items()
    }
    (rule,) = (row for row in _core.rule_table(["pii"]) if row["id"] == "pii.finance.iban")
    group = re.compile(r"\(\?:([A-Z|]+)\)\\d\\d\(\?:[^)]+\{4\}\)\{(\d+)\}(?:\[[^]]+\]\?\[A-Z0-9\]\{(\d)\})?")
    written = {
        country: 4 + 4 * int(fours) + int(rest or 0)
        for countries, fours, rest in group.findall(rule["pattern"])
        for country in countries.split("|")
    }
    assert len(written) > 100
    assert written == lengths
