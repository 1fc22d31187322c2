"""Expressions of schemas: they find what `re` finds, in one step a character, and what needs more is refused."""

from __future__ import annotations

import random
import re

import pytest

from sift_fast.errors import ConfigError, LimitExceeded
from sift_fast.guard import Guard, RequestContext
from sift_fast.guard import _pattern as of_schemas
from sift_fast.guard._pattern import Pattern

ATOMS = ("a", "b", "c", "[ab]", "[^a]", ".", r"\d", r"\w", r"[a-b\s]", r"\W", "^", r"\Z", r"\A", "1", "[^\\w]")
REPEATS = ("*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "+?")


def made(source: random.Random, depth: int = 0) -> str:
    kind = source.randrange(7) if depth < 4 else 0
    if kind < 2:
        return source.choice(ATOMS)
    if kind < 4:
        return made(source, depth + 1) + made(source, depth + 1)
    if kind == 4:
        return f"(?:{made(source, depth + 1)}|{made(source, depth + 1)})"
    return f"({made(source, depth + 1)}){source.choice(REPEATS)}"


def test_it_finds_what_re_finds() -> None:
    source = random.Random(11)
    found = 0
    for _ in range(2_000):
        pattern = made(source)
        mine, other = Pattern(pattern), re.compile(pattern)
        for _ in range(5):
            text = "".join(source.choice("abc1 \n_é") for _ in range(source.randrange(8)))
            assert mine.found(text) is (other.search(text) is not None), (pattern, text)
            found += mine.found(text)
    assert 1_000 < found < 9_000


@pytest.mark.parametrize("pattern", [r"^(a+)+\Z", r"^(a|a)*\Z", r"(a*)*b", r"^(\w+\s?)*\Z", r"(.*a){12}"])
def test_twice_the_text_is_no_more_than_twice_the_steps(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    step = Pattern._step
    monkeypatch.setattr(Pattern, "_step", lambda mine, state, one: steps.append(1) or step(mine, state, one))
    taken = []
    for size in (1_000, 2_000):
        steps.clear()
        mine = Pattern(pattern)
        assert mine.found("a" * 5 + "!" * size) is (re.search(pattern, "a" * 5 + "!") is not None)
        mine.found("a" * size + "!")
        taken.append(len(steps))
    assert taken[1] <= 2 * taken[0]
    assert taken[0] < 100


def test_what_is_remembered_and_what_it_may_take_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_schemas, "_MOST_KNOWN", 10)
    mine = Pattern(r"a.{3}\Z")
    text = "".join(chr(200 + number) for number in range(300)) + "abcd"
    assert mine.found(text)
    assert len(mine._states) <= 10
    monkeypatch.setattr(of_schemas, "_MOST_STEPS", 100)
    with pytest.raises(LimitExceeded):
        mine.found(text)


def test_an_argument_that_takes_too_long_to_match_does_not_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    args = {"type": "object", "properties": {"name": {"type": "string", "pattern": "^(a+)+$"}}}
    guard = Guard({"version": 1, "guardrails": {"tools": {}}, "tools": {"send": {"args": args}}})
    called = [("aaa", "allow", "ok"), ("a" * 5_000 + "b", "block", "ok")]
    for name, decision, status in called:
        verdict = guard.check_tool_input_sync("send", {"name": name}, RequestContext())
        assert (verdict.decision, verdict.status) == (decision, status)
    monkeypatch.setattr(of_schemas, "_MOST_STEPS", 0)
    verdict = guard.check_tool_input_sync("send", {"name": "xyz"}, RequestContext())
    assert (verdict.decision, verdict.status, verdict.reason) == ("block", "error", "tools.limit")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(a)\1", "references"),
        (r"a(?=b)", "look-around"),
        (r"(?<!a)b", "look-around"),
        (r"(?>a*)b", "never goes back"),
        (r"\bword", "boundaries"),
        (r"(?i)word", "flags"),
        (r"(?i:word)", "flags"),
        (r"(a{1000}){1000}", "places"),
        (r"(", "regular expression"),
        (7, "of text"),
    ],
)
def test_what_is_not_supported_is_refused(pattern: object, why: str) -> None:
    args = {"type": "object", "properties": {"name": {"type": "string", "pattern": pattern}}}
    with pytest.raises(ConfigError, match=why):
        Guard({"version": 1, "guardrails": {"tools": {}}, "tools": {"send": {"args": args}}})
