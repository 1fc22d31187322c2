"""Baselines: what is known is passed over wherever it moves; nothing can be read out of the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import OTHER_RULE, TOKEN_RULE, Invoke, assert_silent, fakes


def test_round_trip(command: Invoke, tree: Path, secret: str) -> None:
    assert command("scan", ".", cwd=tree).code == 1
    written = command("scan", ".", "--write-baseline", "known.json", cwd=tree)
    assert written.code == 0
    assert len(written.lines) == 1
    ran = command("scan", ".", "--baseline", "known.json", cwd=tree)
    assert (ran.code, ran.out) == (0, b"")
    assert "1 in the baseline" in ran.err
    text = (tree / "known.json").read_text()
    document = json.loads(text)
    assert document["version"] == 1
    assert len(bytes.fromhex(document["salt"])) == 32
    assert [(row["path"], row["rule"]) for row in document["findings"]] == [("src/app.py", TOKEN_RULE)]
    assert not any(secret[at : at + 8] in text for at in range(11, len(secret) - 8))
    assert_silent(written, secret)


def test_from_any_folder_and_by_any_spelling_of_a_path(command: Invoke, tree: Path, tmp_path: Path) -> None:
    command("scan", ".", "--write-baseline", "known.json", cwd=tree)
    for arguments, cwd in [
        (("src", "--baseline", "known.json"), tree),
        (("./src/../src/app.py", "--baseline", "./known.json"), tree),
        ((str(tree), "--baseline", str(tree / "known.json")), tmp_path),
        (("app.py", "--baseline", "../known.json"), tree / "src"),
    ]:
        assert command("scan", *arguments, cwd=cwd).code == 0, arguments


def test_a_moved_line_is_known_a_new_value_or_place_is_not(command: Invoke, tree: Path, secret: str) -> None:
    command("scan", ".", "--write-baseline", "known.json", cwd=tree)
    source = tree / "src" / "app.py"
    source.write_text("# moved\n\n\n" + source.read_text())
    assert command("scan", ".", "--baseline", "known.json", cwd=tree).code == 0
    source.write_text(source.read_text() + f"other = '{fakes(TOKEN_RULE, 2, seed=9)[1]}'\n")
    ran = command("scan", ".", "--baseline", "known.json", cwd=tree)
    assert ran.code == 1
    assert len(ran.lines) == 1
    assert ":7:" in ran.lines[0]
    (tree / "copy.py").write_text(f"{secret}\n")
    assert any(
        line.startswith("copy.py:1:1") for line in command("scan", ".", "--baseline", "known.json", cwd=tree).lines
    )


def test_updating_keeps_the_salt_and_drops_what_is_gone(command: Invoke, tree: Path) -> None:
    command("scan", ".", "--write-baseline", "known.json", cwd=tree)
    before = json.loads((tree / "known.json").read_text())
    (tree / "src" / "app.py").write_text(f"key = '{fakes(OTHER_RULE, 1)[0]}'\n")
    ran = command("scan", ".", "--baseline", "known.json", "--write-baseline", "known.json", cwd=tree)
    assert ran.code == 0
    after = json.loads((tree / "known.json").read_text())
    assert after["salt"] == before["salt"]
    assert [row["rule"] for row in after["findings"]] == [OTHER_RULE]


def test_salts_differ_and_fingerprints_with_them(command: Invoke, tree: Path) -> None:
    """Two baselines of the same tree share nothing that could be looked up."""
    documents = []
    for name in ("a.json", "b.json"):
        command("scan", "src", "--write-baseline", name, cwd=tree)
        documents.append(json.loads((tree / name).read_text()))
    assert documents[0]["salt"] != documents[1]["salt"]
    assert documents[0]["findings"][0]["fingerprint"] != documents[1]["findings"][0]["fingerprint"]


def test_the_fingerprint_is_the_documented_one(command: Invoke, tree: Path, secret: str) -> None:
    import hmac

    command("scan", "src", "--write-baseline", "known.json", cwd=tree)
    document = json.loads((tree / "known.json").read_text())
    salt = bytes.fromhex(document["salt"])
    expected = hmac.new(salt, TOKEN_RULE.encode() + b"\0" + secret.encode(), "sha256").hexdigest()
    assert document["findings"][0]["fingerprint"] == expected
    reported = command(
        "scan", "src", "--format", "jsonl", "--baseline", "known.json", "--write-baseline", "new.json", cwd=tree
    )
    assert reported.out == b""
    (tree / "new.py").write_text(f"{secret}\n")
    (line,) = command("scan", ".", "--format", "jsonl", "--baseline", "known.json", cwd=tree).lines
    assert json.loads(line)["fingerprint"] == expected


def test_an_empty_baseline_is_whole(command: Invoke, tree: Path) -> None:
    (tree / "src" / "app.py").write_text("clean\n")
    assert command("scan", ".", "--write-baseline", "known.json", cwd=tree).code == 0
    assert json.loads((tree / "known.json").read_text())["findings"] == []
    assert command("scan", ".", "--baseline", "known.json", cwd=tree).code == 0


DAMAGES = {
    "empty": "",
    "cut": '{"version": 1, "salt": "',
    "list": "[]",
    "number": "1",
    "version": '{"version": 2, "salt": "%s", "findings": []}' % ("0" * 64),
    "version-true": '{"version": true, "salt": "%s", "findings": []}' % ("0" * 64),
    "twice": '{"version": 1, "salt": "%s", "findings": [], "findings": []}' % ("0" * 64),
    "no-salt": '{"version": 1, "findings": []}',
    "short-salt": '{"version": 1, "salt": "00", "findings": []}',
    "no-findings": '{"version": 1, "salt": "%s"}' % ("0" * 64),
    "entry": '{"version": 1, "salt": "%s", "findings": [{"path": "a"}]}' % ("0" * 64),
    "entry-type": '{"version": 1, "salt": "%s", "findings": ["a"]}' % ("0" * 64),
    "fingerprint": '{"version": 1, "salt": "%s", "findings": [{"path": "a", "rule": "b", "fingerprint": "c"}]}'
    % ("0" * 64),
    "deep": "[" * 100_000,
    "not-utf8": "\udcff",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_broken_baseline_is_an_error(command: Invoke, tree: Path, damage: str) -> None:
    (tree / "known.json").write_bytes(damage.encode("utf-8", "surrogateescape"))
    ran = command("scan", ".", "--baseline", "known.json", cwd=tree)
    assert (ran.code, ran.out) == (2, b"")
    assert "known.json" in ran.err
    assert ran.err.count("\n") == 1
