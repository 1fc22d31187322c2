"""Runs of words of a prompt: the quick ways to cut a text into words and to look runs up, beside the slow ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sift_fast.guard._prompt import Runs, words_of


@given(st.text(alphabet=st.characters(max_codepoint=127)), st.sampled_from(["", "é", "\u2028"]))
def test_words_of_ascii_are_those_of_any_text(text, other):
    marked = "".join(char if char.isalnum() or not char.isascii() else " " for char in text + " " + other)
    assert words_of(text + " " + other) == marked.casefold().split()


@pytest.mark.parametrize("size", [3, 6, 7, 8])
@given(data=st.data())
def test_a_run_is_found_wherever_it_stands(size, data):
    prompt = [f"p{number}" for number in range(3 * size)]
    before, after = (data.draw(st.lists(st.sampled_from([*prompt, "x", "y"]), max_size=30)) for _ in range(2))
    begin = data.draw(st.integers(0, len(prompt) - 1))
    words = [*before, *prompt[begin : begin + data.draw(st.integers(0, 2 * size))], *after]
    runs = Runs([prompt], size)
    every = {tuple(prompt[at : at + size]) for at in range(len(prompt) - size + 1)}
    naive = any(tuple(words[at : at + size]) in every for at in range(len(words) - size + 1))
    assert runs.within(words) == naive
