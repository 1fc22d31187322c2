"""`sift-fast policy`: remarks, cases, explanations, replay, drafts, and their exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

MANIFEST = """
version = 1
[tool.refund]
action = "payment"
risk = "high"
reversible = true
exports = false
charges = [{ budget = "refunds", unit = "usd_micros", argument = "/cents", times = 10_000 }]
args = { type = "object", required = ["cents"], properties = { cents = { type = "integer", minimum = 1 } } }
"""
CEDAR = """
@id("small")
permit (principal in Role::"support", action == Action::"refund", resource)
when { context.args.cents <= 5000 };
"""
CASES = """
[defaults]
tenant = "acme"
agent = "bot"
role = "support"
tool = "refund"
[[case]]
name = "small"
expect = "allow"
rules = ["small"]
request = { args = { cents = 100 } }
[[case]]
name = "large"
expect = "deny"
reason = "no_permit"
request = { args = { cents = 5001 } }
"""
REQUEST = {"tenant": "acme", "agent": "bot", "role": "support", "tool": "refund", "args": {"cents": 5001}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tools.toml").write_text(MANIFEST)
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "refund.cedar").write_text(CEDAR)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "refund.toml").write_text(CASES)
    return tmp_path


def test_check_is_quiet_about_a_good_policy_and_loud_about_an_odd_one(folder, invoke):
    ran = invoke("policy", "check", folder)
    assert (ran.code, ran.out) == (0, b"")
    assert "1 policy, 1 tool, 0 warnings; hash " in ran.err
    (folder / "policy" / "wide.cedar").write_text('@id("wide") permit (principal, action, resource);')
    ran = invoke("policy", "check", folder, "--format", "jsonl")
    assert ran.code == 1
    assert {json.loads(line)["code"] for line in ran.lines} == {"no_argument_limit", "redundant"}
    assert b"cents: __cedar::Long" in invoke("policy", "check", folder, "--schema").out.replace(b'"', b"")


def test_what_does_not_fit_the_manifest_is_an_error(folder, invoke):
    (folder / "policy" / "wrong.cedar").write_text(
        '@id("wrong") permit (principal, action == Action::"refund", resource) when { context.args.dollars < 5 };'
    )
    ran = invoke("policy", "check", folder)
    assert ran.code == 2
    assert re.search(r"`wrong`.*dollars", ran.err)


def test_cases_are_run(folder, invoke):
    ran = invoke("policy", "test", folder)
    assert (ran.code, ran.out) == (0, b"")
    assert "2 cases, 0 failed" in ran.err
    (folder / "policy" / "refund.cedar").write_text(CEDAR.replace("5000", "50"))
    ran = invoke("policy", "test", folder)
    assert ran.code == 1
    assert any("small: the decision is deny, expected allow" in line for line in ran.lines)
    (folder / "tests" / "refund.toml").unlink()
    ran = invoke("policy", "test", folder)
    assert (ran.code, "no cases" in ran.err) == (2, True)


def test_a_denial_is_explained(folder, invoke):
    ran = invoke("policy", "explain", folder, stdin=json.dumps(REQUEST).encode())
    assert ran.code == 1
    assert ran.lines == [
        "deny: no_permit (no policy)",
        "  nearest   small, 1 of 2 hold: context.args.cents <= 5000 does not hold",
    ]
    small = REQUEST | {"args": {"cents": 7}}
    ran = invoke("policy", "explain", folder, stdin=json.dumps(small).encode())
    assert ran.code == 0
    assert ran.lines == ["allow: allowed (small)", "  charges   70000 usd_micros of refunds"]
    ran = invoke("policy", "explain", folder, stdin=b'{"tenant": "a", "tenant": "b"}')
    assert (ran.code, "same key twice" in ran.err) == (2, True)
    ran = invoke("policy", "explain", folder, stdin=json.dumps(REQUEST | {"agent": ["hidden-value"]}).encode())
    assert (ran.code, "hidden" in ran.err) == (2, False)


def test_decisions_are_replayed(folder, invoke):
    records = folder / "records.jsonl"
    record = {"request_id": "r1", "request": REQUEST, "decision": "deny", "reason": "no_permit", "rule_ids": []}
    records.write_text(json.dumps(record) + "\n\n")
    ran = invoke("policy", "replay", folder, records)
    assert (ran.code, ran.out) == (0, b"")
    (folder / "policy" / "refund.cedar").write_text(CEDAR.replace("5000", "9000"))
    ran = invoke("policy", "replay", folder, records)
    assert ran.code == 1
    assert [json.loads(line)["after"]["decision"] for line in ran.lines] == ["allow"]


def test_a_draft_loads_and_denies(folder, invoke):
    tools = {"tools": [{"name": "search", "inputSchema": {"type": "object", "properties": {"q": {"type": "string"}}}}]}
    ran = invoke("policy", "import", stdin=json.dumps(tools).encode())
    assert ran.code == 0
    (folder / "tools.toml").write_bytes(ran.out)
    (folder / "policy" / "refund.cedar").write_text('@id("all") permit (principal, action, resource);')
    request = REQUEST | {"tool": "search", "args": {"q": "x"}}
    ran = invoke("policy", "explain", folder, stdin=json.dumps(request).encode())
    assert ran.lines[0].startswith("deny: tool_not_declared")


def test_a_broken_case_is_told_of_in_one_line(folder, invoke):
    (folder / "tests" / "refund.toml").write_text(
        CASES
        + '[[case]]\nname = "x"\nexpect = "deny"\nrequest = { args = { cents = 1 }, findings = [{ category = "secret" }] }\n'
    )
    ran = invoke("policy", "test", folder)
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert "\\n" not in ran.err
