"""One text on its way through one stage of the guard: a turn, an answer, arguments and results of a tool, documents.

What goes wrong between the checks blocks it; what people and the kernel decided comes last.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sift_fast.errors import LimitExceeded, StateUnavailable
from sift_fast.guard import _edits
from sift_fast.guard._actions import remember
from sift_fast.guard._checks import Call, Check
from sift_fast.guard._json import drop_fields, edited, has_fields, plain, render, rough_size, spoken
from sift_fast.guard._plan import Plan, StagePlan
from sift_fast.guard.verdict import (
    RANK,
    REMOVED,
    Document,
    Edit,
    RequestContext,
    Result,
    Signal,
    Stage,
    Verdict,
    stricter,
    worse,
)

if TYPE_CHECKING:
    from sift_fast.guard._actions import Answer
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.verdict import Decision, Status

__all__ = ["SHOWN", "Job", "RetrievalJob", "StreamJob", "Tally", "ToolJob", "done", "threaded"]

_T = TypeVar("_T")

#: Characters that are shown to a kernel in the event loop: 65 us a KiB.
SHOWN = 4 * 1024
#: Characters of a source's name in labels.
_SOURCE = 512
#: How reasons begin that say that a text reads like an attack, whether it is stopped or not.
_ATTACKS = ("injection.", "classifier.")
#: Reasons that are about a conversation and not about the text that came last.
_OF_CONVERSATION = {"length.turns", "length.conversation", "conversation.risk"}


class Tally:
    """What the checks of one text have said so far."""

    __slots__ = ("decision", "edits", "message", "reason", "rescrub", "results", "status")

    def __init__(self) -> None:
        self.decision: Decision = "allow"
        self.reason = "ok"
        self.message = ""
        self.status: Status = "ok"
        self.results: list[Result] = []
        self.edits: list[Edit] = []
        self.rescrub = False

    @property
    def stopped(self) -> bool:
        """Whether nothing can make it stricter."""
        return self.decision == "block"


async def done(work: Callable[..., _T], *arguments: Any) -> _T:
    """Work that is short, done here."""
    return work(*arguments)


async def threaded(work: Callable[..., _T], *arguments: Any) -> _T:
    """Work that takes long or waits for a disk, done on a thread."""
    import asyncio

    return await asyncio.to_thread(work, *arguments)


def _with_contact(answer: str, contact: str) -> str:
    return f"{answer} {contact}" if contact else answer


class Job:
    """One text on its way through one stage.

    Args:
        quiet: part of something larger, which is recorded instead.
        source: what a text of `input` is from, if no user said it.
    """

    __slots__ = (
        "began", "brought", "call", "claimed", "guard", "plan", "quiet", "size", "stage", "stage_plan", "state",
        "tally",
    )  # fmt: skip

    #: Whether all that is checked is there at once, so that it can be told when it comes again.
    whole = True

    def __init__(
        self, guard: Guard, stage: Stage, text: str, context: RequestContext, *, quiet: bool = False, source: str = ""
    ) -> None:
        self.began = time.perf_counter_ns()
        if not isinstance(text, str):
            raise TypeError("a text to be checked must be a str")
        if not isinstance(context, RequestContext):
            raise TypeError("who asks is missing: give a RequestContext, RequestContext() at least")
        self.guard = guard
        self.state = guard._state
        self.stage = stage
        self.plan: Plan = self.state.plans.of(context)
        self.stage_plan: StagePlan = self.plan.stages[stage]
        memory = None if context.conversation is None else guard._memories.get(context.tenant, context.conversation)
        self.call = Call(stage, text, context, memory)
        self.tally = Tally()
        self.size = len(text)
        self.quiet = quiet
        self.brought = source
        #: The escalation record by whose approval it passes.
        self.claimed: str | None = None

    @property
    def slow(self) -> tuple[Any, ...]:
        """Guardrails that wait; none for a text that is blocked already."""
        return () if self.tally.stopped else self.stage_plan.slow

    @property
    def opens(self) -> bool:
        """Whether a record for people is opened."""
        decision = self.tally.decision
        if decision == "escalate":
            return not self.quiet
        return decision == "block" and self.state.config.escalation.on_block and not self.quiet

    @property
    def waits(self) -> bool:
        """Whether finishing waits for a disk."""
        return self.state.recorder.full or (self.opens and self.state.config.escalation.file is not None)

    @property
    def blocks(self) -> bool:
        """Whether reading it takes so long, or asks another process, that it is done on a thread."""
        actions = self.state.actions
        if actions is None or not (self.brought or self.stage in {"retrieval", "tool_output"}):
            return self.size > self.stage_plan.inline
        return actions.remote or self.size > min(self.stage_plan.inline, SHOWN)

    @property
    def acts(self) -> bool:
        """Whether the kernel is asked: an action that the guardrails let through."""
        return False

    async def authorize(self) -> None:
        """Ask the kernel."""

    async def hand_over(self, verdict: Verdict) -> None:
        """Once the verdict is final: fetch what an action needs, or give it back."""

    def give_back(self) -> None:
        """Nobody waits for the verdict any more, or it does not go on for what stands beside it."""
        self.unclaim()

    def unclaim(self) -> None:
        """What a person let pass does not go on after all: it may still."""
        if self.claimed is not None:
            # On a thread: it is written to the disk.
            self.guard._returns.post(self.guard._desk.put_back, self.claimed)
            self.claimed = None

    # --- what people decided ---------------------------------------------------------------------------------------

    @property
    def asks_people(self) -> bool:
        """Whether it waits for a person, who may have decided about the very same already."""
        return self.whole and not self.quiet and self.tally.decision == "escalate"

    def subject(self) -> str:
        """What a record is about, in one spelling."""
        return self.call.text

    def fingerprint(self) -> str | None:
        """Tells the same text or action of the same caller when it comes again; None where nobody can."""
        if not self.whole or self.quiet:
            return None
        who = self.call.context
        try:
            return self.guard._desk.print_of(
                who.tenant, who.role, who.user, who.conversation, self.stage, self.call.tool, self.subject()
            )
        except (TypeError, ValueError, RecursionError):
            # It was stopped before anybody could read it.
            return None

    def recall(self) -> None:
        """Ask what people decided: an approval lets it pass once, and what was rejected is blocked."""
        desk, same = self.guard._desk, self.fingerprint()
        try:
            found = None if same is None else desk.standing(same)
            if found is None or found.outcome == "open":
                return
            if found.outcome == "rejected":
                self.decided("block", "escalation.rejected")
            elif desk.claim(found.id):
                self.claimed = found.id
                self.approved()
        except StateUnavailable:
            self.broken("escalation")

    def approved(self) -> None:
        """Take a person's approval: what others than those that wanted a person decided stays."""
        left = [result.enforced for result in self.tally.results if result.enforced != "escalate"]
        if self.tally.edits or self.tally.rescrub:
            left.append("redact")
        self.decided(max(left, key=lambda each: RANK[each], default="allow"), "escalation.approved")

    def decided(self, decision: Decision, reason: str) -> None:
        """Take what a person decided."""
        tally = self.tally
        tally.decision, tally.reason, tally.message = decision, reason, ""
        said: Decision = "block" if decision == "block" else "allow"
        tally.results.append(Result("escalation", said, said, reason, 1.0, "ok", ()))

    # --- asking ----------------------------------------------------------------------------------------------------

    def read(self) -> None:
        """As `fast`; whatever goes wrong between the checks, the text is not checked."""
        try:
            self.fast()
        except Exception:  # noqa: BLE001 -- as said
            self.broken("check")

    def fast(self) -> None:
        """Scan once, and ask every guardrail that does not wait."""
        call, plan = self.call, self.stage_plan
        # Length comes before the scan: what is too long is not read.
        for length in plan.before:
            self.ask(length)
        if self.tally.stopped:
            return
        try:
            self.look()
        except LimitExceeded:
            self.failed("error", "limit", plan.readers, limit=True)
        except Exception:  # noqa: BLE001 -- whatever the scan raises, the text is not checked
            self.failed("error", "scan", plan.readers)
        for check in plan.always:
            self.ask_about(check, call)
        # Also where nothing was found: it may stand in what was not read.
        if getattr(call.findings, "incomplete", ()):
            self.failed("error", "limit", plan.readers, limit=True)
        if call.findings:
            for check in plan.found:
                self.ask(check)
        self.remember()

    def look(self) -> None:
        """What the rules find in the text."""
        call = self.call
        call.findings = self.state.scanner.scan(call.text)
        call.hidden = self.stage_plan.hidden(call.text, call.findings) if call.findings else ()

    def read_again(self) -> bool:
        """As `fast`, for a text of an earlier turn.

        Returns:
            Whether guardrails that wait must be asked about it: they were not before.
        """
        self.fast_again()
        return bool(self.slow) and not self.guard._passed.has(*self.turn("asked"))

    def fast_again(self) -> None:
        """As `fast`, without what counts turns."""
        call, plan = self.call, self.stage_plan
        for length in plan.before:
            if len(call.text) > length.most:
                self.take(length, Signal("length.text"))
        if self.tally.stopped:
            return
        if self.state.config.mode == "enforce" and self.guard._refused.holds(call.text, call.context):
            self.tally.decision = "block"
            return
        self.look()
        if getattr(call.findings, "incomplete", ()):
            self.failed("error", "limit", (check for check in plan.readers if not check.adds_up), limit=True)
        for check in plan.again:
            self.ask(check)
        if call.findings:
            for check in plan.found:
                self.ask(check)
        self.remember()

    def read_joined(self) -> None:
        """As `fast`, for parts that were read one by one: what only a text by itself can be is not asked again."""
        try:
            self.look()
            if getattr(self.call.findings, "incomplete", ()):
                readers = [check for check in self.stage_plan.joined if check in self.stage_plan.readers]
                self.failed("error", "limit", readers, limit=True)
            self.ask_joined()
        except Exception:  # noqa: BLE001 -- whatever a check raises, the text is not checked
            self.broken("check")

    def ask_joined(self) -> None:
        """Ask those that look for something in a text."""
        for check in self.stage_plan.joined:
            self.ask(check)

    def turn(self, what: str) -> tuple[str | None, ...]:
        """What is known of a turn: under this configuration, of this caller."""
        who = self.call.context
        mine = () if what == "asked" else (who.user, who.conversation)
        return what, self.state.config.hash, who.tenant, who.role, *mine, self.call.text

    def read_text(self, asked: bool) -> str:
        """What of an earlier turn goes on.

        Args:
            asked: whether guardrails that wait were asked, now or before.

        Raises:
            LimitExceeded: it cannot be read.
            StateUnavailable: a guardrail that waits does not answer, or it cannot be recorded.
        """
        tally, known = self.tally, self.guard._passed
        is_approved = tally.decision == "escalate" and known.has(*self.turn("approved"))
        if not is_approved:
            self.note()
        if tally.decision == "block" and tally.status != "ok":
            if any(result.guardrail == check.name for result in tally.results for check in self.stage_plan.slow):
                raise StateUnavailable("a text of an earlier turn cannot be checked at the moment")
            raise LimitExceeded("a text of an earlier turn cannot be read")
        if tally.decision == "block" or (tally.decision == "escalate" and not is_approved):
            return REMOVED
        if asked and self.stage_plan.slow and tally.status == "ok":
            known.add(*self.turn("asked"))
        out = self.edit_text(self.call.text)
        self.measure()
        return out

    def ask(self, check: Check) -> None:
        """Ask one guardrail that does not wait."""
        self.ask_about(check, self.call)

    def ask_about(self, check: Check, call: Call) -> None:
        """Ask it about a call, or a part of one; whatever it raises is an error of the check."""
        try:
            signal = check.run(call)
            if signal is not None and not isinstance(signal, Signal):
                raise TypeError("no signal")
        except LimitExceeded:
            self.failed("error", "limit", (check,), limit=True)
        except Exception:  # noqa: BLE001 -- whatever it raises, the text is not checked
            self.failed("error", "error", (check,))
        else:
            if signal is not None:
                self.take(check, signal)

    def remember(self) -> None:
        """Keep what later checks of the conversation need."""
        if self.brought:
            if not self.tally.stopped and not self.bring(self.call.text, self.brought, "", known_as=self.brought):
                self.broken("kernel")
            return
        if self.stage == "input" and self.plan.grounds and self.call.memory is not None:
            self.call.memory.remember_said(self.call.text, self.state.config.limits.source_chars)
        provenance = self.plan.provenance
        if provenance is not None and self.stage == "input":
            if any(result.reason.startswith(_ATTACKS) for result in self.tally.results):
                # A page that was pasted in is said by the user; one that reads like an attack is no word of his.
                provenance.add(self.call, self.call.text, "turn")
            else:
                provenance.say(self.call, self.call.text)

    def bring(self, text: str, source: str, name: str, *, known_as: str) -> bool:
        """Keep what a document or a tool brought into the conversation, once the model may read it.

        Args:
            text: as it was before edits.
            source: names it in labels.
            name: names it in citations; empty where it cannot be cited.
            known_as: names its sort to the kernel, whose policies are written before there are documents.

        Returns:
            Whether the model may still read it: the kernel must know of it.
        """
        actions = self.state.actions
        if actions is not None:
            try:
                actions.observe(text, known_as, self.call.context)
            except StateUnavailable:
                if self.state.config.mode == "enforce":
                    return False
                self.tally.status = "error"
        memory = self.call.memory
        if memory is None:
            return True
        provenance = self.plan.provenance
        if provenance is not None:
            provenance.add(self.call, text, source[:_SOURCE])
        if self.plan.grounds:
            memory.remember_source(text, name, self.state.config.limits.source_chars)
        return True

    # --- deciding --------------------------------------------------------------------------------------------------

    def take(self, check: Check, signal: Signal) -> None:
        """Turn a signal into a decision by the guardrail's settings."""
        table = check.table
        if signal.decision is None and signal.score < table.min_score:
            return
        watched = table.mode == "monitor" or self.state.config.mode == "monitor"
        if signal.decision is not None:
            decision: Decision = signal.decision
        elif table.on_violation == "monitor":
            decision = "flag"
        else:
            decision = table.on_violation
        raised = decision
        if table.escalate_at is not None and signal.score >= table.escalate_at:
            raised = stricter(raised, "escalate")
        if table.block_at is not None and signal.score >= table.block_at:
            raised = stricter(raised, "block")
        if table.on_violation == "monitor" and raised == decision:
            watched = True
        # Also where it goes to a person first: what is let pass is what was taken out of.
        redacts = decision == "redact" and RANK[raised] < RANK["block"]
        if redacts and not signal.rescrub and not self.can_edit(signal):
            raised = "block"
        self.add(check, raised, "allow" if watched else raised, signal)

    def can_edit(self, signal: Signal) -> bool:
        """Whether what a signal is about can be taken out of this kind of value."""
        return bool(signal.edits)

    def failed(self, status: Status, reason: str, checks: Iterable[Check], *, limit: bool = False) -> None:
        """What it means that guardrails could not do their work."""
        for check in checks:
            table = check.table
            decision: Decision = "allow" if (table.on_limit if limit else table.on_error) == "fail_open" else "block"
            watched = table.mode == "monitor" or self.state.config.mode == "monitor"
            signal = Signal(f"{table.kind}.{reason}", 1.0, status=status)
            self.add(check, decision, "allow" if watched else decision, signal)

    def add(self, check: Check, decision: Decision, enforced: Decision, signal: Signal) -> None:
        """Join one guardrail's contribution with the others: decisions by maximum, edits by union."""
        tally = self.tally
        tally.results.append(
            Result(check.name, decision, enforced, signal.reason, signal.score, signal.status, signal.rules)
        )
        tally.status = worse(tally.status, signal.status)
        if RANK[enforced] > RANK[tally.decision]:
            tally.decision = enforced
            tally.reason = signal.reason
            tally.message = signal.message or check.table.message
        if enforced == "redact" or (enforced == "escalate" and check.table.on_violation == "redact"):
            # What a person lets pass goes on as it is, but for what is taken out wherever it is not stopped.
            tally.edits += signal.edits
            tally.rescrub = tally.rescrub or signal.rescrub
        if not self.quiet:
            self.guard.metrics.result(check.name, self.stage, decision, enforced, signal.status)

    # --- answering -------------------------------------------------------------------------------------------------

    def edited(self) -> tuple[str | None, Any]:
        """The text, or the value, without what must not go on."""
        return self.edit_text(self.call.text), None

    def edit_text(self, text: str) -> str:
        """Edits of the scanner and of other guardrails in one text."""
        tally = self.tally
        if tally.rescrub:
            redaction = self.state.scanner.redact(text, *self.operators())
            if not tally.edits:
                text = redaction.text
            else:
                text = _edits.apply(text, [*_edits.of_redaction(redaction), *tally.edits])
        elif tally.edits:
            text = _edits.apply(text, tally.edits)
        return self.restored(text) if self.stage == "output" else text

    def restored(self, text: str) -> str:
        """A text for the user, with the personal data that was taken out of what he said, or of what was read on his
        behalf: what he must not see, access control and the fields of a tool keep out of it.
        """
        memory = self.call.memory
        vault = None if memory is None else memory.vault(self.call.context)
        return text if vault is None else vault.restore(text)

    def operators(self) -> tuple[Any, Any]:
        """What is put in the place of findings, and the vault that keeps them."""
        plan, memory = self.stage_plan, self.call.memory
        # What is put back for a user was taken from what he may see; in his own answer there is nothing to keep. And
        # what is taken out of a tool's arguments would be put back with what placeholders in them stand for.
        if memory is None or not plan.pseudonyms or self.stage in {"output", "tool_input"}:
            return plan.keyed, None
        return plan.operators, memory.make_vault(self.call.context)

    def finish(self) -> Verdict:
        """The verdict, recorded."""
        tally, config = self.tally, self.state.config
        text: str | None = None
        value: Any = None
        if RANK[tally.decision] < RANK["escalate"]:
            try:
                text, value = self.edited()
            except Exception:  # noqa: BLE001 -- a text that cannot be edited does not go on
                self.broken("edit")
                text = value = None
        verdict = Verdict(
            tally.decision,
            self.stage,
            text=text,
            value=value,
            findings=self.call.findings,
            policy_id=config.policy_id,
            policy_version=config.hash,
        )
        self.close(verdict)
        return verdict

    def close(self, verdict: Verdict) -> None:
        """Open a record, say why, write the event, count."""
        guard, tally, config = self.guard, self.tally, self.state.config
        verdict.escalation = verdict.escalation or self.claimed
        if self.opens:
            self.escalate(verdict)
        self.explain(verdict)
        verdict.latency_us = (time.perf_counter_ns() - self.began) / 1_000
        if self.quiet:
            return
        if self.stage == "input" and self.call.text:
            self.tell(verdict)
            if verdict.results:
                # It comes again in the history of the next turn.
                guard._recorded.add(*self.turn("recorded"), self.stage)
        if not self.is_written(verdict):
            if config.mode == "enforce" and config.events.on_error == "fail_closed":
                self.broken("record")
                verdict.text = verdict.value = None
                verdict.documents = ()
            tally.status = "error"
            self.explain(verdict)
        if not verdict.allowed:
            self.unclaim()
        self.measure()
        self.count(verdict)

    def is_written(self, verdict: Verdict) -> bool:
        """Write the event of a verdict that has one; False where it cannot be relied on to be on record."""
        recorder = self.state.recorder
        if recorder.failed:
            return False
        if recorder.wants(verdict):
            try:
                recorder.record(verdict, self.call.context)
                self.guard.metrics.events += 1
            except Exception:  # noqa: BLE001 -- what is not on record does not go on
                return False
        return True

    def note(self) -> None:
        """Put on record what was decided about a text that has no verdict, once in a conversation: a history comes
        again with every request.

        Raises:
            StateUnavailable: it cannot be recorded.
        """
        tally, config, known = self.tally, self.state.config, self.guard._recorded
        # Without a result, it is blocked for what is on record already.
        if not tally.results or known.has(*self.turn("recorded"), self.stage):
            return
        verdict = Verdict(tally.decision, self.stage, policy_id=config.policy_id, policy_version=config.hash)
        self.explain(verdict)
        verdict.latency_us = (time.perf_counter_ns() - self.began) / 1_000
        for result in tally.results:
            self.guard.metrics.result(*result[:1], self.stage, result.decision, result.enforced, result.status)
        if not self.is_written(verdict) and config.mode == "enforce" and config.events.on_error == "fail_closed":
            raise StateUnavailable("what was decided about a text cannot be recorded")
        known.add(*self.turn("recorded"), self.stage)
        self.count(verdict)

    def scrubbed(self, findings: Any) -> None:
        """Put on record that secrets and personal data were taken out of a text about which nothing is decided."""
        tally, call = self.tally, self.call
        call.findings = findings
        for check in self.stage_plan.rescrubs:
            signal = check.run(call)
            if signal is not None:
                tally.results.append(
                    Result(check.name, "redact", "redact", signal.reason, signal.score, "ok", signal.rules)
                )
                tally.decision, tally.reason = "redact", signal.reason
        self.note()

    def tell(self, verdict: Verdict) -> None:
        """Keep what became of a turn, which comes again in the history of the next."""
        guard, tally = self.guard, self.tally
        if tally.reason not in _OF_CONVERSATION:
            guard._refused.tell(
                self.call.text,
                self.call.context,
                allowed=verdict.allowed,
                # What was refused for the turns before it is harmless in any other conversation.
                alone=not tally.reason.startswith("conversation."),
            )
        if verdict.allowed and tally.status == "ok":
            if self.stage_plan.slow:
                guard._passed.add(*self.turn("asked"))
            if self.claimed is not None:
                guard._passed.add(*self.turn("approved"))

    def measure(self) -> None:
        """Count what was remembered of it. Of answers and arguments nothing is that grows."""
        memory, who = self.call.memory, self.call.context
        if memory is not None and who.conversation is not None and self.stage not in {"output", "tool_input"}:
            self.guard._memories.measure(who.tenant, who.conversation, memory, max(self.size, len(self.call.text)))

    def count(self, verdict: Verdict) -> None:
        """Into the metrics."""
        self.guard.metrics.verdict(self.stage, verdict.decision, verdict.status, verdict.latency_us)

    def explain(self, verdict: Verdict) -> None:
        """Put what the tally says into the verdict."""
        tally = self.tally
        verdict.decision, verdict.status, verdict.reason = tally.decision, tally.status, tally.reason
        verdict.results = tuple(tally.results)
        if RANK[tally.decision] >= RANK["escalate"]:
            answers = self.state.config.answers
            answer = tally.message
            if not answer:
                failed = tally.status in {"error", "timeout"}
                answer = answers.error if failed else answers.block if tally.decision == "block" else answers.escalate
            verdict.message = _with_contact(answer, answers.contact)

    @property
    def approval(self) -> str | None:
        """The kernel's approval that decides about the record."""
        return None

    @property
    def expires_ms(self) -> int | None:
        """When that ends, milliseconds since 1970, and the record with it."""
        return None

    def escalate(self, verdict: Verdict, decision: Decision | None = None) -> None:
        """Open a record; without one nothing goes on.

        Args:
            verdict: what gets its id.
            decision: what it is about, where that is not the verdict's.
        """
        settings, tally = self.state.config.escalation, self.tally
        try:
            verdict.escalation, new = self.guard._desk.open(
                self.call.context,
                stage=self.stage,
                decision=decision or tally.decision,
                reason=tally.reason,
                rules=tuple(dict.fromkeys(rule for result in tally.results for rule in result.rules)),
                policy_version=self.state.config.hash,
                owner=settings.owner,
                expires_s=settings.expires_s,
                approval=self.approval,
                expires_ms=self.expires_ms,
                same=self.fingerprint() if self.approval is None else None,
            )
            if not new:
                # One record, one message, however often it is tried.
                return
            self.guard.metrics.escalations += 1
            notifier = self.state.notifier
            if notifier is not None:
                record = self.guard._desk.get(verdict.escalation)
                if record is not None:
                    notifier.send(record)
        except StateUnavailable:
            self.broken("escalation")
            verdict.text = verdict.value = None

    def refused(self, reason: str, status: Status) -> None:
        """What speaks a protocol says that it does not go on."""
        tally = self.tally
        tally.decision, tally.status, tally.reason = "block", status, reason
        tally.results.append(Result("guard", "block", "block", reason, 1.0, status, ()))
        self.guard.metrics.result("guard", self.stage, "block", "block", status)

    def broken(self, reason: str) -> None:
        """The guard itself failed: blocked, whatever was decided before."""
        tally = self.tally
        tally.decision, tally.status, tally.reason, tally.message = "block", "error", f"guard.{reason}", ""
        tally.results.append(Result("guard", "block", "block", tally.reason, 1.0, "error", ()))


