"""Edits of the scanner and of other guardrails joined into one text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sift_fast.errors import LimitExceeded
from sift_fast.guard.verdict import Edit

__all__ = ["apply", "of_redaction"]


def of_redaction(redaction: Any) -> list[Edit]:
    """What a redaction did, as edits of the text that went in.

    A redaction says where its findings begin in the input and where its items stand in the output. What is between
    two items was kept, so the end of an edit, which may lie beyond its finding, follows from where the next begins.

    Raises:
        LimitExceeded: items and findings do not belong together one by one.
    """
    findings, items = redaction.findings, redaction.items
    if len(findings) != len(items):
        raise LimitExceeded("the edits of a text cannot be joined with others: more items than findings")
    output = redaction.text
    edits: list[Edit] = []
    for number, (finding, item) in enumerate(zip(findings, items, strict=True)):
        if number + 1 < len(items):
            end = findings[number + 1].start - (items[number + 1].start - item.end)
        else:
            # What is kept behind the last one reaches to the end of both.
            end = -(len(output) - item.end)
        edits.append(Edit(finding.start, end, output[item.start : item.end]))
    return edits


def apply(text: str, edits: Iterable[Edit]) -> str:
    """A text with edits; those that overlap become one, with the text of the first."""
    size = len(text)
    spans = sorted((edit.start, edit.end if edit.end > 0 else size + edit.end, edit.replacement) for edit in edits)
    out: list[str] = []
    at = 0
    for start, end, replacement in spans:
        if start >= at:
            out += (text[at:start], replacement)
        at = max(at, end)
    out.append(text[at:])
    return "".join(out)
