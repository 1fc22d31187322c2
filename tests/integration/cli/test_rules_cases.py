"""`rules test` on cases of a user: what passes, what fails and how it is told, and what is no case."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .conftest import TOKEN_RULE, Invoke, assert_silent
from .test_docs import DOCUMENT
from .test_rules import GOOD

RULE = "secret.acme.key"
KEY = "acme_abcdefghijklmnopqrst"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A rule document of a user."""
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace('entity = "ACME_KEY"', 'entity = "ACME_KEY"\naliases = ["secret.acme.old"]'))
    return path


@pytest.fixture
def cases(tmp_path: Path):
    """Writes cases as JSON lines."""

    def write(*rows: object) -> Path:
        path = tmp_path / "cases.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


def own(invoke: Invoke, mine: Path, path: Path):
    return invoke("rules", "test", path, "--rules", "none", "--rule-file", mine)


@pytest.mark.parametrize(
    "case",
    [
        {"text": f"key {KEY}", "expect": [RULE]},
        {"text": f"key {KEY}", "expect": [{"rule": RULE}]},
        {"text": f"é {KEY}", "expect": [{"rule": RULE, "start": 2, "end": 27}]},
        {"text": f"{KEY} {KEY}", "expect": [RULE, {"rule": RULE, "start": 0, "end": 25}]},
        {"text": f"key {KEY}", "expect": ["secret.acme.old"], "name": "by its former id"},
        {"text": "nothing", "expect": []},
        {"text": "", "expect": []},
        {"text": "nothing", "absent": [RULE]},
        {"text": "nothing", "expect": [], "absent": [RULE]},
    ],
)
def test_a_case_passes(invoke: Invoke, mine: Path, cases, case: dict) -> None:
    ran = own(invoke, mine, cases(case))
    assert (ran.code, ran.out) == (0, b""), ran.out
    assert "1 case: all passed" in ran.err


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ({"text": "nothing", "expect": [RULE]}, f"`{RULE}` is not found: its pattern does not occur"),
        ({"text": f"key {KEY}", "expect": []}, f"found `{RULE}` at 4 to 29, which is not expected"),
        ({"text": f"key {KEY}", "absent": [RULE]}, f"found `{RULE}` at 4 to 29, which must be absent"),
        ({"text": f"key {KEY}", "absent": ["secret.acme.old"]}, "which must be absent"),
        (
            {"text": f"key {KEY}", "expect": [{"rule": RULE, "start": 4, "end": 28}]},
            f"`{RULE}` at 4 to 28 is not found: its candidates are at 4 to 29 found",
        ),
        ({"text": f"{KEY} {KEY}", "expect": [RULE]}, f"found `{RULE}` at 26 to 51, which is not expected"),
        ({"text": KEY, "expect": [RULE, RULE]}, f"`{RULE}` is not found"),
    ],
)
def test_a_case_fails(invoke: Invoke, mine: Path, cases, case: dict, told: str) -> None:
    path = cases({"text": "nothing", "expect": []}, {**case, "name": "the second"})
    ran = own(invoke, mine, path)
    assert ran.code == 1
    assert ran.lines[0].startswith(f"{path}: case 2 (the second): ")
    assert told in ran.lines[0]
    assert "1 of 2 cases failed" in ran.err
    assert_silent(ran, KEY)


def test_a_dropped_candidate_is_told(invoke: Invoke, tmp_path: Path, cases) -> None:
    strict = tmp_path / "strict.toml"
    strict.write_text(
        GOOD.replace("score = 0.9", "score = 0.9\nmin_entropy = 3.0").replace("20 lower", "20 [abcdefghijklmnop]")
    )
    ran = own(invoke, strict, cases({"text": "acme_" + "ab" * 10, "expect": [RULE]}))
    assert ran.code == 1
    assert "its candidates are at 0 to 25 dropped by entropy" in ran.lines[0]


def test_the_built_in_rules(invoke: Invoke, tmp_path: Path, secret: str) -> None:
    path = tmp_path / "cases.toml"
    path.write_text(f'[[case]]\ntext = "my token is {secret}, thanks"\nexpect = ["{TOKEN_RULE}"]\n')
    for options in ([], ["--rules", "secrets"]):
        ran = invoke("rules", "test", path, *options)
        assert (ran.code, ran.out) == (0, b"")
    ran = invoke("rules", "test", path, "--rules", "leak")
    assert ran.code == 2
    assert f"case 1 names `{TOKEN_RULE}`, which is no selected rule" in ran.err
    assert_silent(ran, secret)


