"""The generated list of rules (docs/rules.md, tests/data/rules.snapshot.txt), and the promise that ids stay."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import sift_fast as sf
from sift_fast import _core

SCRIPT = Path(__file__).parents[2] / "scripts" / "rules_docs.py"


@pytest.fixture(scope="module")
def docs():
    spec = importlib.util.spec_from_file_location("rules_docs", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows(docs):
    return docs.table()


def rule(id_: str, **more) -> dict:
    row = {
        "id": id_, "aliases": [], "title": "Acme key", "category": "secret", "entity": "ACME_KEY", "tier": "specific",
        "severity": "high", "threat": [], "score": 0.9, "source": "a.toml", "references": [], "known_misses": [],
        "pattern": id_, "group": 1, "checks": [], "min_entropy": None, "context": None, "words": [], "format": None,
    }  # fmt: skip
    return {**row, **more}


@pytest.mark.parametrize("name", ["PAGE", "SNAPSHOT", "MIGRATE"])
def test_what_is_committed_is_what_the_rules_give(docs, name):
    path = getattr(docs, name)
    fresh = path.read_text(encoding="utf-8") == docs.generated()[path]
    assert fresh, f"{path.name} is stale: type `{docs.COMMAND}` and read the difference"


def test_every_rule_has_one_line(docs, rows):
    """Of the page and of the snapshot."""
    for name, mark in (("PAGE", "| `{}` |"), ("SNAPSHOT", "{}\t")):
        lines = getattr(docs, name).read_text(encoding="utf-8").splitlines()
        for row in rows:
            found = [line for line in lines if line.startswith(mark.format(row["id"]))]
            assert len(found) == 1, row["id"]


def test_no_released_id_is_lost(docs, rows):
    withdrawn = [entry[0] for entry in _core.withdrawn_rules()]
    gone = docs.vanished(rows, withdrawn, docs.released())
    assert gone == [], "keep them as aliases, or withdraw them: docs/rule-policy.md"
    assert docs.released(), "the list of released ids is empty"


def test_an_id_that_vanishes_is_noticed(docs):
    known = {"secret.acme.key", "secret.acme.old", "secret.acme.gone", "secret.acme.lost"}
    now = [rule("secret.acme.key", aliases=["secret.acme.old"])]
    assert docs.vanished(now, ["secret.acme.gone"], known) == ["secret.acme.lost"]


def test_withdrawn_ids_are_in_no_rule(rows, docs):
    for id_, since, reason in _core.withdrawn_rules():
        assert id_ not in docs.names(rows)
        assert since
        assert reason


def test_the_snapshot_shows_each_change_of_a_rule(docs):
    before = docs.snapshot([rule("secret.acme.key")], "hash")
    for change in (
        {"entity": "OTHER"},
        {"tier": "generic"},
        {"severity": "low"},
        {"score": 0.8},
        {"checks": ["luhn"]},
        {"pattern": "other"},
        {"group": 0},
        {"min_entropy": 3.0},
        {"context": {"words": ["acme"], "window": 40, "required": True}},
        {"aliases": ["secret.acme.old"]},
    ):
        assert docs.snapshot([rule("secret.acme.key", **change)], "hash") != before, change
    assert docs.snapshot([rule("secret.acme.key")], "other") != before


def test_a_family_changes_one_digest(docs):
    """A provider more would else change the line of every other."""
    shared = {"pattern": "p1", "words": ["acme"]}
    one = [rule("secret.fam.a", **shared), rule("secret.fam.b", **shared)]
    more = [rule(f"secret.fam.{name}", words=["acme"], pattern="p2") for name in "abc"]
    before, after = (docs.snapshot(rows, "hash").splitlines() for rows in (one, more))
    assert len(set(after) - set(before)) == 2
    assert len(set(before) - set(after)) == 1


def test_families_are_told_by_their_words(docs, rows):
    """Rules of the same pattern are no family without; a provider's part of an id may have dots."""
    alike = [rule("secret.fam.a", pattern=""), rule("secret.fam.b", pattern="")]
    assert [family for family, _ in docs.families(alike)] == [None, None]
    members = [rule(f"secret.fam.{name}", pattern="p", words=["acme"]) for name in ("a", "b.c")]
    assert list(docs.families(members)) == [("secret.fam", members)]
    assert docs.family_id(["secret.fam.a"]) == "secret.fam"
    named = {family for family, _ in docs.families(rows) if family}
    assert named
    assert not named & docs.names(rows)


def test_why_a_rule_is_trusted(docs):
    plain, family = rule("secret.acme.key"), "secret.acme"
    assert docs.trust(plain, {"secret.acme.key": 1}, None) == "1 case"
    assert docs.trust(plain, {"secret.acme.key": 7}, family) == "7 cases"
    assert docs.trust(plain, {}, family) == "family"
    assert docs.trust(plain, {"secret.other.key": 3}, None) == "own"
    assert docs.trust(rule("secret.acme.key", references=["https://acme.example/keys"]), {}, None) == "document"


def test_no_text_leaves_its_cell(docs):
    row = rule("secret.acme.key", title="a | b <c>\n*d*", references=["https://acme.example/x"], known_misses=["e|f"])
    page = docs.page([row], "1.0.0", ("2020-01-01", {}))
    (line,) = [line for line in page.splitlines() if line.startswith("| `secret.acme.key`")]
    assert line.count(" | ") == 9
    assert "a \\| b &lt;c> \\*d\\*" in line
    assert "[acme.example](<https://acme.example/x>)" in line


def test_a_family_says_its_format(docs):
    members = [rule(f"secret.fam.{name}", pattern="p", words=["acme"], format="32 hex") for name in "ab"]
    assert "2 providers, format `32 hex`." in docs.page(members, "1.0.0", ("", {}))
    members[1]["format"] = "64 hex"
    assert "2 providers, a format by provider." in docs.page(members, "1.0.0", ("", {}))


def test_the_version_is_told(docs):
    version = sf.build_info()["rules_version"]
    assert [part.isdigit() for part in version.split(".")] == [True] * 3
    assert f"version {version} of the rule set" in docs.PAGE.read_text(encoding="utf-8")


def test_exclude_of_an_unknown_id_is_an_error():
    with pytest.raises(sf.ConfigError, match=r"secret\.acme\.no-such"):
        sf.Scanner(rules=["secrets"], exclude=["secret.acme.no-such"])


def test_misuse_of_the_script(docs, capsys):
    assert docs.main(["--nonsense"]) == 2
    assert "rules-docs" in capsys.readouterr().err
    assert docs.main(["--check"]) == 0
    assert sys.modules.get("rules_docs") is None
