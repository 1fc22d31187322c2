"""Grounding: numbers, dates, quotes, links, names and citations of an answer that no source holds.

Deterministic and literal: what is said in other words is not judged.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sift_fast.guard._checks import Call, Check
from sift_fast.guard.verdict import Signal

if TYPE_CHECKING:
    from sift_fast.guard.config import GroundingConfig

__all__ = ["Grounding", "unsupported"]

_NUMBER = re.compile(r"(?<![\w.])\d[\d,.\u00a0']*\d%?|(?<![\w.])\d{2,}%?|(?<![\w.])\d%")
_DATE = re.compile(
    r"\b(?:\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{2,4}|"
    r"(?:\d{1,2}\.? )?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? (?:\d{1,2},? )?\d{4})\b",
    re.IGNORECASE,
)
_QUOTE = re.compile(r"[\"\u201c\u201e]([^\"\u201c\u201d\u201e]{12,400})[\"\u201d\u201c]")
_LINK = re.compile(r"https?://[^\s<>\"')\]]+")
_CITATION = re.compile(r"\[(?:doc|source|\^)?[ :#]?([\w.-]{1,64})\](?!\()")
_NAME = re.compile(r"\b[A-Z][a-z]+(?: (?:of|de|van|von|the))?(?: [A-Z][a-z]+)+\b")
_SPACE = re.compile(r"\s+")


def _plain(text: str) -> str:
    return _SPACE.sub(" ", text).casefold()


def _digits(number: str) -> str:
    # 1,234.50 and 1234.5 are one number; what separates thousands is followed by three digits.
    joined = re.sub(r"[,.\u00a0'](?=\d{3}(?!\d))", "", number.rstrip("%"))
    joined = joined.replace(",", ".").rstrip(".")
    whole, dot, rest = joined.partition(".")
    rest = rest.rstrip("0") if dot else ""
    return f"{whole.lstrip('0') or '0'}.{rest}" if rest else whole.lstrip("0") or "0"


def unsupported(text: str, sources: list[str], names: set[str], check: tuple[str, ...]) -> dict[str, int]:
    """How many items of each sort an answer has that no source holds.

    Args:
        text: the answer.
        sources: retrieved texts and tool results.
        names: ids of documents that may be cited.
        check: the sorts.
    """
    together = _plain(" \n ".join(sources))
    out: dict[str, int] = {}

    def count(sort: str, missing: int) -> None:
        if missing:
            out[sort] = missing

    rest = text
    if "link" in check:
        count("link", sum(_plain(link.rstrip(".,;:!?")) not in together for link in _LINK.findall(text)))
    rest = _LINK.sub(" ", rest)
    if "citation" in check:
        known = {name.casefold() for name in names}
        numbered = {str(number + 1) for number in range(len(names))}
        cited = {name.casefold() for name in _CITATION.findall(rest)}
        count("citation", len(cited - known - numbered))
    rest = _CITATION.sub(" ", rest)
    if "date" in check:
        count("date", sum(_plain(match) not in together for match in _DATE.findall(rest)))
        rest = _DATE.sub(" ", rest)
    if "number" in check:
        held = {_digits(number) for number in _NUMBER.findall(together)}
        count("number", sum(_digits(number) not in held for number in _NUMBER.findall(rest)))
    if "quote" in check:
        count("quote", sum(_plain(quote).strip(" .,") not in together for quote in _QUOTE.findall(rest)))
    if "name" in check:
        count("name", sum(_plain(name) not in together for name in _NAME.findall(rest)))
    return out


class Grounding(Check):
    """Reads the whole answer against what was retrieved in the conversation. Silent where nothing was."""

    def __init__(self, name: str, table: GroundingConfig) -> None:
        super().__init__(name, table)
        self._check = table.check
        self._tolerated = table.tolerated

    def run(self, call: Call) -> Signal | None:
        """Counts what no source holds; the most frequent sort gives the reason."""
        memory = call.memory
        if memory is None or not memory.sources:
            return None
        missing = unsupported(call.text, memory.sources, memory.source_names, self._check)
        if sum(missing.values()) <= self._tolerated:
            return None
        sort = max(missing, key=lambda name: (missing[name], name))
        return Signal(f"grounding.{sort}")
