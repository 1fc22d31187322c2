"""The tree of exceptions: as drawn, and complete."""

from __future__ import annotations

import re

import pytest

import sift_fast as sf
from sift_fast import errors


def test_the_drawing_is_the_tree():
    drawn = re.findall(r"^(?:\+-- )?([A-Z]\w+) {2,}", errors.__doc__, re.MULTILINE)
    assert drawn[0] == "SiftError"
    assert sorted(drawn) == errors.__all__
    for name in drawn[1:]:
        assert getattr(errors, name).__bases__ == (errors.SiftError,)


def test_they_are_public():
    assert set(errors.__all__) <= set(sf.__all__)
    assert all(getattr(sf, name) is getattr(errors, name) for name in errors.__all__)


def test_messages_are_sentences(scanner, own_rules):
    """Lower case at the start, no full stop at the end, one line."""

    def provoke(call):
        with pytest.raises(sf.SiftError) as caught:
            call()
        return str(caught.value)

    stream = scanner.stream()
    stream.finish()
    messages = [
        provoke(lambda: sf.Scanner(decode=["base46"])),
        provoke(lambda: sf.Scanner(["nope"])),
        provoke(lambda: sf.Scanner(entities=["NOPE"])),
        provoke(lambda: sf.Scanner(limits=sf.Limits(text_bytes=1)).scan("ab")),
        provoke(lambda: sf.Mask("xy")),
        provoke(lambda: scanner.redact("x", {"NOPE": sf.Remove()})),
        provoke(lambda: scanner.redact("x", vault=3)),
        provoke(lambda: scanner.scan_batch([], threads=0)),
        provoke(stream.finish),
    ]
    for message in messages:
        assert "\n" not in message
        assert not message.endswith(".")
        assert not message[0].isupper()
