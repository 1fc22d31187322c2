"""Derived taint: which arguments repeat what a document or a tool result brought into the conversation.

The fingerprints are kept by the native half: keyed hashes of values (addresses, links, paths, numbers, names with
marks) and of runs of three words. No text is kept. What a user said himself is no taint. A paraphrase escapes: nothing
here understands a text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sift_fast import _core
from sift_fast.errors import LimitExceeded
from sift_fast.guard._checks import Call, Check
from sift_fast.guard._json import leaves
from sift_fast.guard.verdict import Signal

if TYPE_CHECKING:
    from sift_fast.guard.config import ProvenanceConfig, ToolConfig

__all__ = ["Provenance"]

#: Where a word ends in a name like `replyTo`; and words, without numbers of items.
_CAMEL = re.compile(r"([a-z0-9])([A-Z])")
_WORDS = re.compile(r"[^\W\d_]+")
#: Last words of a name that say nothing about what it names: `recipient_id`, `to_addr_1`.
_FILLERS = frozenset({"id", "ids", "addr", "name", "value", "str", "string", "list"})
#: Characters that are not seen.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
#: A link: scheme, what stands before an at sign, host, port.
_LINK = re.compile(
    r"((?:[a-z][a-z0-9+.-]{0,31}:)?//)(?:[^\s/?#@]{0,256}@)?([^\s/?#:@\\]{1,255})(:\d{0,5})?", re.IGNORECASE
)
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){5,2048}")
#: An international number as it is dialled.
_DIALLED = re.compile(r"(?<![\w+])00(?=[1-9][\d ()./-]{6,})")
#: Bytes of an argument that are looked up; in a longer one something may stand that nobody looked for.
_MOST_ARGUMENT = 64 << 10
#: Names up to this many characters are no target.
_SHORT = 4
#: Parts of a host that are looked at, and the shortest target in hexadecimal.
_LABELS = 8
_LEAST_HEX = 10
#: Values of which it is remembered that they were forgotten: enough that all the others were.
_FORGETFUL = 1_024


class Provenance(Check):
    """Arguments that must not come from an untrusted source."""

    of_conversation = ("tool_input",)

    def __init__(self, name: str, table: ProvenanceConfig, tools: Mapping[str, ToolConfig]) -> None:
        super().__init__(name, table)
        self._arguments = frozenset(argument.casefold() for argument in table.arguments)
        self._trusted = frozenset(table.trusted) | {key for key, tool in tools.items() if not tool.untrusted}
        self._tools = frozenset(tools)
        self._most = table.max_entries

    def prints(self, call: Call) -> _core._Fingerprints | None:
        """The conversation's fingerprints, made when they are first needed."""
        memory = call.memory
        if memory is None:
            return None
        with memory.lock:
            if memory.fingerprints is None:
                memory.fingerprints = self._forgetful() if memory.forgotten else _core._Fingerprints(self._most)
            return memory.fingerprints

    def _forgetful(self) -> _core._Fingerprints:
        """Fingerprints of a conversation whose earlier ones were given up: as if they had been pushed out."""
        most = min(self._most, _FORGETFUL)
        prints = _core._Fingerprints(most)
        prints.add(" ".join(f"forgotten-{number}" for number in range(2 * most)), "forgotten")
        return prints

    def add(self, call: Call, text: str, source: str) -> None:
        """Take in what a source brought, as it is spelled and as it is read."""
        prints = self.prints(call)
        if prints is not None:
            prints.add(text, source)
            if (read := _read(text)) != text:
                prints.add(read, source)

    def say(self, call: Call, text: str) -> None:
        """Take in what the user said."""
        prints = self.prints(call)
        if prints is not None:
            prints.say(text)
            for other in _spellings(text):
                prints.say(other)

    def takes(self, tool: str) -> bool:
        """Whether a tool's results are an untrusted source."""
        return tool not in self._trusted

    def labels(self, call: Call) -> Mapping[str, tuple[str, ...]]:
        """Path of each argument that repeats a source, and the sources.

        Raises:
            LimitExceeded: an argument that must not come from a source is longer than is looked up.
        """
        if call.labels is None:
            call.labels = self._labels(call)
        return call.labels

    def _labels(self, call: Call) -> dict[str, tuple[str, ...]]:
        prints = self.prints(call)
        if prints is None or not len(prints):
            return {}
        out: dict[str, tuple[str, ...]] = {}
        for path, text in _said(call.value):
            # No character takes more than four bytes: most need not be counted.
            long = len(text) * 4 > _MOST_ARGUMENT and len(text.encode("utf-8", "replace")) > _MOST_ARGUMENT
            if long and self._guards(path):
                raise LimitExceeded(f"guardrail `{self.name}` reads at most {_MOST_ARGUMENT} bytes of an argument")
            sources = _sources(prints, text)
            if sources:
                out[path] = tuple(sorted({*out.get(path, ()), *(f"from:{source}" for source in sources)}))
        return out

    def run(self, call: Call) -> Signal | None:
        """Labels are the guard's to show; a violation is a label where none may be."""
        wrong: set[str] = set()
        for path, sources in self.labels(call).items():
            if self._guards(path):
                wrong.update(self._recorded(source) for source in sources)
        return Signal("provenance.untrusted", rules=tuple(sorted(wrong))) if wrong else None

    def _recorded(self, label: str) -> str:
        """A source as it may stand in an event: others chose the ids of documents and the names of unknown tools."""
        sort, _, name = label.partition(":")[2].partition(":")
        return f"from:tool:{name}" if sort == "tool" and name in self._tools else f"from:{sort}"

    def _guards(self, path: str) -> bool:
        """Whether an argument must not come from a source, by a name on its path or the last word of one: `replyTo`,
        `target_url`, `recipients`.
        """
        for part in path.split("/"):
            words = _WORDS.findall(_CAMEL.sub(r"\1_\2", part).casefold())
            names = {part.casefold(), "".join(words)}
            while words:
                last = words.pop()
                names |= {last, last.removesuffix("s"), last.removesuffix("es")}
                if last not in _FILLERS:
                    break
            if not names.isdisjoint(self._arguments):
                return True
        return False