class StreamJob(Job):
    """An answer that comes in pieces."""

    __slots__ = ()
    #: What it is about is there when it has been shown.
    whole = False

    def fingerprint(self) -> str | None:
        """Tells the same trouble in the same conversation: one record is open for it, however often an answer is asked
        for and in how many texts it comes. Nothing passes by it: the next answer has other words.
        """
        who = self.call.context
        if self.quiet or who.conversation is None:
            return None
        return self.guard._desk.print_of(
            who.tenant, who.role, who.user, who.conversation, self.stage, "stream", self.tally.reason
        )


class ToolJob(Job):
    """A tool's arguments or its result: text, or containers as JSON has."""

    __slots__ = ("answer", "done", "encoded", "given", "labels", "signed", "source")

    def __init__(
        self,
        guard: Guard,
        stage: Stage,
        tool: str,
        value: Any,
        context: RequestContext,
        signed: tuple[Any, Any, str | None] = (None, None, None),
    ) -> None:
        if not isinstance(tool, str):
            raise TypeError("a tool's name must be a str")
        if stage == "tool_input" and not isinstance(value, Mapping):
            raise TypeError("a tool's arguments must be a mapping")
        super().__init__(guard, stage, "", context)
        self.call.tool = tool
        self.signed = signed
        self.answer: Answer | None = None
        #: What is edited, once it is: what is authorized is what goes on.
        self.done: tuple[str | None, Any] | None = None
        #: Which part of the result was text that holds it, -1 for a text by itself.
        self.encoded: int | None = None
        self.given = value
        self.source = value
        self.labels: Mapping[str, tuple[str, ...]] = {}
        self.size = rough_size(value, self.stage_plan.inline)

    def prepare(self) -> None:
        """Bring the value into the form in which it is read."""
        # A result that is typed is read as what it is, also where it comes as text.
        tools = self.plan.tools if self.stage == "tool_output" else None
        try:
            # Whoever gave it may change it meanwhile: what goes on is what was read.
            value = self.given = plain(self.source)
            if tools is not None:
                value, self.encoded = tools.decoded(self.call.tool, value)
                part = self.encoded
                if part is not None and part >= 0 and self.is_typed(tools) and not tools.is_alone(self.given, part):
                    # What stands beside the text is no part of the typed result, and would not be read with it.
                    self.take(tools, Signal("tools.result"))
            self.source = value
            # What is read is what would go on: a field that a role does not see is gone before anything looks at it.
            hidden = [] if tools is None else tools.hidden(self.call.tool, self.call.context.role)
            if hidden and tools is not None:
                if tools.is_parts(value) or not has_fields(value, hidden):
                    # Text has no fields: what this role must not see may stand anywhere in it.
                    self.take(tools, Signal("tools.result"))
                if self.state.config.mode == "enforce" and tools.table.mode == "enforce":
                    self.source, _ = drop_fields(value, hidden)
            self.call.text = render(self.source)
            self.call.value = value if self.stage == "tool_output" else self.put_back(self.source)
        except (LimitExceeded, TypeError, StateUnavailable):
            self.broken("value")

    def subject(self) -> str:
        """Arguments as a tool would get them, a result as it came."""
        value = self.call.value if self.stage == "tool_input" else self.given
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    def is_typed(self, tools: Any) -> bool:
        """Whether this caller sees fields of the result only, or it must say whose it is."""
        name = self.call.tool
        return bool(tools.hidden(name, self.call.context.role)) or tools.has_owner(name)

    def fast(self) -> None:
        """As for a text; a result is remembered as a source once it may be read."""
        self.prepare()
        if self.tally.stopped:
            return
        super().fast()
        provenance = self.plan.provenance
        if provenance is None:
            pass
        elif self.stage == "tool_input":
            try:
                self.labels = provenance.labels(self.call)
            except LimitExceeded:
                self.failed("error", "limit", (provenance,), limit=True)
        if self.stage == "tool_output" and not self.tally.stopped:
            trusted = provenance is not None and not provenance.takes(self.call.tool)
            source = f"tool:{self.call.tool}"
            if not trusted and not self.bring(self.call.text, source, "", known_as=source):
                self.broken("kernel")

    # --- the kernel ------------------------------------------------------------------------------------------------

    @property
    def acts(self) -> bool:
        """As for a text: an action that is stopped already is not authorized."""
        allowed = RANK[self.tally.decision] < RANK["escalate"]
        return self.stage == "tool_input" and self.state.actions is not None and allowed

    async def authorize(self) -> None:
        """The kernel's decision on top of the guard's; without an answer the call is blocked."""
        actions = self.state.actions
        assert actions is not None  # noqa: S101 -- `acts` says so
        try:
            self.done = self.edited()
        except Exception:  # noqa: BLE001 -- arguments that cannot be edited do not go on
            self.broken("edit")
            return
        answer = await actions.ask(self.call.tool, self.done[1], self.call.context, self.call.memory, *self.signed)
        self.answer = answer
        if answer.decision == "allow" and answer.status == "ok":
            return
        signal = Signal(answer.reason, 1.0, rules=answer.rules, message=answer.message, status=answer.status)
        self.refuse(answer.decision, signal)

    def refuse(self, decision: Decision, signal: Signal) -> None:
        """The kernel says no; where all is only watched, that is noted."""
        watched = self.state.config.mode == "monitor"
        self.add(_KERNEL, decision, "allow" if watched else decision, signal)

    @property
    def reserved(self) -> bool:
        """Whether the kernel allowed the action, and keeps a permit and perhaps a reservation for it."""
        return self.answer is not None and self.answer.decision == "allow"

    async def hand_over(self, verdict: Verdict) -> None:
        """Fetch the permit if the verdict allows the action, whatever else was decided; else give it back."""
        answer, actions = self.answer, self.state.actions
        if answer is None or actions is None or not self.reserved:
            return
        if not verdict.allowed:
            # Whoever holds it could fetch the permit.
            verdict.authorization = None
            await actions.given_back(answer.authorization)
            return
        failed = await actions.fetch(answer.authorization)
        if failed is not None:
            verdict.authorization = self.answer = None
            reason, status = failed
            self.refuse("block", Signal(reason, 1.0, status=status))
            if self.tally.decision == "block":
                verdict.text = verdict.value = None
            # What is on record so far says that it was allowed.
            close = super().close
            await (threaded(close, verdict) if self.waits else done(close, verdict))
            return
        verdict.latency_us = (time.perf_counter_ns() - self.began) / 1_000
        super().count(verdict)

    def give_back(self) -> None:
        """As for a text; the reservation too."""
        super().give_back()
        if self.answer is not None and self.reserved and self.state.actions is not None:
            self.state.actions.give_back(self.answer.authorization)

    def count(self, verdict: Verdict) -> None:
        """As for a text, but not before the permit is there."""
        if not (self.reserved and verdict.allowed):
            super().count(verdict)

    @property
    def standing(self) -> str | None:
        """The record that waits for this action already."""
        answer = self.answer
        pending = answer is not None and answer.decision == "escalate" and answer.waiting is not None
        return answer.waiting[1] if answer is not None and answer.waiting is not None and pending else None

    @property
    def opens(self) -> bool:
        """As for a text, but one action waits once."""
        return super().opens and self.standing is None

    @property
    def waits(self) -> bool:
        """As for a text; a record that follows an approval is written too."""
        return super().waits or (self.answer is not None and self.answer.decided is not None)

    @property
    def approval(self) -> str | None:
        """The one that the kernel asks for."""
        answer = self.answer
        return None if answer is None else getattr(answer.authorization, "approval", None)

    @property
    def expires_ms(self) -> int | None:
        """As the kernel has it."""
        return None if self.answer is None else self.answer.expires_ms

    def can_edit(self, signal: Signal) -> bool:
        """Spans of the text that rules read are no spans of a container."""
        return bool(signal.edits) and isinstance(self.source, str)

    def put_back(self, value: Any) -> Any:
        """Arguments with the values that placeholders stand for: a tool needs the address itself."""
        memory = self.call.memory
        vault = None if memory is None else memory.vault(self.call.context)
        return value if vault is None else vault.restore_json(value, urls=True)

    def edited(self) -> tuple[str | None, Any]:
        """Text for text, containers for containers."""
        if self.done is not None:
            return self.done
        if isinstance(self.source, str):
            return self.edit_text(self.source), None
        value = self.source
        if self.tally.rescrub:
            value = self.state.scanner.redact_json(value, *self.operators()).value
        if self.encoded is not None:
            text = json.dumps(value, ensure_ascii=False)
            if self.encoded < 0:
                return text, None
            parts = list(self.given)
            parts[self.encoded] = {**parts[self.encoded], "text": text}
            # What stands beside the text is no part of the typed result, and was not read with it.
            rest = self.state.scanner.redact_json(parts, *self.operators()).value if len(parts) > 1 else parts
            return None, rest
        return None, self.put_back(value) if self.stage == "tool_input" else value

    def close(self, verdict: Verdict) -> None:
        """As for a text, with the labels and what the kernel said."""
        verdict.labels = self.labels
        # Whoever names a tool that is not there may name it anything.
        if self.call.tool in self.state.config.tools:
            verdict.tool = self.call.tool
        answer = self.answer
        if answer is not None:
            verdict.authorization, verdict.receipt = answer.authorization, answer.receipt
            verdict.escalation = self.standing
            self.follow(verdict, answer)
        super().close(verdict)
        if answer is None or self.state.actions is None:
            return
        if verdict.decision == "escalate" and self.standing is None:
            remember(self.call.memory, answer, verdict.escalation)

    def follow(self, verdict: Verdict, answer: Answer) -> None:
        """Close the record of an approval that is decided."""
        if answer.decided is None or answer.waiting is None or answer.waiting[1] is None:
            return
        approved, people = answer.decided
        try:
            self.guard._desk.follow(answer.waiting[1], approve=approved, actor=people)
        except StateUnavailable:
            self.broken("escalation")
            verdict.value = None


