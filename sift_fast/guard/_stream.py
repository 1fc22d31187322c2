"""An answer that is checked while it arrives.

Three filters in a row. The scanner's stream edits secrets and personal data exactly as it would the whole text. Then
what it gives out is read once more together with what was given out before, and what would complete a finding that
stops the answer is not released: `scan` of everything that ever came out has no such finding. Last, placeholders of
the conversation become what they stand for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from sift_fast.guard._checks import Call, Check, Topics
from sift_fast.guard._job import StreamJob
from sift_fast.guard._prompt import PromptLeak, SpelledStream
from sift_fast.guard.verdict import RANK, Signal, Verdict

if TYPE_CHECKING:
    from sift_fast.guard._grounding import Answer
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.verdict import RequestContext

__all__ = ["OutputStream"]

#: Characters that were given out and are read again with what comes next: more than the widest rule of text.
_LOOK_BEHIND = 2_048
#: Characters after a finding that decide whether its last word ends there.
_OPEN = 3
#: Bytes after a finding that a rule may read.
_RIGHT_CONTEXT = 24
#: Characters that are taken in one step: they are read twice, by the scanner's stream and by the gate.
_PIECE = 2 * 1024
#: Characters that an answer may have which must be seen whole.
_MAX_WHOLE = 4 << 20


class OutputStream:
    """An asynchronous iterator of the pieces that may be shown, and at its end the verdict.

    For streams with a protocol of their own, `feed` and `finish` do the same piece by piece.

    Attributes:
        verdict: None until the end.
    """

    def __init__(
        self,
        guard: Guard,
        state: Any,
        source: AsyncIterable[str] | Iterable[str] | None,
        context: RequestContext,
        *,
        say: bool,
        quiet: bool = False,
        after: str = "",
    ) -> None:
        self.verdict: Verdict | None = None
        self._source = source
        self._say = say
        self._job = StreamJob(guard, "output", "", context, quiet=quiet)
        plan, memory = self._job.stage_plan, self._job.call.memory
        self._fast = (*plan.found, *(check for check in plan.always if isinstance(check, PromptLeak)))
        # What the scanner's stream edits is judged where it is edited.
        self._gated = tuple(check for check in self._fast if check not in plan.rescrubs)
        self._windowed = tuple(check for check in plan.always if check.windowed)
        gated = (*self._windowed, *self._fast)
        # One that may stop the answer reads each sentence before it is shown; otherwise all of it once, at the end.
        self._sentences = tuple(check for check in plan.always if check.table.kind == "grounding" and _stops(check))
        self._answers: list[tuple[Check, Answer]] | None = None
        #: What passed the gate and waits for the end of its sentence, and whose sentence was too long to wait for.
        self._unsettled = ""
        self._may_end = False
        self._cut: set[Check] = set()
        gated += self._sentences
        self._final = tuple(check for check in (*plan.always, *plan.slow) if check not in gated)
        self._whole = any(_stops(check) for check in self._final) or bool(plan.slow)
        self._lengths = plan.before
        self._inline = plan.inline
        self._prompts = [
            (check, check.runs.stream()) for check in self._fast if isinstance(check, PromptLeak) and check.runs
        ]
        self._spelled = [
            (check, SpelledStream(check.spelled))
            for check in self._fast
            if isinstance(check, PromptLeak) and check.spelled
        ]
        self._stream = state.scanner.stream(plan.keyed)
        self._seen = 0
        vault = None if memory is None else memory.vault(context)
        self._restorer = None if vault is None else vault.restorer()
        self._guard = guard
        #: What came out of the scanner's stream: what waits, what was given out last, and all of it where that counts.
        self._waiting = ""
        self._behind = after[-_LOOK_BEHIND:]
        self._known: set[tuple[str, int]] = set()
        self._at = 0
        #: Where this text begins behind the one that was shown before it.
        self._seam = len(self._behind)
        self._all: list[str] = []
        self._chars = 0
        self._iterator: AsyncIterator[str] | None = None

    def __aiter__(self) -> AsyncIterator[str]:
        if self._iterator is None:
            self._iterator = self._run()
        return self._iterator

    async def __anext__(self) -> str:
        return await anext(self.__aiter__())

    async def aclose(self) -> None:
        """Leave it early: what is held is discarded."""
        if self._iterator is not None:
            await self._iterator.aclose()  # type: ignore[attr-defined]
        self.abort()

    def abort(self) -> None:
        """Leave it early, without waiting: what is held is discarded, what was decided until then is on record."""
        self._stream.abort()
        self._waiting = self._unsettled = ""
        if self.verdict is None and self._job.tally.decision != "allow":
            self._close("")

    def is_stopped(self) -> bool:
        """Whether nothing more comes out."""
        return RANK[self._job.tally.decision] >= RANK["escalate"]

    async def _run(self) -> AsyncIterator[str]:
        source = self._source
        close = getattr(source, "aclose", None)
        try:
            async for whole in _each(source):
                for piece in _parts(whole, _PIECE):
                    if piece is not whole:
                        # A large piece is no reason to keep everybody else waiting.
                        await asyncio.sleep(0)
                    if out := self.feed(piece):
                        yield out
                if self.is_stopped():
                    break
        except BaseException:
            # What the model's side raises is its own, and whoever listened may have gone; what is held is not given
            # out, and what was decided until then is on record.
            self.abort()
            raise
        finally:
            # A model that is not listened to any more is told to stop.
            if close is not None:
                await close()
        try:
            out = await self.finish_async()
        except BaseException:
            self.abort()
            raise
        if out:
            yield out

    def feed(self, piece: str) -> str:
        """Take a piece; returns what may be shown, often nothing."""
        self._recorded()
        if self.is_stopped():
            return ""
        self._chars += len(piece)
        self._length()
        try:
            return self._gate(self._stream.feed(piece))
        except Exception:  # noqa: BLE001 -- whatever a check raises, the rest is not shown
            self._break()
            return ""

    def finish(self) -> str:
        """End the answer; returns the rest, with the message for the user if it was stopped. Blocks while guardrails
        wait.
        """
        out = self._ending()
        if self._asks():
            self._guard._wait(self._job)
        return self._close(out)

    async def finish_async(self) -> str:
        """As `finish`, without blocking."""
        if self._final and self._chars > self._inline:
            out = await asyncio.to_thread(self._ending)
        else:
            out = self._ending()
        if self._asks():
            await self._guard._waited(self._job)
        if self._job.waits:
            return await asyncio.to_thread(self._close, out)
        return self._close(out)

    def record(self) -> None:
        """Count and record the verdict of a stream that was quiet: hosts that give the whole text again and again
        would have it recorded as often.
        """
        if self.verdict is not None:
            self._job.quiet = False
            self._job.close(self.verdict)

    # --- the gate --------------------------------------------------------------------------------------------------

    def _recorded(self) -> None:
        """What cannot be recorded in the end is not shown in the beginning."""
        state = self._job.state
        if state.recorder.failed and not self._job.quiet and not self.is_stopped():
            if state.config.mode == "enforce" and state.config.events.on_error == "fail_closed":
                self._job.broken("record")
            else:
                self._job.tally.status = "error"

    def _length(self) -> None:
        for check in self._lengths:
            # Only the number counts, and it is what a text of that length would give.
            if self._chars > check.most:
                self._job.take(check, Signal("length.text"))

    def _gate(self, text: str, *, last: bool = False) -> str:
        """Judge what the scanner's stream gave out; returns what of it, and of what waits, may go."""
        self._edited()
        if self.is_stopped():
            return ""
        hold = self._leaks(text, last=last)
        self._waiting += text
        if self._waiting:
            hold = max(hold, self._read(self._behind + self._waiting, last=last))
        if self.is_stopped():
            self._waiting = ""
            return ""
        cut = len(self._waiting) - hold
        ready = self._waiting[:cut]
        self._waiting = self._waiting[cut:]
        moved = self._behind + ready
        self._behind = moved[-_LOOK_BEHIND:]
        self._at += len(moved) - len(self._behind)
        if self._sentences:
            ready = self._grounded(ready, last=last)
            if self.is_stopped():
                self._waiting = self._unsettled = ""
                return ""
        if self._whole or self._final:
            self._all.append(ready)
            if self._chars > _MAX_WHOLE:
                self._break()
        return "" if self._whole else self._shown(ready)

    def _leaks(self, text: str, *, last: bool) -> int:
        """Look for the system prompt; returns how many characters at the end may complete a run of its words."""
        hold = 0
        for check, prompt in self._prompts:
            leaked, wait = prompt.feed(text, last=last)
            hold = max(hold, wait)
            if leaked:
                self._job.take(check, Signal("prompt_leak.words"))
        for check, letters in self._spelled:
            if letters.feed(text):
                self._job.take(check, Signal("prompt_leak.canary"))
        return hold

    def _edited(self) -> None:
        """What the scanner's stream has edited counts as a finding like any other."""
        findings = self._stream.findings
        if len(findings) > self._seen:
            self._ask(Call("output", "", self._job.call.context, self._job.call.memory, findings[self._seen :]))
            self._seen = len(findings)

    def _read(self, window: str, *, last: bool) -> int:
        """Judge what is new in a window; returns how many characters at its end must wait for what follows them."""
        for check in self._windowed:
            call = Call("output", window, self._job.call.context, None)
            call.goes_on = not last
            self._job.ask_about(check, call)
        found = self._job.state.scanner.scan(window)
        if found.incomplete:
            self._job.failed("error", "limit", self._job.stage_plan.readers, limit=True)
        if not found:
            return 0
        # What ended earlier was judged then, with more of what stands before it; what follows a finding may still
        # have been open.
        least = len(self._behind) - _RIGHT_CONTEXT
        most = len(window) + 1 if last else len(window) - _OPEN
        new, hold = [], 0
        for finding in (*found, *self._job.stage_plan.hidden(window, found)):
            if finding.end <= least or (finding.rule_id, self._at + finding.start) in self._known:
                continue
            if finding.end < most:
                new.append(finding)
            else:
                # A word may go on, and be another one.
                hold = max(hold, len(window) - finding.start)
        if new:
            self._known.update((finding.rule_id, self._at + finding.start) for finding in new)
            call = Call("output", window, self._job.call.context, self._job.call.memory, new)
            self._ask(call, gate=True)
            # The half of it that stood in the text before was shown: it cannot be taken out any more.
            split = [each for each in new if self._at + each.start < self._seam < self._at + each.end]
            if split:
                call.findings = split
                self._ask(call, gate=True, checks=self._job.stage_plan.rescrubs)
        return min(hold, len(self._waiting))

    def _ask(self, call: Call, *, gate: bool = False, checks: tuple[Check, ...] | None = None) -> None:
        for check in checks or (self._gated if gate else self._fast):
            try:
                signal = check.canary(call) if isinstance(check, PromptLeak) else check.run(call)
                if signal is not None and not isinstance(signal, Signal):
                    raise TypeError("no signal")
            except Exception:  # noqa: BLE001 -- whatever it raises, the rest is not shown
                self._job.failed("error", "error", (check,))
                continue
            if signal is None:
                continue
            # Here nothing can be edited any more: what would be redacted stops the answer.
            if gate:
                signal = signal._replace(edits=(), rescrub=False)
            self._job.take(check, signal)

    def _grounded(self, ready: str, *, last: bool) -> str:
        """Judge whole sentences by the sources that there are when the answer begins; returns those that may go."""
        if self._answers is None:
            memory = self._job.call.memory
            made = [(check, check.answer(memory)) for check in self._sentences]  # type: ignore[attr-defined]
            self._answers = [(check, answer) for check, answer in made if answer is not None]
        if not self._answers:
            return ready
        text, is_cut = self._unsettled + ready, False
        end = len(text)
        if not last:
            from sift_fast.guard._grounding import may_end, settled

            # Most pieces are words within a sentence.
            self._may_end = self._may_end or may_end(ready, len(text))
            end, is_cut = settled(text) if self._may_end else (0, False)
            self._may_end = self._may_end and may_end(text[end:], 0)
        whole, self._unsettled = text[:end], text[end:]
        for check, answer in self._answers:
            if is_cut and check not in self._cut:
                # A date or a quote that lies across the cut is not read as one: that is said, once.
                self._cut.add(check)
                self._job.take(check, Signal("grounding.cut", 0.0, decision="flag"))
            signal = answer.read(whole)
            if signal is not None:
                self._job.take(check, signal)
        return whole

    def _shown(self, text: str) -> str:
        return text if self._restorer is None else self._restorer.feed(text)

    def _break(self) -> None:
        self._job.broken("stream")
        self._waiting = self._unsettled = ""

    # --- the end ---------------------------------------------------------------------------------------------------

    def _ending(self) -> str:
        if self.is_stopped():
            self._stream.abort()
            return ""
        try:
            out = self._gate(self._stream.finish(), last=True)
            if self._final and not self.is_stopped():
                job = self._job
                job.call.text = "".join(self._all)
                if any(isinstance(check, Topics) for check in self._final):
                    # Which topics an answer is about is what the rules find in all of it.
                    job.look()
                    if getattr(job.call.findings, "incomplete", ()):
                        readers = (check for check in self._final if check.reads_findings)
                        job.failed("error", "limit", readers, limit=True)
                for check in self._final:
                    if not check.slow:
                        job.ask(check)
                if self._whole and not self.is_stopped():
                    out = self._shown(job.call.text)
            if self._restorer is not None and not self.is_stopped():
                out += self._restorer.finish()
        except Exception:  # noqa: BLE001 -- whatever a check raises, the rest is not shown
            self._break()
            return ""
        return "" if self.is_stopped() else out

    def _asks(self) -> bool:
        return bool(self._job.slow) and not self.is_stopped()

    def _close(self, out: str) -> str:
        job = self._job
        if self.verdict is None:
            findings = self._stream.findings
            verdict = Verdict(
                job.tally.decision,
                "output",
                findings=findings,
                policy_id=job.state.config.policy_id,
                policy_version=job.state.config.hash,
            )
            job.close(verdict)
            self.verdict = verdict
        if self.is_stopped():
            return self.verdict.message if self._say else ""
        return out


async def _each(source: AsyncIterable[str] | Iterable[str] | None) -> AsyncIterator[str]:
    if isinstance(source, AsyncIterable):
        async for piece in source:
            yield piece
    else:
        for piece in source or ():
            yield piece


def _parts(text: str, most: int) -> Iterable[str]:
    return (text,) if len(text) <= most else (text[at : at + most] for at in range(0, len(text), most))


def _stops(check: Check) -> bool:
    table = check.table
    return table.mode == "enforce" and (
        table.on_violation in {"escalate", "block", "redact"}
        or table.block_at is not None
        or table.escalate_at is not None
    )