def _said(value: Any) -> Iterator[tuple[str, str]]:
    """Path and text of everything in a call's arguments, the names in them too: a tool may take a name for a target."""
    for path, _, item in leaves(value):
        if text := _text(item):
            yield path, text
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, Mapping):
            for name, inner in item.items():
                if len(str(name)) > _SHORT:
                    yield path or "/", str(name)
                waiting.append((f"{path}/{name}", inner))
        elif isinstance(item, list | tuple):
            waiting += [(f"{path}/{number}", inner) for number, inner in enumerate(item)]


def _sources(prints: _core._Fingerprints, text: str) -> set[str]:
    """The sources that an argument repeats, however it spells a target."""
    found = set(prints.sources_of(text))
    for other in _spellings(text):
        # What is not known in another spelling was not forgotten for that.
        found |= {source for source in prints.sources_of(other) if source != "forgotten"}
    return found


def _spellings(text: str) -> Iterator[str]:
    read = _read(text)
    if read != text:
        yield read
    if "//" in read:
        bare = _LINK.sub(r"\1\2", read)
        if bare != read:
            yield bare
        for _, host, _ in _LINK.findall(read):
            parts = host.strip(".").split(".")
            # A name below that of a source is the source's.
            for at in range(1, min(len(parts) - 1, _LABELS)):
                yield ".".join(parts[at:])
    if "00" in read:
        dialled = _DIALLED.sub("+", read)
        if dialled != read:
            yield dialled
    if len(read) >= _LEAST_HEX and _HEX.fullmatch(read):
        yield bytes.fromhex(read).decode("utf-8", "replace")


def _read(text: str) -> str:
    """A text as a person, and most software, reads it: without what is not seen, and in plain forms of letters."""
    return text if text.isascii() else unicodedata.normalize("NFKC", _UNSEEN.sub("", text))


def _text(item: Any) -> str:
    if isinstance(item, str):
        return item
    return str(item) if isinstance(item, int | float) and not isinstance(item, bool) else ""
