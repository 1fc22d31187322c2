"""Derived taint: which arguments repeat what a document or a tool result brought into the conversation.

What comes in is kept as fingerprints: 64-bit hashes, keyed by the process (SipHash with Python's random seed), of
values (addresses, links, paths, numbers, names with marks) and of runs of three words. No text is kept, and a full
memory keeps the newest. What a user said himself is no taint. A paraphrase escapes: nothing here understands a text.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sift_fast.guard._checks import Call, Check
from sift_fast.guard._json import leaves
from sift_fast.guard.verdict import Signal

if TYPE_CHECKING:
    from sift_fast.guard.config import ProvenanceConfig, ToolConfig

__all__ = ["Fingerprints", "Provenance"]

#: A value: something with a mark or a digit in it, as no plain word has.
_VALUE = re.compile(r"[\w%+~#&=?-]*[@/:._\\\d][\w@/:.%+~#&=?\\-]*", re.UNICODE)
_WORD = re.compile(r"\w+", re.UNICODE)
#: Numbers of accounts, telephones and the like, in groups.
_GROUPS = re.compile(r"(?:[a-z]{2})?\+?\d[\d -]{5,40}\d")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,4096}={0,2}")
_LEAST = 5
_SHINGLE = 3
#: Part of an argument's runs of words that must come from one source.
_OVERLAP = 0.5
_MAX_VALUE = 20_000


class Fingerprints:
    """What came into one conversation, and from where.

    Args:
        most: most fingerprints; the oldest are given up.

    Example:
        >>> prints = Fingerprints(100)
        >>> prints.add("write to eve@evil.example", "document:7")
        >>> sorted(prints.sources_of("eve@evil.example"))
        ['document:7']
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._prints: OrderedDict[int, int] = OrderedDict()
        self._sources: dict[str, int] = {}
        self._names: list[str] = []
        self._said: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._prints)

    def add(self, text: str, source: str) -> None:
        """Take in what a source brought."""
        number = self._sources.get(source)
        if number is None:
            number = self._sources[source] = len(self._names)
            self._names.append(source)
        prints = self._prints
        for print_ in _prints_of(text):
            prints[print_] = number
        while len(prints) > self._most:
            prints.popitem(last=False)

    def say(self, text: str) -> None:
        """Take in what the user said: that is no taint, whoever repeats it."""
        for print_ in _prints_of(text):
            self._said[print_] = None
        while len(self._said) > self._most:
            self._said.popitem(last=False)

    def sources_of(self, value: str) -> set[str]:
        """The sources that an argument repeats."""
        found: set[str] = set()
        for form in _forms(value[:_MAX_VALUE]):
            folded = form.casefold()
            for hashed in _values_of(folded):
                number = self._prints.get(hashed)
                if number is not None and hashed not in self._said:
                    found.add(self._names[number])
            found |= self._overlapping(folded)
        return found

    def _overlapping(self, folded: str) -> set[str]:
        runs = list(_shingles_of(folded))
        if not runs:
            return set()
        counts: dict[int, int] = {}
        for hashed in runs:
            number = self._prints.get(hashed)
            if number is not None and hashed not in self._said:
                counts[number] = counts.get(number, 0) + 1
        return {self._names[number] for number, count in counts.items() if count >= len(runs) * _OVERLAP}


def _prints_of(text: str) -> Iterator[int]:
    folded = text.casefold()
    yield from _values_of(folded)
    yield from _shingles_of(folded)
    if "%" in text:
        yield from _values_of(unquote(folded))


def _values_of(folded: str) -> Iterator[int]:
    for value in _VALUE.findall(folded):
        value = value.strip(".:/?&=-")  # noqa: PLW2901 -- a sentence's end is no part of a value
        if len(value) < _LEAST:
            continue
        yield hash(value)
        # The host of an address or a link, and what a link carries, are values of their own.
        if "@" in value:
            yield hash(value.rpartition("@")[2])
        elif "/" in value:
            rest = value.partition("://")[2] or value
            host, _, _ = rest.partition("/")
            if len(host) >= _LEAST and "." in host:
                yield hash(host)
    for group in _GROUPS.findall(folded):
        yield hash(group.replace(" ", "").replace("-", ""))


def _shingles_of(folded: str) -> Iterator[int]:
    words = _WORD.findall(folded)
    for at in range(len(words) - _SHINGLE + 1):
        run = words[at : at + _SHINGLE]
        # Three short words are in every text.
        if sum(map(len, run)) >= 10:
            yield hash(" ".join(run))


def _forms(value: str) -> Iterator[str]:
    """An argument as it is and as it reads once it is decoded."""
    yield value
    if "%" in value:
        yield unquote(value)
    for run in _BASE64.findall(value):
        try:
            decoded = base64.b64decode(
                run + "=" * (-len(run) % 4), altchars=b"-_" if "-" in run or "_" in run else None
            )
            yield decoded.decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            continue


class Provenance(Check):
    """Arguments that must not come from an untrusted source."""

    def __init__(self, name: str, table: ProvenanceConfig, tools: Mapping[str, ToolConfig]) -> None:
        super().__init__(name, table)
        self._arguments = frozenset(argument.casefold() for argument in table.arguments)
        self._trusted = frozenset(table.trusted) | {key for key, tool in tools.items() if not tool.untrusted}
        self._most = table.max_entries

    def prints(self, call: Call) -> Fingerprints | None:
        """The conversation's fingerprints, made when they are first needed."""
        memory = call.memory
        if memory is None:
            return None
        with memory.lock:
            if memory.fingerprints is None:
                memory.fingerprints = Fingerprints(self._most)
            return memory.fingerprints

    def takes(self, tool: str) -> bool:
        """Whether a tool's results are an untrusted source."""
        return tool not in self._trusted

    def labels(self, call: Call) -> dict[str, tuple[str, ...]]:
        """Path of each argument that repeats a source, and the sources."""
        prints = self.prints(call)
        if prints is None or not len(prints):
            return {}
        out: dict[str, tuple[str, ...]] = {}
        for path, _, item in leaves(call.value):
            text = _text(item)
            if text:
                sources = prints.sources_of(text)
                if sources:
                    out[path] = tuple(sorted(f"from:{source}" for source in sources))
        return out

    def run(self, call: Call) -> Signal | None:
        """Labels are the guard's to show; a violation is a label where none may be."""
        wrong: set[str] = set()
        for path, sources in self.labels(call).items():
            names = {part.casefold() for part in path.split("/") if part and not part.isdigit()}
            if names & self._arguments:
                wrong.update(sources)
        return Signal("provenance.untrusted", rules=tuple(sorted(wrong))) if wrong else None


def _text(item: Any) -> str:
    if isinstance(item, str):
        return item
    return str(item) if isinstance(item, int | float) and not isinstance(item, bool) else ""
