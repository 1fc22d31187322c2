"""The second set of attacks and twins: what of it is stopped, and that nothing else gets through than is known."""

from __future__ import annotations

import importlib.util
import json
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from sift_fast.guard import Document, Guard, GuardConfig, RequestContext

HERE = Path(__file__).with_name("independent")
_spec = importlib.util.spec_from_file_location("owasp_independent_cases", HERE / "cases.py")
cases = sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)

#: Which preset is meant against which risk.
PRESETS = {"LLM09": "rag"}
#: How the page begins the row of an incident.
NAMES = {
    "page": "page that talks",
    "refund": "refund",
    "ledger": "ledger of",
    "competitor": "competitor's",
}
SCENARIOS = set(NAMES)


def guard(preset):
    text = (HERE / "shop.toml").read_text().replace('preset = "agent"', f'preset = "{preset}"')
    return Guard(GuardConfig.from_toml(text, base=str(HERE)))


def check(of, step, seen, context):
    if step.kind == "say":
        return of.check_input_sync(step.value, context)
    if step.kind == "found":
        return of.check_retrieval_sync([Document(text, data) for text, data in step.value], context)
    if step.kind == "call":
        return of.check_tool_input_sync(step.tool, step.value, context)
    if step.kind == "result":
        return of.check_tool_output_sync(step.tool, step.value, context)
    return of.check_output_sync("\n".join(seen) if step.kind == "repeat" else step.value, context)


def play(of, case, name):
    """Whether a case was stopped (an attack) or changed (a twin), and whether it is on record at all."""
    seen, noted = [], False
    for step in case.steps:
        state = {} if step.state is None else {"state": step.state}
        context = RequestContext(tenant=cases.TENANT, role=step.role, user="u1", conversation=name, **state)
        verdict = check(of, step, seen, context)
        noted = noted or verdict.decision != "allow"
        if not verdict.allowed:
            return True, True
        documents = [document.text for document in verdict.documents]
        value = [] if verdict.value is None else [json.dumps(verdict.value, ensure_ascii=False)]
        seen += [*documents, *([] if verdict.text is None else [verdict.text]), *value]
    marks = [mark in "\n".join(seen) for mark in case.marks]
    if case.attack:
        return bool(marks) and not any(marks), noted
    return not all(marks), noted


@pytest.fixture(scope="module")
def played():
    guards = {preset: guard(preset) for preset in ("agent", "rag")}
    return {
        (case.attack, f"{case.risk}/{case.name}"): play(guards[PRESETS.get(case.risk, "agent")], case, f"c{number}")
        for number, case in enumerate(cases.CASES)
    }


def test_there_are_ten_of_each_and_none_twice():
    counts = Counter((case.risk, case.attack) for case in cases.CASES)
    assert {risk for risk, _ in counts} == {f"LLM{number:02}" for number in (1, 2, 5, 6, 7, 8, 9, 10)} | SCENARIOS
    assert min(counts.values()) >= 10
    assert len({(case.attack, case.risk, case.name) for case in cases.CASES}) == len(cases.CASES)


def test_only_what_is_known_gets_through(played):
    known = tomllib.loads((HERE / "misses.toml").read_text())
    missed = {name: noted for (attack, name), (stopped, noted) in played.items() if attack and not stopped}
    assert sorted(name for name, noted in missed.items() if noted) == sorted(known["flagged"])
    assert sorted(name for name, noted in missed.items() if not noted) == sorted(known["unseen"])


def test_twins_pass_unchanged(played):
    assert [name for (attack, name), (changed, _) in played.items() if not attack and changed] == []


def test_most_twins_are_not_even_on_record(played):
    noted = [name for (attack, name), (_, noted) in played.items() if not attack and noted]
    # Grounding: a date in other words, and a number with another decimal mark, are no literal repetition.
    assert {name.partition("/")[0] for name in noted} <= {"LLM09"}


def test_without_a_guard_every_attack_gets_through():
    bare = Guard({"version": 1})
    stopped = [case.name for case in cases.CASES if case.attack and play(bare, case, "c")[0]]
    # What is nested deeper than is read is refused by every guard.
    assert stopped == ["deep-arguments"]


def test_the_page_says_what_was_stopped(played, root):
    """`docs/owasp.md` has a row for each risk and scenario: attacks stopped, on record, twins passed."""
    rows = Counter()
    for (attack, name), (stopped, noted) in played.items():
        risk = name.partition("/")[0]
        rows[risk, "attacks" if attack else "twins"] += 1
        rows[risk, "stopped" if attack else "passed"] += stopped if attack else not stopped
        rows[risk, "noted"] += attack and noted
    text = (root / "docs" / "owasp.md").read_text()
    for risk in sorted({risk for risk, _ in rows}):
        attacks, twins = rows[risk, "attacks"], rows[risk, "twins"]
        parts = (("stopped", attacks), ("noted", attacks), ("passed", twins))
        row = "| " + " | ".join(f"{rows[risk, what]} of {count}" for what, count in parts) + " |"
        assert any(
            line.startswith((f"| {risk} ", f"| {NAMES.get(risk)} ")) and line.endswith(row)
            for line in text.splitlines()
        ), (risk, row)
