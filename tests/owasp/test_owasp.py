"""Every attack that ships, against the preset `agent` as a shop would use it; and what ships of them."""

from __future__ import annotations

from collections import Counter

import pytest

from sift_fast.guard import Guard, GuardConfig
from sift_fast.guard.attacks import RISKS, _cases, assess, play

#: What the rules do not see, with the reason. An attack that is stopped all the same must leave this list.
MISSED = {
    "LLM05-07": "a statement that deletes a table is flagged, not blocked: answers of a database tutor hold such",
}


@pytest.fixture(scope="module")
def config(root):
    return GuardConfig.load(root / "tests" / "data" / "guard.toml")


@pytest.fixture(scope="module")
def played(config):
    return list(play(Guard(config)))


def test_there_are_ten_of_each():
    assert {risk: len(cases) >= 10 for risk, cases in _cases().items()} == dict.fromkeys(RISKS, True)
    steps = Counter(str(case[part]) for cases in _cases().values() for case in cases for part in ("attack", "benign"))
    assert [step for step, count in steps.items() if count > 1] == []


def test_attacks_are_stopped(played):
    assert {one.id: one.reason for one in played if one.stopped is not True} == dict.fromkeys(MISSED, "leak.rule")


def test_twins_pass(played):
    assert {one.id: one.reason for one in played if one.passed is not True} == {}


def test_without_a_guard_everything_gets_through():
    """An attack that is stopped by nothing in particular would prove nothing."""
    bare = Guard({"version": 1})
    assert {one.id for one in play(bare) if one.stopped} == set()


@pytest.mark.parametrize("name", sorted(RISKS))
def test_each_risk_is_stopped_by_its_own_guardrails(name, played, config):
    """With the guardrails of a risk switched off, its attacks get through: nothing else stops them by accident."""
    from sift_fast.guard.attacks import _RISK_KINDS

    # The classifier refuses what it does not read whole, which long texts are: that is not what is meant here.
    kinds = {*_RISK_KINDS[name], "classifier", *({"conversation"} if name == "LLM01" else set())}
    tables = {key: {"enabled": False} if table.kind in kinds else {} for key, table in config.guardrails.items()}
    values = {
        "version": 1,
        "preset": "agent",
        "guardrails": tables,
        "tools": {key: {} for key in config.tools},
    }
    stopped = {one.id for one in played if one.stopped and one.risk == name}
    weaker = {one.id for one in play(Guard(values)) if one.stopped and one.risk == name}
    assert len(weaker) <= len(stopped) // 3, sorted(weaker)


def test_what_is_covered(config):
    covered = assess(config)
    assert set(covered["risks"].values()) == {"enforces"}
    assert covered["layers"] == {
        "input": "enforces",
        "retrieval and tools": "enforces",
        "conversation": "enforces",
        "output": "enforces",
        "escalation": "watches",
    }
    empty = assess(GuardConfig.from_dict({"version": 1}))
    assert set(empty["risks"].values()) | set(empty["layers"].values()) == {"missing"}
    watching = assess(GuardConfig.from_dict({"version": 1, "preset": "monitor-only"}))
    assert watching["risks"]["LLM01"] == "watches"
