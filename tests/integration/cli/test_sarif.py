"""SARIF 2.1.0: the official schema, and what the schema cannot say."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import jsonschema
import pytest

from .conftest import TOKEN_RULE, Invoke, assert_silent, fakes

SCHEMA = json.loads((Path(__file__).parent / "data" / "sarif" / "sarif-schema-2.1.0.json").read_text())


def log_of(ran: Any) -> dict[str, Any]:
    """The log, valid by the schema with formats checked."""
    log = json.loads(ran.out)
    jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(log)
    assert isinstance(log, dict)
    return log


def test_the_schema_can_fail() -> None:
    """The validator is set up to notice: a log with a wrong level, column kind or unknown key is refused."""
    good = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": []}]}
    validator = jsonschema.Draft7Validator(SCHEMA)
    assert validator.is_valid(good)
    for key, value in (("columnKind", "bytes"), ("results", [{"message": {}, "level": "dire"}]), ("nope", 1)):
        bad = json.loads(json.dumps(good))
        bad["runs"][0][key] = value
        assert not validator.is_valid(bad), key


def test_a_log_with_findings(command: Invoke, tree: Path, secret: str) -> None:
    ran = command("scan", "--format", "sarif", ".", cwd=tree)
    assert ran.code == 1
    run = log_of(ran)["runs"][0]
    driver = run["tool"]["driver"]
    assert driver["name"] == "sift-fast"
    rules = {rule["id"]: rule for rule in driver["rules"]}
    (result,) = run["results"]
    assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == TOKEN_RULE
    rule = rules[TOKEN_RULE]
    assert rule["helpUri"].startswith("https://docs.github.com/")
    assert rule["properties"]["security-severity"] == "9.5"
    assert rule["properties"]["tags"][:2] == ["security", "secret"]
    assert (result["level"], result["rank"]) == ("error", 95.0)
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "src/app.py", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 2, "startColumn": 10, "endLine": 2, "endColumn": 10 + len(secret)}
    assert run["columnKind"] == "utf16CodeUnits"
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is True
    assert invocation["exitCode"] == 1
    assert invocation["toolExecutionNotifications"] == []
    assert_silent(ran, secret)


def test_every_rule_is_valid_and_a_clean_log_has_no_results(command: Invoke, tree: Path) -> None:
    ran = command("scan", "--format", "sarif", "README.md", cwd=tree)
    assert ran.code == 0
    run = log_of(ran)["runs"][0]
    assert run["results"] == []
    ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert ids == sorted(set(ids))
    assert len(ids) > 50


def test_columns_are_utf16_code_units(command: Invoke, tmp_path: Path) -> None:
    """A clef is one character and two units: a log in characters would point one to the left of the token."""
    one, two = fakes(TOKEN_RULE, 2)
    text = f"é 𝄞 {one} 𝄞𝄞 {two}\n"
    (tmp_path / "a.txt").write_text(text)
    run = log_of(command("scan", "--format", "sarif", "a.txt"))["runs"][0]
    units = text.encode("utf-16-le")
    for result, token in zip(run["results"], (one, two), strict=True):
        region = result["locations"][0]["physicalLocation"]["region"]
        start = units.index(token.encode("utf-16-le")) // 2 + 1
        assert (region["startColumn"], region["endColumn"]) == (start, start + len(token))


def test_a_finding_of_many_lines_ends_where_it_ends(command: Invoke, tmp_path: Path) -> None:
    key = fakes("secret.private-key.pem", 1)[0]
    (tmp_path / "id.pem").write_text(f"# 𝄞\n  {key}\n")
    run = log_of(command("scan", "--format", "sarif", "id.pem"))["runs"][0]
    regions = [result["locations"][0]["physicalLocation"]["region"] for result in run["results"]]
    lines = key.split("\n")
    assert any(region["startLine"] == 2 and region["endLine"] >= 2 + len(lines) - 2 for region in regions)


@pytest.mark.parametrize("name", [b"a b%#?.txt", b"c:d.txt", "é名.txt".encode(), b"\xff\n.txt"])
def test_uris_are_relative_and_round_trip(command: Invoke, tmp_path: Path, secret: str, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_text(secret)
    run = log_of(command("scan", "--format", "sarif", path))["runs"][0]
    artifact = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    uri = artifact["uri"]
    assert uri.isascii()
    assert not set(uri) & set(" \n?#:\\")
    assert unquote_to_bytes(uri) == name


def test_a_file_outside_the_working_folder_has_an_absolute_uri(command: Invoke, tree: Path) -> None:
    (tree / "sub").mkdir()
    run = log_of(command("scan", "--format", "sarif", "../src", cwd=tree / "sub"))["runs"][0]
    artifact = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact == {"uri": (tree / "src" / "app.py").as_uri()}


def test_fingerprints_stay_when_lines_move_and_hold_no_value(command: Invoke, tree: Path) -> None:
    source = tree / "src" / "app.py"
    one, two = fakes(TOKEN_RULE, 2, seed=3)
    source.write_text(f"{one}\n{two}\n")

    def prints(*options: str) -> list[dict[str, str]]:
        run = log_of(command("scan", "--format", "sarif", "src", *options, cwd=tree))["runs"][0]
        return [result["partialFingerprints"] for result in run["results"]]

    before = prints()
    assert len({row["siftFastPlace/v1"] for row in before}) == 2
    source.write_text(f"\n\n{one}\n\n{two}\n")
    assert prints() == before
    # Without a salt of its own a fingerprint must not depend on the value at all.
    source.write_text("\n".join(fakes(TOKEN_RULE, 2, seed=4)))
    assert prints() == before
    (tree / "known.json").write_text(json.dumps({"version": 1, "salt": "ab" * 32, "findings": []}))
    keyed = prints("--baseline", "known.json")
    assert all("siftFastKeyed/v1" in row for row in keyed)


def test_what_cannot_be_read_is_a_notification(command: Invoke, tree: Path) -> None:
    ran = command("scan", "--format", "sarif", "nowhere", "src", cwd=tree)
    assert ran.code == 2
    run = log_of(ran)["runs"][0]
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["exitCode"] == 2
    (note,) = invocation["toolExecutionNotifications"]
    assert note["level"] == "error"
    assert "nowhere" in note["message"]["text"]
    assert note["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "nowhere"
    assert len(run["results"]) == 1


def test_standard_input_has_a_uri_too(command: Invoke, secret: str) -> None:
    run = log_of(command("scan", "--format", "sarif", "-", stdin=secret.encode()))["runs"][0]
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "%3Cstdin%3E"}
