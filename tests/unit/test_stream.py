"""`Stream`: what comes out is what the whole would have given, cut anywhere; and nothing comes out after a fault."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import sift_fast as sf
from sift_fast import _core

SCANNER = sf.Scanner()
TOKENS = _core.generate("secret.github.token", 17, 6, ["secrets"])
AWS = [text for text, _ in _core.examples("secret.aws.access-key-id", 3, ["secrets"])]
# As it stands in a file; the format writes it as it stands in JSON.
KEY = _core.generate("secret.private-key.pem", 5, 1, ["secrets"])[0].replace(r"\n", "\n")
ODD = ["é", "ß ", "€", "\u3042\u3044", "😀", "\ud83d", "\ude00", "\ud800 ", "\udfff", "e\u0301", "\x00"]
PLAIN = [
    "password = ",
    "api_key: ",
    "'",
    '"',
    " ",
    "\n",
    "token ",
    "Bearer ",
    "xoxb-",
    "ghp_",
    "AKIA",
    "sk-",
    "://u:",
    "@",
    "a",
]

FRAGMENT = st.one_of(
    st.sampled_from([*TOKENS, *AWS, KEY, *ODD, *PLAIN]),
    # A token that is cut short, and one that goes on.
    st.tuples(st.sampled_from(TOKENS), st.integers(1, 60)).map(lambda pair: (pair[0] + "aZ9_")[: pair[1]]),
    st.text("abcXYZ019-_=+/.:éß€ ", max_size=12),
)
TEXT = st.lists(FRAGMENT, max_size=10).map("".join)
OPERATORS = st.sampled_from([None, sf.Replace("#"), sf.Remove(), sf.Mask("•", keep_last=4), {"default": sf.Mask()}])


def cut(text, places):
    """`text` in pieces, cut at the given fractions of it."""
    ends = sorted({int(place * len(text)) for place in places} | {len(text)})
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def run(stream, pieces):
    out = [stream.feed(piece) for piece in pieces]
    out.append(stream.finish())
    kinds = {type(piece) for piece in pieces} - {bytearray, memoryview} or {bytes}
    assert {type(piece) for piece in out} <= kinds
    return out[0][:0].join(out)


@settings(max_examples=400)
@given(text=TEXT, places=st.lists(st.floats(0, 1), max_size=8), operators=OPERATORS)
@example(text="\ud83d\ude00 " + TOKENS[0], places=[0.02, 0.5], operators=None)
def test_stream_equals_whole(text, places, operators):
    whole = SCANNER.redact(text, operators)
    stream = SCANNER.stream(operators)
    assert run(stream, cut(text, places)) == whole.text
    assert stream.findings == whole.findings
    assert stream.incomplete == whole.incomplete
    assert stream.held == 0


@settings(max_examples=400)
@given(
    text=st.lists(
        st.one_of(FRAGMENT.map(lambda s: s.encode("utf-8", "surrogatepass")), st.binary(max_size=6)), max_size=10
    ).map(b"".join),
    places=st.lists(st.floats(0, 1), max_size=8),
    operators=OPERATORS,
)
def test_stream_equals_whole_in_bytes(text, places, operators):
    whole = SCANNER.redact(text, operators)
    stream = SCANNER.stream(operators)
    assert run(stream, cut(text, places)) == whole.text
    assert stream.findings == whole.findings


@pytest.mark.parametrize("seed", range(6))
def test_every_single_cut(seed):
    """Every place where a text of every kind of trouble can be cut once, and character by character."""
    rng = random.Random(seed)
    text = "".join(rng.choice([*TOKENS, *ODD, *PLAIN, *ODD]) for _ in range(12))
    whole = SCANNER.redact(text)
    for at in range(len(text) + 1):
        stream = SCANNER.stream()
        assert run(stream, [text[:at], text[at:]]) == whole.text, at
        assert stream.findings == whole.findings, at
    assert run(SCANNER.stream(), list(text)) == whole.text


def test_nothing_is_released_that_is_removed_later():
    """At every moment: what is out and what is held are all of what went in, findings aside."""
    text = f"é {TOKENS[0]} and password = {TOKENS[1]} ü " * 3
    stream = SCANNER.stream()
    out = ""
    for at, letter in enumerate(text, 1):
        out += stream.feed(letter)
        assert 0 <= stream.held <= at
        assert not any(token[:12] in out for token in TOKENS)
    out += stream.finish()
    assert out == SCANNER.redact(text).text


def test_plain_text_is_not_held():
    stream = SCANNER.stream()
    assert stream.feed("The quick brown fox. ") == "The quick brown fox. "
    assert stream.held == 0


def test_held_counts_in_the_unit_of_the_stream():
    head = "é é " + TOKENS[0][:20]
    stream = SCANNER.stream()
    out = stream.feed(head)
    assert len(out) + stream.held == len(head)
    stream = SCANNER.stream()
    out = stream.feed(head.encode())
    assert len(out) + stream.held == len(head.encode())
    assert stream.held <= SCANNER.longest_hold


def test_offsets_far_into_a_stream():
    """Offsets are those of the whole input, long after its beginning is forgotten."""
    stream = SCANNER.stream()
    sent = []
    for number in range(300):
        piece = f"é€😀 filler {number} "
        if number % 100 == 50:
            piece += TOKENS[number // 100] + " "
        sent.append(piece)
        stream.feed(piece)
    memory = stream.memory
    stream.finish()
    text = "".join(sent)
    assert [text[f.start : f.end] for f in stream.findings] == TOKENS[:3]
    assert stream.findings == SCANNER.scan(text)
    assert memory < 64 * 1024


def test_a_long_key_of_many_bytes_a_character():
    """A body whose start was forgotten before its end is known; multi-byte characters around it."""
    lines = KEY.split("\n")
    text = "é€ " + "\n".join([lines[0], *lines[1:2] * 400, *lines[1:]]) + " ü€"
    whole = SCANNER.redact(text)
    stream = SCANNER.stream()
    assert run(stream, [text[i : i + 37] for i in range(0, len(text), 37)]) == whole.text
    assert stream.findings == whole.findings
    assert stream.incomplete == whole.incomplete == ("finding_bytes",)


def test_what_is_reported_of_a_long_finding_ends_before_what_is_forgotten():
    """The end that is reported lies far before the real one, and multi-byte characters lie between the two."""
    scanner = sf.Scanner("secrets", limits=sf.Limits(finding_bytes=100))
    lines = KEY.split("\n")
    text = "é " + "\n".join([lines[0], *lines[1:2] * 40, *lines[1:]]) + " ü€ é"
    for operator in (None, sf.Mask()):
        whole = scanner.redact(text, operator)
        stream = scanner.stream(operator)
        assert run(stream, list(text)) == whole.text
        assert stream.findings == whole.findings


OVERLAPPING = """
[[rule]]
id = "secret.acme.sure"
title = "sure"
entity = "ACME_SURE"
severity = "high"
score = 0.9
pattern = '''(mark[a-d]{4})'''
examples = ["markabcd"]
negatives = ["mark"]

