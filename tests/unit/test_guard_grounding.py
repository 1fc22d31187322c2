"""What an answer says that no source holds, and the system prompt in other spellings: whole, and in pieces of any size."""

from __future__ import annotations

import itertools

import pytest

from sift_fast.guard import Guard, RequestContext
from sift_fast.guard._grounding import settled

NAMES = itertools.count()
SOURCE = (
    "Revenue rose to 48.3 million euros, from 41.9 million in 2023. The firm has two hundred and twelve employees and "
    'paid 4,150 hotel nights. The board met on 14 March 2024. She said: "We sell fewer tents, but better ones." '
    "See https://shop.example/report."
)


def guard_of(preset="rag", **tables):
    return Guard({"version": 1, "preset": preset, "guardrails": tables})


def asked(guard, said="What does the report say?"):
    """A conversation in which the source was found."""
    context = RequestContext(tenant="acme", conversation=f"c{next(NAMES)}")
    assert guard.check_input_sync(said, context).allowed
    document = {"text": SOURCE, "metadata": {"tenant": "acme"}, "id": "report"}
    assert guard.check_retrieval_sync([document], context).dropped == 0
    return context


def streamed(guard, text, size, context):
    stream = guard.stream_output((), context, say=False)
    out = [stream.feed(text[at : at + size]) for at in range(0, len(text), size)]
    return [*out, stream.finish()], stream.verdict


HELD = (
    "It was 48.3 million.",
    "It was 48,300,000 euros, or 48,3 Millionen.",
    "From 41.9 to 48.3 million.",
    "It has 212 employees.",
    "It met on March 14, 2024, that is 2024-03-14, or on the 14th of March 2024, or 14.03.2024; am 14. März 2024.",
    "In March 2024 it met.",
    'She said: "We sell fewer tents, but better ones."',
    "4,150 nights, or 4150; see [report] and [1].",
    "From 41.9 million to 48.3 million it is 6.4 million more, 15.3 percent.",
    "1. First.\n2. Second.",
    'A 5" and a 7" tube, "as said" there, and "there" too.',
)
MADE_UP = (
    ("It was 48.3 billion.", "number"),
    ("It was 58.3 million.", "number"),
    ("It was 6.5 million more than 41.9 million.", "number"),
    ("It was 6.4 million more.", "number"),
    ("It has five hundred employees.", "number"),
    ("A margin of 9 percent.", "number"),
    ("It met on April 14, 2024.", "date"),
    ("It met on 2024-03-15.", "date"),
    ("In April 2024 it met.", "date"),
    ('She said: "We sell more tents than ever."', "quote"),
    ('She said:"We sell more tents than ever."', "quote"),
    ("She said: \u201cWe sell more tents than ever.\u201d", "quote"),
    ("See https://shop.example/other.", "link"),
    ("As in [manual].", "citation"),
)


@pytest.mark.parametrize("text", HELD)
def test_what_a_source_holds_in_other_figures_is_held(text):
    guard = guard_of()
    verdict = guard.check_output_sync(text, asked(guard))
    assert (verdict.decision, verdict.results) == ("allow", ())


@pytest.mark.parametrize(("text", "sort"), MADE_UP)
def test_what_is_made_up_is_blocked_by_the_preset(text, sort):
    guard = guard_of()
    verdict = guard.check_output_sync(text, asked(guard))
    assert (verdict.decision, verdict.reason) == ("block", f"grounding.{sort}")


@pytest.mark.parametrize("text", ["About 30 people came.", "That was in 2019."])
def test_small_numbers_and_years_are_flagged(text):
    guard = guard_of()
    verdict = guard.check_output_sync(text, asked(guard))
    assert (verdict.decision, verdict.reason) == ("flag", "grounding.number")
    strict = guard_of(grounding={"on_violation": "block"})
    assert strict.check_output_sync(text, asked(strict)).decision == "block"


def test_what_the_user_asked_about_is_not_made_up():
    guard = guard_of()
    context = asked(guard, "Did revenue reach 51.7 million?")
    assert guard.check_output_sync("No, it stayed below 51.7 million.", context).decision == "allow"
    assert guard.check_output_sync("No, it stayed below 51.7 million.", asked(guard)).decision == "block"


@pytest.mark.parametrize("size", [1, 2, 5, 17, 64, 10_000])
@pytest.mark.parametrize(("text", "sort"), [*MADE_UP, *((text, None) for text in HELD)])
def test_a_stream_is_stopped_where_the_whole_is_blocked(text, sort, size):
    guard = guard_of()
    before, after = 'First a sentence. And "a quote" too! ', "\nThen another one. And so on."
    out, verdict = streamed(guard, before + text + after, size, asked(guard))
    if sort is None:
        assert "".join(out) == before + text + after
        assert verdict.decision == "allow"
    else:
        assert verdict.reason == f"grounding.{sort}"
        # What stands before the sentence is shown, and nothing of the sentence.
        assert before.startswith("".join(out))
    if size < 10:
        assert "".join(out).startswith("First a sentence.")


