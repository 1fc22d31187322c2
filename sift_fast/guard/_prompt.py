"""The system prompt in an answer: canaries, found by the shared scan, and runs of words of the real prompt."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sift_fast.guard._checks import Call, Check
from sift_fast.guard.verdict import Edit, Signal

if TYPE_CHECKING:
    from sift_fast.guard.config import PromptLeakConfig

__all__ = ["PromptLeak", "PromptStream", "SpelledStream", "prompt_runs"]

# Everything between words is one separator: a prompt that is quoted with other marks is the same prompt.
_MARKS = {code: " " for code in range(128) if not chr(code).isalnum()}
#: The same for texts that are ASCII, where small letters come with it: 6.9 us for 1,000 characters instead of 9.5.
_PLAIN = bytes(ord(chr(code).lower()) if chr(code).isalnum() else ord(" ") for code in range(128)) + bytes(128)
#: Marks as bytes, and the least letters of a canary that is looked for without them.
_APART = bytes(code for code in range(128) if not chr(code).isalnum())
_LEAST_LETTERS = 8
_LAST_WORD = re.compile(r"[A-Za-z0-9\u0080-\U0010ffff]+\Z")


def words_of(text: str) -> list[str]:
    """The words of a text, lower case, without marks."""
    if text.isascii():
        return text.encode("ascii").translate(_PLAIN).decode("ascii").split()
    return text.translate(_MARKS).casefold().split()


class Runs:
    """Runs of words of a prompt.

    To look at every place of an answer would cost a lookup a word. A run of `size` words holds one of `size // 2 + 1`
    that begins at a multiple of half: those are looked up, and only a hit is followed.
    """

    __slots__ = ("_short", "_step", "heads", "runs", "size")

    def __init__(self, texts: list[list[str]], size: int) -> None:
        self.size = size
        self._step = size // 2
        short = size - self._step + 1
        self._short = {tuple(words[at : at + short]) for words in texts for at in range(len(words) - short + 1)}
        self.runs = {tuple(words[at : at + size]) for words in texts for at in range(len(words) - size + 1)}
        #: All but the last word of each run: what may become one.
        self.heads = {run[:-1] for run in self.runs}

    def __bool__(self) -> bool:
        return bool(self.runs)

    def within(self, words: list[str]) -> bool:
        """Whether a run of the prompt is among these words."""
        step, size = self._step, self.size
        short = size - step + 1
        # All of them looked up in one call first: 5.3 us for 200 words, and 8.8 one by one.
        if self._short.isdisjoint(zip(*(words[at::step] for at in range(short)), strict=False)):
            return False
        for at in range(0, len(words) - short + 1, step):
            if tuple(words[at : at + short]) in self._short:
                for begin in range(max(0, at - step + 1), at + 1):
                    if tuple(words[begin : begin + size]) in self.runs:
                        return True
        return False


def prompt_runs(prompt: str, size: int) -> Runs:
    """The runs of a prompt, as it is and backwards, by letters or by words: the oldest ways to have it said."""
    words = words_of(prompt)
    return Runs([words, words[::-1], words_of(prompt[::-1])], size)


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

    def __init__(self, name: str, table: PromptLeakConfig, canaries: frozenset[str], runs: Runs) -> None:
        super().__init__(name, table)
        self._canaries = canaries
        self.runs = runs
        self.spelled = Spelled(table.canaries)
        self.needs_findings = not (runs or self.spelled)

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
        if signal is None and self.runs and self.runs.within(words_of(call.text)):
            signal = Signal("prompt_leak.words")
        return signal


class PromptStream:
    """The runs of a prompt in a text that comes in pieces: what was given out never holds one.

    Words are complete when something follows them, so the last one is held back while it may complete a run.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._words: list[str] = []
        self._open = ""

    def feed(self, piece: str, *, last: bool = False) -> tuple[bool, int]:
        """Take a piece; whether a run is complete, and how many characters at the end must wait."""
        text = self._open + piece
        match = None if last else _LAST_WORD.search(text)
        self._open = "" if match is None else match.group()
        self._words += words_of(text[: len(text) - len(self._open)])
        leaked = self._runs.within(self._words) if len(self._words) >= self._runs.size else False
        # A run may begin in any of the last words, and the lookup is in steps: keep a little more than one run.
        size = self._runs.size
        if len(self._words) > 4 * size:
            del self._words[: len(self._words) - 2 * size]
        tail = tuple(self._words[1 - size :])
        return leaked, len(self._open) if tail in self._runs.heads else 0