def test_rules_and_cases_together(invoke: Invoke, mine: Path, cases) -> None:
    path = cases({"text": f"key {KEY}", "expect": [RULE]})
    ran = invoke("rules", "test", path, mine, "--rules", "none")
    assert ran.code == 0
    assert ran.lines[1].split() == ["passed", RULE, "1", "2"]
    assert "1 case: all passed" in ran.err
    # A rule that fails its own examples fails the run, though the cases pass.
    mine.write_text(GOOD.replace("acme_short", "{secret}"))
    ran = invoke("rules", "test", mine, path, "--rules", "none")
    assert ran.code == 1
    assert "1 case: all passed" in ran.err


def test_the_example_of_the_document(invoke: Invoke, tmp_path: Path) -> None:
    """The cases of cli.md, with the rule of rules-howto.md."""
    block = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
    (example,) = block.findall(DOCUMENT.read_text())
    rule, path = tmp_path / "acme.toml", tmp_path / "cases.toml"
    rule.write_text(block.findall(DOCUMENT.with_name("rules-howto.md").read_text())[0])
    path.write_text(example)
    ran = own(invoke, rule, path)
    assert (ran.code, ran.out) == (0, b""), ran.out
    assert "3 cases" in ran.err


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("text", "is not a table"),
        ({"expect": []}, "needs a `text`"),
        ({"text": 3, "expect": []}, "needs a `text`"),
        ({"text": "words"}, "needs `expect`"),
        ({"text": "words", "expect": RULE}, "no list"),
        ({"text": "words", "expect": [3]}, "neither a rule id"),
        ({"text": "words", "expect": [{"rule": RULE, "from": 1}]}, "neither a rule id"),
        ({"text": "words", "expect": [{"rule": RULE, "start": 1}]}, "span"),
        ({"text": "words", "expect": [{"rule": RULE, "start": 1, "end": 6}]}, "span"),
        ({"text": "words", "expect": [{"rule": RULE, "start": False, "end": True}]}, "span"),
        ({"text": "words", "expect": [], "absent": RULE}, "`absent`"),
        ({"text": "words", "expect": [], "name": 1}, "`name`"),
        ({"text": "words", "expects": []}, "unknown key `expects`"),
        ({"text": "words", "expect": ["secret.no.such"]}, "no selected rule"),
    ],
)
def test_what_is_no_case_is_an_error(invoke: Invoke, mine: Path, cases, case: object, told: str) -> None:
    ran = own(invoke, mine, cases({"text": "fine", "expect": []}, case))
    assert ran.code == 2
    assert "case 2" in ran.err
    assert told in ran.err
    assert "words" not in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("empty.jsonl", b"\n", "holds no case"),
        ("odd.jsonl", b'{"text": \n', "line 1 is not JSON"),
        ("bytes.jsonl", b'{"text": "\xff"}\n', "not UTF-8 at byte 10"),
        ("both.toml", b"case = []\nrule = []\n", "file of their own"),
        ("more.toml", b"case = []\ncases = []\n", "nothing else"),
        ("none.toml", b"case = []\n", "holds no case"),
        ("table.toml", b"[case]\n", "nothing else"),
        ("broken.toml", b"[[case]\n", "line 1"),
    ],
)
def test_a_file_of_another_form_is_an_error(
    invoke: Invoke, tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    ran = invoke("rules", "test", path)
    assert ran.code == 2
    assert told in ran.err
    assert str(path) in ran.err
    assert ran.err.count("\n") == 1


def test_a_file_that_is_not_there_is_an_error(invoke: Invoke, tmp_path: Path) -> None:
    for path in (tmp_path / "no.toml", tmp_path / "no.jsonl", tmp_path):
        ran = invoke("rules", "test", path)
        assert ran.code == 2
        assert str(path) in ran.err


def test_a_withdrawn_rule_is_told_with_its_reason(
    invoke: Invoke, mine: Path, cases, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sift_fast import _core

    monkeypatch.setattr(_core, "withdrawn_rules", lambda: [("secret.acme.gone", "0.3.0", "it found serial numbers")])
    tested = own(invoke, mine, cases({"text": "words", "absent": ["secret.acme.gone"]}))
    shown = invoke("rules", "show", "secret.acme.gone")
    for ran in (tested, shown):
        assert ran.code == 2
        assert "withdrawn in version 0.3.0 of the rules: it found serial numbers" in ran.err
