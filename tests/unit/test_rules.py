"""The table of rules, and the functions behind `sift-fast rules`."""

from __future__ import annotations

import collections.abc

import pytest

import sift_fast as sf
from sift_fast import _core


def test_the_table_is_a_sequence_by_id(scanner):
    rules = scanner.rules
    assert isinstance(rules, collections.abc.Sequence)
    assert [r.id for r in rules] == sorted(r.id for r in rules)
    assert len(list(rules)) == len(rules) > 100
    first = rules[0]
    assert rules[first.id] == first
    assert first in rules
    assert first.id in rules
    assert "no.such.rule" not in rules
    assert 3 not in rules
    assert rules.index(rules[7]) == 7
    assert rules.count(rules[7]) == 1
    assert rules[-1] == rules[len(rules) - 1]
    assert rules[2:5] == [rules[2], rules[3], rules[4]]
    assert rules[::-1][0] == rules[-1]
    assert len({*rules, *sf.Scanner().rules}) == len(rules)
    with pytest.raises(KeyError, match="no selected rule"):
        rules["no.such.rule"]
    with pytest.raises(IndexError):
        rules[len(rules)]
    with pytest.raises(ValueError, match="no such rule"):
        rules.index("x")


def test_a_rule_says_what_it_is(scanner):
    rule = scanner.rules["secret.github.token"]
    assert (rule.category, rule.entity_type, rule.tier) == ("secret", "GITHUB_TOKEN", "specific")
    assert rule.title
    assert rule.references
    assert rule.source.endswith("github.toml")
    assert repr(rule) == f"Rule(id='secret.github.token', entity_type='GITHUB_TOKEN', severity='{rule.severity}')"


def test_the_long_table_agrees(scanner):
    rows = _core.rule_table(["default"])
    assert [row["id"] for row in rows] == [r.id for r in scanner.rules]
    for row, rule in zip(rows, scanner.rules, strict=True):
        assert (row["title"], row["entity"], row["severity"]) == (rule.title, rule.entity_type, rule.severity)
        assert row["examples"]
        before, group, after = row["widths"]
        assert before >= 0
        assert group > 0
        assert 0 <= after <= 24
    with pytest.raises(sf.RuleError, match="nope"):
        _core.rule_table(["nope"])


def test_own_rules_are_checked(own_rules):
    assert _core.check_rules([], [own_rules]) == []
    text = own_rules.read_text()
    own_rules.write_text(text.replace("['acmekey_short']", "['acmekey_" + "q" * 24 + "']"))
    ((file, rule, reason), *_) = _core.check_rules([], [own_rules])
    assert file.endswith("own.toml")
    assert rule == "secret.acme.key"
    assert "negative" in reason


def test_fakes_come_from_the_seed(own_rules):
    one = _core.generate("secret.acme.key", 1, 5, [], [own_rules])
    assert one == _core.generate("secret.acme.key", 1, 5, [], [own_rules])
    assert one != _core.generate("secret.acme.key", 2, 5, [], [own_rules])
    assert len(set(one)) == 5
    assert all(value.startswith("acmekey_") and len(value) == 32 for value in one)
    with pytest.raises(sf.ConfigError, match="no rule"):
        _core.generate("secret.nope.nope", 1, 1, ["secrets"])
    with pytest.raises(sf.ConfigError, match="no `format`"):
        _core.generate(_core.rule_table(["leak"])[0]["id"], 1, 1, ["leak"])


def test_examples_are_found_in_python_as_well(scanner):
    """The whole way: rule document, generator, engine, and offsets in bytes."""
    missed = []
    for rule in scanner.rules:
        for text, span in _core.examples(rule.id, 5, ["default"]):
            explained = scanner.explain(text.encode())
            hits = [x for x in explained if x.rule_id == rule.id and x.outcome != "dropped"]
            if not any(span is None or (x.start < span[1] and span[0] < x.end) for x in hits):
                missed.append(rule.id)
    assert missed == []


def test_build_info_is_complete(scanner):
    info = sf.build_info()
    keys = {"version", "profile", "engine", "engine_version", "cpu_level", "rules_version", "rule_hash", "target"}
    assert set(info) == keys
    assert info["version"] == sf.__version__
    assert info["profile"] in {"release", "debug"}
    assert info["rule_hash"] == scanner.hash
    assert (info["engine_version"] is None) == (info["engine"] == "automata")