[[rule]]
id = "secret.acme.vague"
title = "vague, from the same place, and of open length"
entity = "ACME_VAGUE"
tier = "generic"
severity = "low"
score = 0.6
pattern = '''(mark[a-d_]{6})'''
body = '''[a-z_]{1,4}'''
examples = ["mark____ab"]
negatives = ["mark"]

[[rule]]
id = "secret.acme.family"
title = "begins inside the others, and has an end"
entity = "ACME_FAMILY"
tier = "family"
severity = "low"
score = 0.7
pattern = '''(d_[a-d_]{2})'''
body = '''[a-d_]{1,3}'''
end = '''stop'''
examples = ["d_ab"]
negatives = ["d_"]
"""


@pytest.fixture(scope="module")
def overlapping(tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "overlapping.toml"
    path.write_text(OVERLAPPING, encoding="utf-8")
    return sf.Scanner((), rule_files=[path], limits=sf.Limits(finding_bytes=20))


@settings(max_examples=1500)
@given(
    text=st.lists(st.sampled_from(["mark", "abcd", "d_", "__", "stop", " ", "é", "x"]), max_size=14).map("".join),
    places=st.lists(st.floats(0, 1), max_size=6),
    operators=OPERATORS,
)
@example(text="markabcd__markabcd__x.", places=[0.5], operators=None)
def test_overlaps_of_open_length(overlapping, text, places, operators):
    """Winners that end and losers that go on, from the same place and inside each other.

    Once a body that had lost hid what began in it, and once the end of a long finding was counted from what was
    forgotten; neither happens in one text of ten thousand.
    """
    whole = overlapping.redact(text, operators)
    for pieces in (cut(text, places), list(text) or [text]):
        stream = overlapping.stream(operators)
        assert run(stream, pieces) == whole.text
        assert stream.findings == whole.findings
        assert stream.incomplete == whole.incomplete


def test_pieces_above_a_megabyte():
    text = "é " * 700_000 + TOKENS[0] + " \ud800 " + "x" * 700_000
    stream = SCANNER.stream()
    assert run(stream, [text]) == SCANNER.redact(text).text
    assert stream.findings == SCANNER.redact(text).findings
    raw = text.encode("utf-8", "surrogatepass")
    assert run(SCANNER.stream(), [raw]) == SCANNER.redact(raw).text


def test_more_findings_than_are_reported_are_edited_all_the_same():
    scanner = sf.Scanner("secrets", limits=sf.Limits(findings=2))
    stream = scanner.stream(sf.Replace("#"))
    assert run(stream, [" ".join(TOKENS)]) == " ".join("#" * len(TOKENS))
    assert len(stream.findings) == 2
    assert stream.incomplete == stream.findings.incomplete == ("findings",)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: memoryview(bytearray(b))])
def test_binary_types_are_one_kind(kind):
    raw = f"é {TOKENS[0]} ü".encode()
    stream = SCANNER.stream()
    assert run(stream, [kind(raw[:20]), bytes(raw[20:])]) == SCANNER.redact(raw).text
    assert stream.findings.unit == "byte"


def test_empty_pieces_and_empty_streams():
    stream = SCANNER.stream()
    assert stream.feed("") == ""
    assert stream.finish() == ""
    assert SCANNER.stream().finish() == ""
    stream = SCANNER.stream()
    assert stream.feed(b"") == b""
    assert stream.finish() == b""


class TestFaults:
    def test_the_first_piece_fixes_the_type(self):
        for first, second in (("a", b"b"), (b"a", "b")):
            stream = SCANNER.stream()
            stream.feed(first)
            with pytest.raises(sf.SiftError, match="either str or bytes"):
                stream.feed(second)
            self.is_dead(stream)

    def test_finish_is_once(self):
        stream = SCANNER.stream()
        stream.finish()
        with pytest.raises(sf.SiftError, match="finished"):
            stream.finish()
        stream = SCANNER.stream()
        stream.finish()
        with pytest.raises(sf.SiftError, match="finished"):
            stream.feed("x")

    def test_an_error_poisons(self):
        stream = SCANNER.stream()
        stream.feed(TOKENS[0][:20])
        with pytest.raises(TypeError):
            stream.feed(None)
        self.is_dead(stream)

    def test_abort_discards(self):
        stream = SCANNER.stream()
        stream.feed(f"{TOKENS[0]} {TOKENS[1][:20]}")
        stream.abort()
        self.is_dead(stream)
        stream.abort()
        assert len(stream.findings) == 1, "what was found is still known"

    def test_leaving_a_block_early_aborts(self):
        with SCANNER.stream() as stream:
            stream.feed(TOKENS[0][:20])
        self.is_dead(stream)
        with pytest.raises(RuntimeError, match="mine"), SCANNER.stream() as stream:
            stream.feed(TOKENS[0][:20])
            raise RuntimeError("mine")
        self.is_dead(stream)

    def test_leaving_a_block_after_finish_is_fine(self):
        with SCANNER.stream() as stream:
            out = stream.feed(TOKENS[0]) + stream.finish()
        assert out == "<GITHUB_TOKEN>"
        assert len(stream.findings) == 1

    @staticmethod
    def is_dead(stream):
        for call in (lambda: stream.feed("x"), stream.finish):
            with pytest.raises(sf.SiftError, match="aborted or has failed"):
                call()
        assert stream.held == 0


def test_repr_has_no_text():
    stream = SCANNER.stream()
    stream.feed(TOKENS[0][:20])
    assert repr(stream) == f"Stream(0 found, {stream.held} bytes held)"
