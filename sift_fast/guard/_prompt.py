"""The system prompt in an answer: canaries, found by the shared scan, and runs of words of the real prompt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sift_fast.guard._checks import Call, Check
from sift_fast.guard.verdict import Edit, Signal

if TYPE_CHECKING:
    from sift_fast._core import _PromptRuns
    from sift_fast.guard.config import PromptLeakConfig

__all__ = ["PromptLeak", "SpelledStream"]

#: Marks as bytes, and the least letters of a canary that is looked for without them.
_APART = bytes(code for code in range(128) if not chr(code).isalnum())
_LEAST_LETTERS = 8


class Spelled:
    """Canaries whose letters stand apart, `h-e-r-o-n 4 4 1 7`: letters and digits are compared, and nothing else.

    Only canaries with a digit: one of words alone may be a phrase that others say.
    """

    __slots__ = ("longest", "wanted")

    def __init__(self, canaries: Iterable[str]) -> None:
        letters = {_letters(canary) for canary in canaries if any(map(str.isdigit, canary))}
        self.wanted = sorted(each for each in letters if len(each) >= _LEAST_LETTERS)
        self.longest = max(map(len, self.wanted), default=0)

    def __bool__(self) -> bool:
        return bool(self.wanted)

    def within(self, letters: bytes) -> bool:
        """Whether a canary is among these letters."""
        return any(canary in letters for canary in self.wanted)


class SpelledStream:
    """The same in a text that comes in pieces: the piece that completes a canary is not given out."""

    def __init__(self, spelled: Spelled) -> None:
        self._spelled = spelled
        self._tail = b""

    def feed(self, piece: str) -> bool:
        """Take a piece; whether it completes one."""
        letters = self._tail + _letters(piece)
        self._tail = letters[1 - self._spelled.longest :]
        return self._spelled.within(letters)


def _letters(text: str) -> bytes:
    return text.encode("utf-8", "replace").lower().translate(None, _APART)


class PromptLeak(Check):
    """Canaries and runs of words."""

    def __init__(self, name: str, table: PromptLeakConfig, canaries: frozenset[str], runs: _PromptRuns) -> None:
        super().__init__(name, table)
        self._canaries = canaries
        self.runs = runs
        self.spelled = Spelled(table.canaries)
        self.needs_findings = not (runs or self.spelled)
        self.reads_findings = bool(canaries) and not self.needs_findings

    @property
    def lacks(self) -> str:
        """Presets have it bare: what it looks for is the application's."""
        return "" if self._canaries or self.runs else "`canaries` or a `prompt`"

    def canary(self, call: Call) -> Signal | None:
        """What the scan found of the canaries."""
        mine = [finding for finding in call.found if finding.rule_id in self._canaries]
        if not mine:
            return None
        edits = tuple(Edit(finding.start, finding.end, f"<{finding.entity_type}>") for finding in mine)
        return Signal("prompt_leak.canary", 1.0, edits, tuple(dict.fromkeys(finding.rule_id for finding in mine)))

    def run(self, call: Call) -> Signal | None:
        """A canary first: it is the surer sign."""
        signal = self.canary(call)
        if signal is None and self.spelled and self.spelled.within(_letters(call.text)):
            signal = Signal("prompt_leak.canary")
        if signal is None and self.runs and self.runs.within(call.text):
            signal = Signal("prompt_leak.words")
        return signal
