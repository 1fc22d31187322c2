"""Every attack that ships, against the preset `agent` as a shop would use it; and what ships of them."""

from __future__ import annotations

from collections import Counter

import pytest

from sift_fast.guard import Guard, GuardConfig
from sift_fast.guard.attacks import INCIDENT, RISKS, _cases, assess, play, role_of

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


WEAK = """
version = 1
[guardrails.prompt_leak]
[guardrails.secrets]
stages = ["retrieval"]
on_violation = "redact"
[guardrails.conversation]
on_violation = "escalate"
[guardrails.links]
[guardrails.tools]
unlisted = "allow"
[guardrails.acl]
[guardrails.grounding]
on_error = "fail_open"
[guardrails.length]
max_chars = 100000000
[[override]]
role = "guest"
guardrails.acl.enabled = false
guardrails.links.mode = "monitor"
"""
RISKY = (
    WEAK,
    'version = 1\npreset = "chat"',
    'version = 1\npreset = "agent"\n[guardrails.injection]\nblock_at = 0.99',
    'version = 1\npreset = "agent"\n[[override]]\ntenant = "globex"\nguardrails.acl.mode = "monitor"',
    'version = 1\npreset = "agent"\n[[override]]\nguardrails.secrets.on_violation = "flag"',
    "version = 1\n[guardrails.classifier]\nblock_at = 0.5",
    'version = 1\npreset = "strict"\n[guardrails.links]\nmode = "monitor"\n[guardrails.leak]\nmode = "monitor"',
)


@pytest.mark.parametrize("text", RISKY)
def test_no_risk_is_enforced_against_where_half_of_the_attacks_get_through(text):
    config = GuardConfig.from_toml(text)
    claimed = {risk for risk, state in assess(config)["risks"].items() if state == "enforces"}
    callers = [("acme", "support"), *((each.tenant or "acme", each.role or "support") for each in config.override)]
    guard = Guard(config)
    seen = set()
    for tenant, role in callers:
        stopped = {}
        for one in play(guard, tenant=tenant, role=role):
            stopped.setdefault(one.risk, []).append(one.stopped is True)
        seen |= {risk for risk, each in stopped.items() if sum(each) * 2 < len(each)}
    assert seen, "nothing gets through"
    assert not claimed & seen


def test_what_holds_for_some_callers_alone_holds_in_part():
    covered = assess(GuardConfig.from_toml(WEAK))
    assert covered["risks"]["LLM08"] == covered["risks"]["LLM05"] == "in part"
    assert covered["risks"]["LLM07"] == "missing"
    assert covered["layers"]["output"] == "enforces"
    # Secrets are read where documents are, which is another layer.
    alone = assess(GuardConfig.from_dict({"version": 1, "guardrails": {"secrets": {"stages": ["retrieval"]}}}))
    assert alone["layers"]["input"] == "missing"
    assert (
        assess(GuardConfig.from_dict({"version": 1, "guardrails": {"prompt_leak": {}}}))["layers"]["output"]
        == "missing"
    )


def test_attacks_are_played_in_the_words_of_the_configuration(config):
    """As any tenant, with any keys: no twin is refused for the words that the cases were written in."""
    acl = {"tenant_key": "org", "roles_key": "groups", "users_key": "people"}
    values = {"version": 1, "preset": "agent", "guardrails": {"acl": acl}}
    for tenant, role in (("acme", ""), ("globex-two", "clerk")):
        documents = [one for one in play(Guard(values), tenant=tenant, role=role) if one.risk == "LLM08"]
        assert [(one.stopped, one.passed) for one in documents] == [(True, True)] * len(documents)
    open_to_all = {**values, "override": [{"role": "clerk", "guardrails": {"acl": {"enabled": False}}}]}
    played = list(play(Guard(open_to_all), role="clerk"))
    assert not any(one.stopped for one in played if one.risk == "LLM08")
    listed = {"version": 1, "preset": "agent", "tools": {"refund": {"roles": ["desk"]}}}
    assert role_of(GuardConfig.from_dict(listed)) == "desk"
    assert role_of(config) == "support"


def test_incidents_are_stopped_and_their_twins_pass(config):
    played = list(play(Guard(config), incidents=True))
    assert [(one.risk, one.stopped, one.passed) for one in played] == [(INCIDENT, True, True)] * 7
    assert any(one.stopped is False for one in play(Guard({"version": 1, "preset": "chat"}), incidents=True))
