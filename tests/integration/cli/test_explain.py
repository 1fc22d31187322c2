"""`explain`: each candidate with its outcome and reason, and no text."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import TOKEN_RULE, Invoke, assert_silent


def test_found_and_dropped(invoke: Invoke, tmp_path: Path, secret: str) -> None:
    placeholder = "github_pat_" + "1" * 22 + "_" + "x" * 59
    (tmp_path / "a").write_text(f"é\nt = {secret}\n{placeholder}\n")
    ran = invoke("explain", tmp_path / "a")
    assert ran.code == 1
    header, *lines = [line.split() for line in ran.lines]
    assert header == ["place", "bytes", "rule", "view", "outcome", "reason", "score"]
    found = [line for line in lines if line[2] == TOKEN_RULE and line[4] == "found"]
    assert [(line[0], line[1]) for line in found] == [("2:5", f"7-{7 + len(secret)}")]
    dropped = [line for line in lines if line[2] == TOKEN_RULE and line[4] == "dropped"]
    assert dropped
    assert dropped[0][0] == "3:1"
    assert dropped[0][5] == "unfilled"
    assert_silent(ran, secret)


def test_json_text_and_standard_input_agree(invoke: Invoke, tmp_path: Path, secret: str) -> None:
    text = f"t = {secret}"
    (tmp_path / "a").write_text(text)
    runs = [
        invoke("explain", "--format", "json", tmp_path / "a"),
        invoke("explain", "--format", "json", "--text", text),
        invoke("explain", "--format", "json", stdin=text.encode()),
        invoke("explain", "--format", "json", "-", stdin=text.encode()),
    ]
    rows = [json.loads(ran.out) for ran in runs]
    assert rows[0] == rows[1] == rows[2] == rows[3]
    row = next(row for row in rows[0] if row["outcome"] == "found")
    assert row == {
        "rule_id": TOKEN_RULE,
        "start": 4,
        "end": 4 + len(secret),
        "view": "identity",
        "decoded": [],
        "outcome": "found",
        "reason": None,
        "score": 0.95,
    }


def test_nothing(invoke: Invoke, tmp_path: Path) -> None:
    ran = invoke("explain", "--text", "nothing to see here")
    assert (ran.code, ran.out) == (0, b"")
    assert "no candidates" in ran.err
    assert invoke("explain", "--text", "x", tmp_path).code == 2
    missing = invoke("explain", tmp_path / "nowhere")
    assert missing.code == 2
    assert "nowhere" in missing.err
