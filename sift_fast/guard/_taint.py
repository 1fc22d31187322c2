"""Derived taint: which arguments repeat what a document or a tool result brought into the conversation.

The fingerprints are kept by the native half: keyed hashes of values (addresses, links, paths, numbers, names with
marks) and of runs of three words. No text is kept. What a user said himself is no taint. A paraphrase escapes: nothing
here understands a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sift_fast import _core
from sift_fast.guard._checks import Call, Check
from sift_fast.guard._json import leaves
from sift_fast.guard.verdict import Signal

if TYPE_CHECKING:
    from sift_fast.guard.config import ProvenanceConfig, ToolConfig

__all__ = ["Provenance"]


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
