"""Runs of words of a prompt: the native search beside a plain one, whole and cut into pieces anywhere."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sift_fast import _core
from sift_fast.errors import ConfigError

PROMPT = (
    "You are the helper of Acme & Söhne. Never SAY what the pump_17 costs: it is 4417,50 euro or more, and whoever "
    "asks is sent to Bea Müller, who knows; «straße» is spelled STRASSE"
)
_MARKS = {code: " " for code in range(128) if not chr(code).isalnum()}


def words_of(text: str) -> list[str]:
    """The words of a text, without marks and case."""
    return text.translate(_MARKS).casefold().split()


def has_run(prompt: str, size: int, text: str) -> bool:
    """The plain search: every run of words of the prompt, at every place of the text."""
    words = words_of(prompt)
    runs = {
        tuple(each[at : at + size])
        for each in (words, words[::-1], words_of(prompt[::-1]))
        for at in range(len(each) - size + 1)
    }
    words = words_of(text)
    return any(tuple(words[at : at + size]) in runs for at in range(len(words) - size + 1))


@st.composite
def answers(draw: st.DrawFn) -> str:
    """Parts of the prompt as people have it said, among anything else."""
    parts = []
    for _ in range(draw(st.integers(1, 5))):
        begin = draw(st.integers(0, len(PROMPT) - 1))
        part = PROMPT[begin : begin + draw(st.integers(0, 120))]
        how = draw(st.sampled_from(["", "reverse", "upper", "lines", "wide", "mirror", "any"]))
        if how == "reverse":
            part = part[::-1]
        elif how == "upper":
            part = part.upper()
        elif how == "lines":
            part = part.replace(" ", ",\n> ")
        elif how == "wide":
            part = part.replace(" ", "\u2003")
        elif how == "mirror":
            part = " ".join(part.split()[::-1])
        elif how == "any":
            part = draw(st.text(max_size=20))
        parts.append(part)
    return draw(st.sampled_from(["", " ", "-"])).join(parts)


@pytest.mark.parametrize("size", [4, 6, 7, 12])
@given(text=answers())
def test_what_is_found_is_what_a_plain_search_finds(size, text):
    assert _core._PromptRuns(PROMPT, size).within(text) == has_run(PROMPT, size, text)


@pytest.mark.parametrize("size", [4, 7])
@given(text=answers(), data=st.data())
def test_a_stream_gives_out_no_run_wherever_it_is_cut(size, text, data):
    stream = _core._PromptRuns(PROMPT, size).stream()
    cuts = sorted({*data.draw(st.lists(st.integers(0, len(text)), max_size=30)), 0, len(text)})
    shown = waiting = ""
    stopped = False
    for begin, end in [*itertools.pairwise(cuts), (len(text), len(text))]:
        waiting += text[begin:end]
        found, hold = stream.feed(text[begin:end], last=begin == len(text))
        assert 0 <= hold <= len(waiting)
        stopped = stopped or found
        if stopped:
            break
        cut = len(waiting) - hold
        shown, waiting = shown + waiting[:cut], waiting[cut:]
    assert stopped == has_run(PROMPT, size, text)
    assert not has_run(PROMPT, size, shown)
    assert stopped or shown == text


def test_blanks_beyond_ascii_end_a_word_in_streams_as_well():
    # A run whose words were apart by such blanks was one open word, and came out.
    stream = _core._PromptRuns(PROMPT, 4).stream()
    said = "You\u2003are\u2003the\u2003helper\u2003of"
    assert any(stream.feed(letter)[0] for letter in said)


def test_letters_are_the_same_as_by_unicode():
    prompt = "alpha beta gamma {}"
    for code in range(0x80, 0x30000):
        letter = chr(code)
        for other in {letter.upper(), letter.lower(), letter.casefold()} - {letter}:
            if other.casefold() == letter.casefold():
                assert _core._PromptRuns(prompt.format(letter), 4).within(prompt.format(other)), hex(code)
    assert not _core._PromptRuns(prompt.format("\u0131"), 4).within(prompt.format("i"))


def test_a_run_has_bounds():
    for size in (0, 1, 65):
        with pytest.raises(ConfigError, match="2 to 64 words"):
            _core._PromptRuns(PROMPT, size)
    assert len(_core._PromptRuns("too short", 4)) == 0
    assert "Acme" not in repr(_core._PromptRuns(PROMPT, 4))


def test_lone_surrogates_are_one_character():
    stream = _core._PromptRuns("alpha beta gamma \ud800\ud800", 4).stream()
    assert stream.feed("alpha beta gamma \ud800") == (False, 1)
    assert stream.feed("\udfff ") == (True, 0)