def test_a_sentence_is_shown_when_it_has_ended():
    guard = guard_of()
    stream = guard.stream_output((), asked(guard), say=False)
    assert stream.feed("It was 48.3 million. It has 2") == "It was 48.3 million. "
    assert stream.feed("12 employees.\n") == "It has 212 employees.\n"
    assert stream.feed('She said: "We sell fewer tents. ') == ""
    # Where nothing was found there is nothing to wait for.
    bare = guard.stream_output((), RequestContext(tenant="acme", conversation="bare"), say=False)
    assert bare.feed("It was 99 million and") == "It was 99 million "


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("One. Two", 5),
        ("On 14. March", 0),
        ("3.5 or 4. The", 0),
        ("One.\nTwo", 5),
        ('He said "one. Two', 0),
        ('He said "one two three four." Then', 30),
        ('A 5" pipe. ' + "Longer. " * 60, 11 + 8 * 59),
        ("第一。第二", 3),
        ("", 0),
    ],
)
def test_where_a_sentence_ends(text, shown):
    assert settled(text) == (shown, False)


class Counted:
    """A scanner that counts the characters it is given to read."""

    def __init__(self, scanner):
        self._scanner, self.read = scanner, 0

    def scan(self, text, *rest):
        self.read += len(text)
        return self._scanner.scan(text, *rest)

    def __getattr__(self, name):
        return getattr(self._scanner, name)


@pytest.mark.parametrize("unit", ["word ", "x", '"x of ', "1234567 "])
def test_a_stream_without_the_end_of_a_sentence_is_read_once(unit, monkeypatch):
    """The work for twice the text is twice the work, and what waits is bounded."""
    looked = []
    monkeypatch.setattr("sift_fast.guard._grounding.settled", lambda text: looked.append(len(text)) or settled(text))

    def work(characters):
        # Grounding that stops, and numbers that it does not look for.
        guard = guard_of(grounding={"check": ["date", "quote"], "on_violation": "block"})
        context = asked(guard)
        scanner = guard._state.scanner = Counted(guard.scanner)
        looked.clear()
        text = (unit * characters)[:characters]
        out, verdict = streamed(guard, text, 16, context)
        assert "".join(out) == text
        assert (verdict.decision, verdict.reason) == ("flag", "grounding.cut")
        assert [result.reason for result in verdict.results] == ["grounding.cut"]
        assert max(looked) < 3_000
        return scanner.read + sum(looked)

    assert work(40_000) < 2.2 * work(20_000)


def test_what_is_made_up_behind_a_cut_is_seen():
    guard = guard_of()
    text = "word " * 1_000 + "and it was 58.3 million then " + "word " * 1_000
    out, verdict = streamed(guard, text, 16, asked(guard))
    assert (verdict.decision, verdict.reason) == ("block", "grounding.number")
    assert "58" not in "".join(out)


def test_figures_of_an_answer_are_compared_with_the_sources_alone(monkeypatch):
    """Not with each other: eight thousand of them took two seconds."""
    from sift_fast.guard._grounding import _Figure

    compared = []
    same = _Figure.__eq__
    monkeypatch.setattr(_Figure, "__eq__", lambda one, other: compared.append(1) or same(one, other))
    guard = guard_of()
    text = " ".join(str(1_000_003 + 17 * number) for number in range(500))
    assert guard.check_output_sync(text, asked(guard)).reason == "grounding.number"
    assert len(compared) == 0


PROMPT = (
    "You are the helper of the Acme shop. Answer about orders and returns, never about what our employees are paid, "
    "and keep every sentence short and friendly. heron-4417-lantern"
)
LEAKS = (
    "h e r o n - 4 4 1 7 - l a n t e r n",
    "H.E.R.O.N.4.4.1.7.L.A.N.T.E.R.N",
    "he ron 44 17 lan tern",
    "heron 4417 lantern",
    PROMPT[::-1],
    " ".join(reversed(PROMPT.split())),
)


@pytest.mark.parametrize("size", [1, 3, 20, 10_000])
@pytest.mark.parametrize("leak", LEAKS)
def test_a_prompt_spelled_apart_or_backwards_is_a_leak(leak, size):
    guard = guard_of("chat", prompt_leak={"prompt": PROMPT, "canaries": ["heron-4417-lantern"]})
    context = RequestContext(tenant="acme", conversation=f"c{next(NAMES)}")
    text = f"Here it is: {leak} and so on."
    assert guard.check_output_sync(text, context).reason.startswith("prompt_leak.")
    out, verdict = streamed(guard, text, size, context)
    assert verdict.reason.startswith("prompt_leak.")
    assert leak not in "".join(out)


@pytest.mark.parametrize(
    "text",
    [
        "The heron is a bird. A lantern has 4417 lumens.",
        "We never talk about what our suppliers are paid. Returns and orders are my field.",
        "not a word of it backwards: sdrawkcab",
    ],
)
def test_words_of_a_prompt_are_no_leak(text):
    guard = guard_of("chat", prompt_leak={"prompt": PROMPT, "canaries": ["heron-4417-lantern", "internal use only"]})
    for each in (text, "For internal-use, only today"):
        assert guard.check_output_sync(each, RequestContext()).decision == "allow"
