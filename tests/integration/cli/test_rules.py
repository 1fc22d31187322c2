"""`rules`: the table, one record, the checks and the cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sift_fast import build_info

from .conftest import TOKEN, TOKEN_RULE, Invoke

GOOD = """
[[rule]]
id = "secret.acme.key"
title = "Acme key \\u001b[31m"
entity = "ACME_KEY"
severity = "high"
score = 0.9
format = '"acme_" + 20 lower'
pattern = '''\\b(acme_[a-z]{20})\\b'''
examples = ["key {secret}"]
negatives = ["acme_short", "xacme_{secret}"]
references = ["not a uri"]
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A rule document of a user."""
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    return path


def test_list(invoke: Invoke) -> None:
    ran = invoke("rules", "list")
    assert ran.code == 0
    ids = [line.split()[0] for line in ran.lines[1:]]
    assert ids == sorted(ids)
    assert TOKEN_RULE in ids
    assert f"{len(ids):,} rules, version {build_info()['rules_version']} of" in ran.err
    secrets = invoke("rules", "list", "--rules", "secrets", "--format", "jsonl")
    rows = [json.loads(line) for line in secrets.lines]
    assert {row["category"] for row in rows} == {"secret"}
    assert len(rows) < len(ids)


def test_show(invoke: Invoke) -> None:
    ran = invoke("rules", "show", TOKEN_RULE)
    assert ran.code == 0
    text = ran.out.decode()
    assert TOKEN in text
    assert "(github_pat_" in text
    assert "https://docs.github.com/" in text
    row = json.loads(invoke("rules", "show", TOKEN_RULE, "--format", "json").out)
    assert row["id"] == TOKEN_RULE
    assert row["severity"] == "critical"
    assert row["examples"]
    assert "not in this selection" not in ran.err
    other = invoke("rules", "show", "pii.finance.card")
    assert other.code == 0
    assert "CREDIT_CARD" in other.out.decode()
    assert "not in this selection; sets that have it: pii, pii-all, pii-au" in other.err
    unknown = invoke("rules", "show", "secret.no.such")
    assert unknown.code == 2
    assert "secret.no.such" in unknown.err


def test_a_title_cannot_speak_to_the_terminal(invoke: Invoke, mine: Path) -> None:
    for command in (["list"], ["show", "secret.acme.key"]):
        ran = invoke("rules", *command, "--rules", "none", "--rule-file", mine)
        assert ran.code == 0
        assert b"\x1b" not in ran.out
        assert b"\\x1b[31m" in ran.out


def test_check_and_test_of_a_good_file(invoke: Invoke, mine: Path) -> None:
    ran = invoke("rules", "check", "--rules", "none", "--rule-file", mine)
    assert (ran.code, ran.out) == (0, b""), ran.out
    tested = invoke("rules", "test", mine)
    assert tested.code == 0
    assert tested.lines[1].split() == ["passed", "secret.acme.key", "1", "2"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (("key {secret}", "key acme_{secret"), "example 0"),
        (("acme_short", "{secret}"), "negative 0"),
        (('negatives = ["acme_short", "xacme_{secret}"]', ""), "no negative"),
        (("20 lower", "20 fishes"), "format"),
        (("acme_[a-z]{20}", "[a-z_]{25}"), "literal"),
    ],
)
def test_problems_are_told_with_file_rule_and_reason(
    invoke: Invoke, mine: Path, change: tuple[str, str], word: str
) -> None:
    mine.write_text(GOOD.replace(*change))
    for command in (["check", "--rules", "none", "--rule-file", mine], ["test", mine]):
        ran = invoke("rules", *command)
        assert ran.code == 1, ran.err
        problem = next(line for line in ran.lines if word in line)
        assert problem.startswith(f"{mine}: secret.acme.key: ")
        assert "problem" in ran.err


def test_a_file_that_does_not_load_is_an_error(invoke: Invoke, mine: Path) -> None:
    mine.write_text(GOOD.replace("title", "titel"))
    for command in (["check", "--rule-file", mine], ["test", mine], ["list", "--rule-file", mine]):
        ran = invoke("rules", *command)
        assert ran.code == 2
        assert "titel" in ran.err
        assert ran.err.count("\n") == 1


def test_the_rules_of_the_package_are_sound(invoke: Invoke) -> None:
    ran = invoke("rules", "check")
    assert (ran.code, ran.out) == (0, b""), ran.out.decode()


def test_cost(command: Invoke, tmp_path: Path, mine: Path) -> None:
    from sift_fast import _core

    info = _core.build_info()
    (tmp_path / "corpus").mkdir()
    text = "some words, a key = value and so on\n" * 3000 + "acme_abcdefghijklmnopqrst\n"
    (tmp_path / "corpus" / "a.txt").write_text(text)
    arguments = ["rules", "cost", "--corpus", "corpus", "--rounds", "1", "--dearest", "2", "--format", "json"]
    ran = command(*arguments, "--rules", "secrets", "--rule-file", mine)
    if info["profile"] != "release":
        assert ran.code == 2
        assert "debug" in ran.err
        return
    if info["engine"] != "hyperscan":
        assert ran.code == 2
        assert "hyperscan" in ran.err
        return
    assert ran.code == 0, ran.err
    answer = json.loads(ran.out)
    assert answer["bytes"] == len(text)
    assert answer["files"] == 1
    assert answer["reference_ns_per_byte"] > 0
    ids = {row["id"] for row in answer["patterns"]}
    assert TOKEN_RULE in ids
    assert "secret.acme.key" in ids
    hits = {row["id"]: row["hits_per_mb"] for row in answer["patterns"]}
    assert hits["secret.acme.key"] == pytest.approx(1e6 / len(text))
    assert hits[TOKEN_RULE] == 0
    costs = [row["ns_per_byte"] for row in answer["patterns"]]
    assert costs == sorted(costs, reverse=True)
    assert all(cost > 0 for cost in costs)
    given = [row["id"] for row in answer["patterns"] if not row["shaped"]]
    assert [row["id"] for row in answer["without"]] == given[:2]
    table = command(*arguments[:-1], "text", "--rules", "secrets")
    assert table.code == 0
    assert "x reference" in table.lines[0]
    nothing = command("rules", "cost", "--corpus", "nowhere")
    assert nothing.code == 2
    assert "nowhere" in nothing.err
