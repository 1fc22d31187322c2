"""Thresholds, intervals, independence: against counts that can be done by hand."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sift_fast as sf
from sift_fast.classifier import Calibration, Independence, Interval
from sift_fast.classifier.calibration import threshold_for

VERSIONS = {"rules": "a", "ngrams": "b"}


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    # Closed forms: no hit in n is 1 - 0.025 ** (1 / n), one of one is 0.025; the others from tables of the
    # binomial distribution.
    [
        (0, 100, 0.0, 1 - 0.025**0.01),
        (1, 1, 0.025, 1.0),
        (0, 1, 0.0, 0.975),
        (5, 10, 0.1871, 0.8129),
        (1, 100, 0.000253, 0.0545),
        (10, 1000, 0.00481, 0.01831),
    ],
)
def test_intervals_are_those_of_clopper_and_pearson(hits, count, low, high):
    found = Interval(hits, count)
    assert found.low == pytest.approx(low, abs=6e-5)
    assert found.high == pytest.approx(high, abs=6e-5)


def test_nothing_counted_is_nothing_known():
    assert (Interval(0, 0).share, Interval(0, 0).low, Interval(0, 0).high) == (0.0, 0.0, 1.0)


@given(st.lists(st.floats(0, 1), min_size=1), st.floats(0.001, 0.999))
def test_at_most_the_share_that_was_asked_for_is_above(scores, rate):
    threshold = threshold_for(scores, rate)
    assert sum(score > threshold for score in scores) <= rate * len(scores) + 1e-6


def test_a_threshold_is_no_higher_than_it_must_be():
    scores = [number / 1000 for number in range(1000)]
    assert sum(score > threshold_for(scores, 0.01) for score in scores) == 10


def test_texts_with_one_score_stay_together():
    """Half of them above would be a rate that nobody asked for."""
    assert threshold_for([0.5] * 100, 0.1) == 0.5


def test_a_calibration_is_what_was_counted():
    rows = [("input", False, number / 1000) for number in range(1000)]
    rows += [("input", True, 0.9995), ("input", True, 0.1), ("output", False, 0.2), ("output", True, 0.3)]
    made = Calibration.fit(rows, 0.01, VERSIONS, "v1")
    assert [item.stage for item in made.stages] == ["all", "input", "output"]
    stage = made.stages[1]
    assert (stage.wrong, stage.caught, stage.enough) == (Interval(10, 1000), Interval(1, 2), True)
    assert made.stages[2].enough is False
    assert made.threshold("output") == 0.2
    assert made.threshold("retrieval") == made.threshold("all")
    assert made.is_stale("v2")
    assert not made.is_stale("v1")


def test_what_is_saved_comes_back():
    made = Calibration.fit([("input", False, 0.25), ("input", True, 0.5)], 0.01, VERSIONS)
    again = Calibration.from_json(made.to_json())
    assert again == made
    assert again.digest == made.digest
    assert hash(again) == hash(made)


@pytest.mark.parametrize("change", ["format", "rate", "stages", "versions", "threshold", "wrong"])
def test_what_is_no_calibration_is_refused(change):
    document = json.loads(Calibration.fit([("input", False, 0.25)], 0.01, VERSIONS).to_json())
    if change in ("threshold", "wrong"):
        document["stages"][0][change] = {"threshold": 7, "wrong": [3, 1]}[change]
    else:
        document[change] = "something"
    with pytest.raises(sf.ConfigError):
        Calibration.from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "[" * 100_000])
def test_other_files_are_refused(text):
    with pytest.raises(sf.ConfigError, match="no calibration"):
        Calibration.from_json(text)


def test_a_stage_that_does_not_exist_is_refused():
    made = Calibration.fit([("input", False, 0.25)], 0.01, VERSIONS)
    with pytest.raises(sf.ConfigError, match="no stage"):
        made.threshold("inputs")


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, math.nan])
def test_rates_out_of_range_are_refused(rate):
    with pytest.raises(sf.ConfigError, match="share"):
        Calibration.fit([("input", False, 0.25)], rate, VERSIONS)


def test_attacks_alone_make_no_threshold():
    with pytest.raises(sf.ConfigError, match="harmless"):
        Calibration.fit([("input", True, 0.25)], 0.1, VERSIONS)


def test_changed_parts_are_named():
    made = Calibration.fit([("input", False, 0.25)], 0.01, VERSIONS)
    with pytest.raises(sf.ConfigError, match="other rules"):
        made.check({**VERSIONS, "rules": "c"})
    with pytest.raises(sf.ConfigError, match="other model"):
        made.check({**VERSIONS, "model": "c"})
    made.check(VERSIONS)


def test_layers_that_miss_the_same_are_one():
    same = Independence({"a": [True, False, False, False], "b": [True, False, False, False]})
    assert same.effective == pytest.approx(1.0)
    assert same.all_miss == Interval(1, 4)


def test_layers_that_miss_by_chance_are_two():
    """Each misses one half, both together a quarter."""
    crossed = Independence({"a": [True, True, False, False], "b": [True, False, True, False]})
    assert crossed.effective == pytest.approx(2.0)
    assert crossed.joint[0][1] == Interval(1, 4)
    assert crossed.joint[0][0] == Interval(2, 4)


def test_layers_that_miss_nothing_say_nothing():
    assert Independence({"a": [False, False], "b": [True, False]}).effective is None


def test_layers_must_be_asked_the_same():
    with pytest.raises(sf.ConfigError, match="same attacks"):
        Independence({"a": [True], "b": [True, False]})
