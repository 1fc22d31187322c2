"""`Findings` and `Finding`: a frozen sequence of values without text."""

from __future__ import annotations

import collections.abc
import copy
import pickle

import numpy as np
import pytest

import sift_fast as sf


@pytest.fixture(scope="module")
def text(tokens):
    return "é " + " and ".join(tokens[:5])


@pytest.fixture(scope="module")
def found(scanner, text):
    return scanner.scan(text)


def test_it_is_a_sequence(found):
    assert isinstance(found, collections.abc.Sequence)
    items = list(found)
    assert len(items) == len(found) == 5
    assert items == [found[i] for i in range(5)]
    assert found[-1] == items[4]
    assert found[-5] == items[0]
    assert list(reversed(found)) == items[::-1]
    assert items[2] in found
    assert found.index(items[2]) == 2
    assert found.count(items[2]) == 1
    assert "text" not in found
    with pytest.raises(ValueError, match="no such finding"):
        found.index(3)
    for outside in (5, -6, 2**70, -(2**70)):
        with pytest.raises(IndexError, match="there are 5 findings"):
            found[outside]
    for wrong in ("0", 1.0, None):
        with pytest.raises(TypeError, match="integers"):
            found[wrong]


@pytest.mark.parametrize(
    "part", [slice(None), slice(1, 3), slice(None, None, -1), slice(4, 0, -2), slice(9, 20), slice(-2, None)]
)
def test_slices(found, part):
    assert list(found[part]) == list(found)[part]
    assert found[part].unit == found.unit


def test_nothing_can_be_changed(found):
    with pytest.raises(AttributeError):
        found[0].start = 3
    with pytest.raises(AttributeError):
        found.unit = "byte"
    with pytest.raises(TypeError):
        found[0] = found[1]


def test_equal_means_equal_in_all(scanner, text, found):
    again = sf.Scanner().scan(text)
    assert again == found
    assert hash(again) == hash(found)
    assert again[0] == found[0]
    assert hash(again[0]) == hash(found[0])
    assert found[0] != found[1]
    assert found != found[:4]
    assert found != list(found)
    assert found[0] != 3
    assert scanner.scan("abc") != scanner.scan(b"abc"), "units differ"
    assert len({*found, *again}) == 5


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(scanner, tokens, found, protocol):
    assert pickle.loads(pickle.dumps(found, protocol)) == found
    assert pickle.loads(pickle.dumps(found[1], protocol)) == found[1]
    limited = sf.Scanner(limits=sf.Limits(findings=2)).scan(" ".join(tokens[:5]))
    back = pickle.loads(pickle.dumps(limited, protocol))
    assert back == limited
    assert back.incomplete == ("findings",)
    empty = scanner.scan(b"")
    assert pickle.loads(pickle.dumps(empty, protocol)) == empty
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)).columns()["rule"], found.columns()["rule"])
    assert copy.deepcopy(found) == found


def test_columns(scanner, found):
    columns = found.columns()
    assert {name: str(column.dtype) for name, column in columns.items()} == {
        "doc": "int64",
        "rule": "uint32",
        "start": "uint32",
        "end": "uint32",
        "score": "float32",
    }
    assert sum(column.itemsize for column in columns.values()) == 24
    assert columns["start"].tolist() == [f.start for f in found]
    assert columns["end"].tolist() == [f.end for f in found]
    assert [scanner.rules[rule].id for rule in columns["rule"].tolist()] == [f.rule_id for f in found]
    assert columns["score"].tolist() == [np.float32(f.score) for f in found]
    assert columns["doc"].tolist() == [0] * 5
    assert not columns["start"].flags.writeable
    assert all(len(column) == 0 for column in scanner.scan("").columns().values())


def test_scores_read_as_they_are_written(scanner, found):
    """0.9 in a rule is 0.9 in Python, not the 0.8999999761581421 that 32 bits make of it."""
    assert all(len(repr(f.score)) <= 6 for f in found)
    assert all(len(repr(rule.score)) <= 6 for rule in scanner.rules)


def test_repr(found):
    first = found[0]
    assert repr(found) == "Findings(5 found)"
    assert repr(first) == (
        f"Finding(rule_id='{first.rule_id}', entity_type='GITHUB_TOKEN', start={first.start}, end={first.end}, "
        f"score={first.score}, severity='{first.severity}')"
    )


def test_findings_outlive_their_scanner(token):
    found = sf.Scanner("secrets").scan(token)
    assert found[0].rule_id == "secret.github.token"