class RetrievalJob(Job):
    """Documents: first whose they are, then what is in them."""

    #: A record is about those of them that wait.
    whole = False
    __slots__ = ("beside", "documents", "inner", "kept", "outer")

    def __init__(self, guard: Guard, documents: Iterable[Any], context: RequestContext) -> None:
        super().__init__(guard, "retrieval", "", context)
        if isinstance(documents, str | bytes | Mapping):
            raise TypeError("retrieved documents must be a list of them")
        self.documents = list(documents)
        self.inner: list[tuple[int, Document, Job]] = []
        #: Of documents whose metadata says something: what reads it.
        self.beside: dict[int, Job] = {}

    def begin(self) -> list[Job]:
        """A job for each document that this caller may read."""
        from sift_fast.guard.filters import as_document

        acl, context = self.plan.acl, self.call.context
        most = self.state.config.limits.documents
        watched = self.state.config.mode == "monitor" or (acl is not None and acl.table.mode == "monitor")
        # Those beyond the limit are dropped before anything looks at them.
        for number, given in enumerate(self.documents[:most]):
            said = ""
            try:
                document = as_document(given)
                allowed = acl is None or acl.allows(document, context)
                if allowed or watched:
                    said = render(spoken(document.metadata, () if acl is None else acl.keys))
            except Exception:  # noqa: BLE001 -- metadata that cannot be read allows nothing
                document, allowed = None, False
            if document is None or not (allowed or watched):
                continue
            if not allowed and acl is not None:
                self.add(acl, "block", "allow", Signal("acl.refused"))
            job = Job(self.guard, "retrieval", document.text, context, quiet=True)
            job.call.memory = self.call.memory
            self.inner.append((number, document, job))
            if said:
                self.beside[number] = Job(self.guard, "retrieval", said, context, quiet=True)
        refused = len(self.documents) - len(self.inner)
        if refused:
            # One result however many documents: their number is in `dropped`.
            check = acl if acl is not None else _Nobody()
            self.add(check, "redact", "redact", Signal("acl.refused"))
        jobs = [*(job for _, _, job in self.inner), *self.beside.values()]
        self.size = sum(job.size for job in jobs)
        return jobs

    def fingerprint(self) -> str | None:
        """Tells the documents that have to go to a person when the same ones come again, in whatever order: one record
        is open for all of them.
        """
        who = self.call.context
        held = sorted(job.call.text for job in self.held())
        return self.guard._desk.print_of(who.tenant, who.role, who.user, who.conversation, self.stage, *held)

    def held(self) -> list[Job]:
        """What of the documents waits for a person."""
        jobs = (*(job for _, _, job in self.inner), *self.beside.values())
        return [job for job in jobs if job.tally.decision == "escalate"]

    def recall(self) -> None:
        """As for a text, about all that wait: an approval lets them pass once, and what was rejected is dropped without
        asking again.
        """
        held = self.held()
        if not held:
            return
        desk = self.guard._desk
        try:
            found = desk.standing(self.fingerprint() or "")
            if found is None or found.outcome == "open":
                return
            if found.outcome == "rejected":
                for job in held:
                    job.decided("block", "escalation.rejected")
            elif desk.claim(found.id):
                self.claimed = found.id
                for job in held:
                    job.approved()
        except StateUnavailable:
            for job in held:
                job.broken("escalation")

    @property
    def waits(self) -> bool:
        """Whether a document has to go to a person, and its record onto a disk."""
        return super().waits or (bool(self.held()) and not self.guard._desk.quick)

    def end(self, parts: Sequence[Job]) -> Verdict:
        """Ask what people decided, finish every document, and conclude."""
        waited = self.held()
        self.recall()
        return self.conclude([part.finish() for part in parts], waited if self.claimed else ())

    def conclude(self, verdicts: Sequence[Verdict], approved: Sequence[Job] = ()) -> Verdict:
        """One verdict for all documents.

        Args:
            verdicts: of their texts and of what stands beside them.
            approved: what of them goes on because a person said so.
        """
        out: list[Document] = []
        kept: list[int] = []
        tally = self.tally
        person = False
        texts, others = verdicts[: len(self.inner)], verdicts[len(self.inner) :]
        beside = dict(zip(self.beside, others, strict=True))
        for (number, document, job), verdict in zip(self.inner, texts, strict=True):
            about = beside.get(number)
            for each in (verdict, about):
                if each is not None:
                    person = person or each.decision == "escalate"
                    self.join(each)
            if not verdict.allowed or verdict.text is None or (about is not None and not about.allowed):
                continue
            name = document.id or f"{number + 1}"
            said = document.text if about is None else f"{document.text}\n{self.beside[number].call.text}"
            if not job.bring(said, f"document:{name}", name, known_as="document"):
                tally.status = "error"
                tally.decision, tally.reason = stricter(tally.decision, "redact"), "guard.kernel"
                continue
            kept.append(number)
            metadata = document.metadata
            if about is not None and about.text != self.beside[number].call.text:
                metadata = self.redacted(metadata, about.text)
            out.append(Document(verdict.text, metadata, document.id))
        verdict = Verdict(
            tally.decision,
            "retrieval",
            documents=tuple(out),
            dropped=len(self.documents) - len(out),
            policy_id=self.state.config.policy_id,
            policy_version=self.state.config.hash,
        )
        verdict.kept = tuple(kept)
        if not any(
            job in approved or self.beside.get(number) in approved for number, _, job in self.inner if number in kept
        ):
            # None of what was approved goes on after all: all of it may still.
            self.unclaim()
        if person:
            # Of the documents that wait, whatever becomes of the others.
            self.escalate(verdict, "escalate")
        self.close(verdict)
        return verdict

    def join(self, verdict: Verdict) -> None:
        """Join what was decided about a part of a document: at most, that part is missing."""
        tally = self.tally
        for result in verdict.results:
            self.guard.metrics.result(*result[:1], self.stage, result.decision, result.enforced, result.status)
        tally.results += verdict.results
        tally.status = worse(tally.status, verdict.status)
        if RANK[verdict.decision] > RANK["allow"]:
            capped: Decision = "flag" if verdict.decision == "flag" else "redact"
            if RANK[capped] >= RANK[tally.decision]:
                tally.decision, tally.reason = capped, verdict.reason

    def redacted(self, metadata: Mapping[str, Any], text: str | None) -> dict[str, Any]:
        """Metadata as it may be read: each string edited by itself, or, where that gives another text than all of it
        together, nothing but whose it is.
        """
        kept = () if self.plan.acl is None else self.plan.acl.keys
        scanner, operators = self.state.scanner, self.operators()
        out = {
            key: value if key in kept else edited(value, lambda said: scanner.redact(said, *operators).text)
            for key, value in metadata.items()
        }
        return out if render(spoken(out, kept)) == text else {key: out[key] for key in kept if key in out}


class _Nobody(Check):
    """Stands for the guard where a document could not be read and there is no guardrail `acl`."""

    def __init__(self) -> None:
        from sift_fast.guard.config import GuardrailConfig

        super().__init__("guard", GuardrailConfig(kind="acl"))


class _Kernel(Check):
    """Stands for the kernel in results and metrics."""

    def __init__(self) -> None:
        from sift_fast.guard.config import GuardrailConfig

        super().__init__("kernel", GuardrailConfig(kind="kernel"))


_KERNEL = _Kernel()
