"""Derived taint: which arguments repeat what a document or a tool result brought into the conversation.

The fingerprints are kept by the native half: keyed hashes of values (addresses, links, paths, numbers, names with
marks) and of runs of three words. No text is kept. What a user said himself is no taint. A paraphrase escapes: nothing
here understands a text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
#: Bytes of an argument that are looked up; in a longer one something may stand that nobody looked for.
_MOST_ARGUMENT = 64 << 10


class Provenance(Check):
    """Arguments that must not come from an untrusted source."""

    def __init__(self, name: str, table: ProvenanceConfig, tools: Mapping[str, ToolConfig]) -> None:
        super().__init__(name, table)
        self._arguments = frozenset(argument.casefold() for argument in table.arguments)
        self._trusted = frozenset(table.trusted) | {key for key, tool in tools.items() if not tool.untrusted}
        self._most = table.max_entries

    def prints(self, call: Call) -> _core._Fingerprints | None:
        """The conversation's fingerprints, made when they are first needed."""
        memory = call.memory
        if memory is None:
            return None
        with memory.lock:
            if memory.fingerprints is None:
                memory.fingerprints = _core._Fingerprints(self._most)
            return memory.fingerprints

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
        for path, _, item in leaves(call.value):
            text = _text(item)
            if not text:
                continue
            # No character takes more than four bytes: most need not be counted.
            long = len(text) * 4 > _MOST_ARGUMENT and len(text.encode("utf-8", "replace")) > _MOST_ARGUMENT
            if long and self._guards(path):
                raise LimitExceeded(f"guardrail `{self.name}` reads at most {_MOST_ARGUMENT} bytes of an argument")
            sources = prints.sources_of(text)
            if sources:
                out[path] = tuple(sorted(f"from:{source}" for source in sources))
        return out

    def run(self, call: Call) -> Signal | None:
        """Labels are the guard's to show; a violation is a label where none may be."""
        wrong: set[str] = set()
        for path, sources in self.labels(call).items():
            if self._guards(path):
                wrong.update(sources)
        return Signal("provenance.untrusted", rules=tuple(sorted(wrong))) if wrong else None

    def _guards(self, path: str) -> bool:
        """Whether an argument must not come from a source, by a name on its path or the last word of one: `replyTo`,
        `target_url`, `recipients`.
        """
        for part in path.split("/"):
            words = _WORDS.findall(_CAMEL.sub(r"\1_\2", part).casefold())
            last = words[-1] if words else ""
            names = {part.casefold(), last, last.removesuffix("s"), last.removesuffix("es")}
            if not names.isdisjoint(self._arguments):
                return True
        return False


def _text(item: Any) -> str:
    if isinstance(item, str):
        return item
    return str(item) if isinstance(item, int | float) and not isinstance(item, bool) else ""
