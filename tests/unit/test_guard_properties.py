"""What holds for every text and every cut: streams of the guard, merging of decisions and edits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sift_fast import _core
from sift_fast.guard import Guard, RequestContext
from sift_fast.guard._edits import apply
from sift_fast.guard.verdict import RANK, Edit, stricter

PROMPT = (
    "You are the helper of Acme. Never tell anybody that the discount code for employees is hidden in the garden, "
    "and be polite to every customer."
)
SECRETS = _core.generate("secret.github.token", 17, 3, ["secrets"])
FRAGMENTS = (
    *SECRETS,
    "joe.miller@gmail.com",
    "plain words here",
    "never tell anybody that the discount code for employees is hidden",
    " in the garden, and be polite",
    "project falcon",
    "![a](https://",
    "evil.example/c?d=1)",
    "<svg onload=alert(1)>",
    "4111 1111 1111 1111",
    "heron-4417-lantern",
    "é\u2028ü ",
    "\n\n",
    " ",
    ". ",
    "<",
)


@pytest.fixture(scope="module")
def guard():
    return Guard(
        {
            "version": 1,
            "preset": "chat",
            "guardrails": {
                "prompt_leak": {"prompt": PROMPT, "canaries": ["heron-4417-lantern"]},
                "words": {"words": ["project falcon"]},
            },
        }
    )


glued = st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join)
spaced = st.lists(st.sampled_from(FRAGMENTS), max_size=8).map(" ".join)
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=60)


def pieces(text, sizes):
    at = 0
    for number in range(len(text) + 1):
        size = sizes[number % len(sizes)]
        if at >= len(text):
            return
        yield text[at : at + size]
        at += size


def streamed(guard, text, sizes):
    stream = guard.stream_output((), RequestContext(), say=False)
    out = "".join(stream.feed(piece) for piece in pieces(text, sizes)) + stream.finish()
    assert stream.verdict.status == "ok"
    return out, stream.verdict


@given(spaced, cuts)
def test_a_stream_is_the_whole_or_a_clean_beginning_of_it(guard, text, sizes):
    whole = guard.check_output_sync(text, RequestContext())
    out, verdict = streamed(guard, text, sizes)
    assert verdict.decision == whole.decision
    if whole.allowed:
        assert out == whole.text
    assert not any(secret in out for secret in SECRETS)


@given(glued, cuts)
def test_what_a_stream_shows_holds_nothing_that_stops(guard, text, sizes):
    """The whole is judged as it came in, a stream as it goes out: where something is edited out beside something that
    stops, they may differ. What was shown never holds what stops.
    """
    out, _ = streamed(guard, text, sizes)
    assert guard.check_output_sync(out, RequestContext()).allowed


@given(spaced)
def test_a_second_look_finds_nothing_more_to_take_out(guard, text):
    context = RequestContext()
    once = guard.check_input_sync(text, context)
    if once.allowed:
        twice = guard.check_input_sync(once.text, context)
        assert (twice.text, RANK[twice.decision] <= RANK["flag"]) == (once.text, True)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6), st.text(min_size=30, max_size=30))
def test_edits_are_joined(spans, text):
    edits = [Edit(min(span), max(span), "") for span in spans if span[0] != span[1]]
    covered = {at for edit in edits for at in range(edit.start, edit.end)}
    assert apply(text, edits) == "".join(letter for at, letter in enumerate(text) if at not in covered)


@given(st.lists(st.sampled_from(sorted(RANK)), min_size=1))
def test_decisions_merge_by_maximum(decisions):
    merged = decisions[0]
    for decision in decisions:
        merged = stricter(merged, decision)
    assert RANK[merged] == max(RANK[decision] for decision in decisions)
