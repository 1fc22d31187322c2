"""`Guard`: one configured object in front of a model. Five stages, one verdict each.

Every check runs behind a handler that turns whatever goes wrong into a decision: a text that could not be checked does
not go on.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from sift_fast.errors import ConfigError, LimitExceeded, StateUnavailable
from sift_fast.guard._actions import Actions, Held, open_kernel
from sift_fast.guard._job import SHOWN, Job, RetrievalJob, Tally, ToolJob, done, threaded
from sift_fast.guard._memory import Known, Memories, Refused
from sift_fast.guard._plan import Plans, Stuff
from sift_fast.guard._rules import make_scanner
from sift_fast.guard._slow import Background, Threads, make_slow
from sift_fast.guard.config import GuardConfig
from sift_fast.guard.escalation import Desk
from sift_fast.guard.events import JsonLines, Recorder
from sift_fast.guard.metrics import Metrics
from sift_fast.guard.notify import Notifier
from sift_fast.guard.verdict import (
    RANK,
    REMOVED,
    RequestContext,
    Stage,
    Verdict,
)
from sift_fast.scanner import Scanner

if TYPE_CHECKING:
    from sift_fast.guard._stream import OutputStream
    from sift_fast.guard.events import EventSink
    from sift_fast.guard.verdict import Classifier, Guardrail, Status

__all__ = ["Guard"]

#: Seconds after the deadline in which guardrails that are given up must let go of their loop.
_GRACE_S = 1.0


class _State:
    """What belongs to one configuration and is exchanged whole when it is loaded again."""

    __slots__ = ("actions", "config", "notifier", "plans", "recorder", "scanner")

    def __init__(
        self,
        config: GuardConfig,
        scanner: Scanner,
        plans: Plans,
        recorder: Recorder,
        actions: Actions | None,
        notifier: Notifier | None,
    ) -> None:
        self.config = config
        self.scanner = scanner
        self.plans = plans
        self.recorder = recorder
        self.actions = actions
        self.notifier = notifier


class Guard:
    """The layers in front of a model, from one configuration.

    Args:
        config: a `GuardConfig`, or a mapping as `sift.toml` would give.
        classifier: scores texts for guardrails of kind `classifier`; None for the one of this package.
        guardrails: your own, by the name of their table.
        models: pydantic models of answers, by the name of the guardrail of kind `schema`.
        kernel: authorizes actions in `check_tool_input`; None for that of table `[kernel]`, if any.
        sinks: where events go, besides the configured file and ledger.
        desk: where escalation records lie; None for the configured file.

    Raises:
        ConfigError: the configuration is wrong, or something that it needs was not given.
        RuleError: a rule document is wrong.

    Example:
        >>> guard = Guard({"version": 1, "preset": "chat"})
        >>> guard.check_input_sync("What is the weather like?", RequestContext()).decision
        'allow'
    """

    def __init__(
        self,
        config: GuardConfig | Mapping[str, Any],
        *,
        classifier: Classifier | None = None,
        guardrails: Mapping[str, Guardrail] | None = None,
        models: Mapping[str, Any] | None = None,
        kernel: Any = None,
        sinks: Iterable[EventSink] = (),
        desk: Desk | None = None,
    ) -> None:
        if not isinstance(config, GuardConfig):
            config = GuardConfig.from_dict(config)
        self._classifier = classifier
        self._guardrails = dict(guardrails or {})
        self._models = dict(models or {})
        self._sinks = tuple(sinks)
        self._files: dict[str, Any] = {}
        self._path: str | None = None
        self._background = Background()
        self._reloading = threading.Lock()
        self.metrics = Metrics()
        self._own_kernel = kernel is None
        # One that does not say where it is may be anywhere.
        self._kernel, self._remote = (
            open_kernel(config) if kernel is None else (kernel, getattr(kernel, "remote", True))
        )
        self._state = self._make(config, None)
        kept = weakref.ref(self)
        self.metrics.lag = lambda: {} if (alive := kept()) is None else alive._state.recorder.lag
        limits = config.limits
        self._memories = Memories(limits.conversations, limits.conversation_ttl_s, limits.memory_bytes)
        self._refused = Refused()
        #: Turns that guardrails which wait were asked about, and those that a person let pass.
        self._passed = Known()
        #: Texts of which is on record what was decided about them.
        self._recorded = Known()
        people = config.escalation
        self._desk = desk or Desk(
            config.path(people.file) if people.file else None, keep_s=people.keep_s, most=people.records
        )
        self._returns = Threads("escalations", 1)
        self._carries = False
        self._carry()

    @classmethod
    def open(cls, path: str | os.PathLike[str], **arguments: Any) -> Guard:
        """A guard from a file, `sift.toml`.

        Args:
            path: the file.
            arguments: as for `Guard`.

        Raises:
            ConfigError: as for `Guard`, or the file cannot be read.
        """
        guard = cls(GuardConfig.load(path), **arguments)
        guard._path = os.fspath(path)
        return guard

    @property
    def config(self) -> GuardConfig:
        """The configuration in force."""
        return self._state.config

    @property
    def scanner(self) -> Scanner:
        """The scanner that all guardrails share."""
        return self._state.scanner

    @property
    def kernel(self) -> Any:
        """The action kernel, to settle leases and to work on approvals; None without one."""
        return self._kernel

    def session(self, context: RequestContext) -> str | None:
        """Id of the kernel's session for a conversation, for an elevation; None where there are no sessions.

        Raises:
            SiftError: the kernel opens none.
        """
        actions = self._state.actions
        session = None if actions is None else actions.session(context)
        return None if session is None else str(session.id)

    @property
    def notifier(self) -> Notifier | None:
        """What sends notifications of records; None without a webhook."""
        return self._state.notifier

    @property
    def desk(self) -> Desk:
        """The escalation records."""
        return self._desk

    def reload(self, config: GuardConfig | None = None) -> str:
        """Take a new configuration, at once and whole; an error leaves the old one in force.

        Checks that run finish with the configuration they began with. Conversations, records and counters stay;
        `[limits]` of conversations, where and how many records lie and the place of the kernel are read at the start
        only; a kernel in this process reads its policies and keys again.

        Args:
            config: the new one; None to read the file again.

        Returns:
            The hash of the configuration in force.

        Raises:
            ConfigError: the new one is wrong, or there is no file to read.
            PolicyError: a policy of the kernel is wrong.
            RuleError: a rule document is wrong.
        """
        with self._reloading:
            if config is None:
                if self._path is None:
                    raise ConfigError("this guard was not opened from a file: give it the new configuration")
                config = GuardConfig.load(self._path)
            old = self._state
            state = self._make(config, old)
            if self._own_kernel and not self._remote and self._kernel is not None:
                # Its policies and keys are a part of what is in force; those that are wrong leave the old ones.
                self._kernel.reload()
            self._state = state
            self._carry()
            if old.notifier is not None and old.notifier is not state.notifier:
                old.notifier.close()
        return config.hash

    def close(self) -> None:
        """Write out what waits, and let go of the ledger and of a kernel that the configuration named. Again: nothing.

        Raises:
            StateUnavailable: something could not be written; it is closed all the same.
        """
        from sift_fast.guard._ledger import LedgerSink

        try:
            for sink in self._files.values():
                sink.close() if isinstance(sink, LedgerSink) else sink.flush()
        finally:
            if self._own_kernel and self._kernel is not None:
                self._kernel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _carry(self) -> None:
        """Events of what people decide come from a thread: the deciding may be done in another process."""
        if self._carries or not self._state.recorder.writes:
            return
        from sift_fast.guard._ledger import carry, recorder_of

        self._carries = True
        threading.Thread(target=carry, args=(self._desk, recorder_of(self)), name="sift-carry", daemon=True).start()

    def _make(self, config: GuardConfig, old: _State | None) -> _State:
        scanner, owners = make_scanner(config)
        stuff = Stuff(
            config,
            scanner,
            owners,
            lambda name, table: make_slow(name, table, self._guardrails),
            self._classifier,
            self._models,
        )
        plans = Plans(stuff)
        actions = None if old is None or old.config.kernel != config.kernel else old.actions
        if actions is None and self._kernel is not None:
            # Otherwise the open sessions stay, and what people granted them.
            actions = Actions(self._kernel, config, remote=self._remote)
        notifier = None if old is None else old.notifier
        if notifier is None or not notifier.serves(config.escalation):
            notifier = Notifier(config.escalation) if config.escalation.webhook else None
        # What is opened comes last: a configuration that is wrong opens nothing.
        sinks = [*self._sinks, *self._opened(config)]
        recorder = Recorder(tuple(sinks), sample_allow=config.events.sample_allow, tenant=config.events.tenant)
        return _State(config, scanner, plans, recorder, actions, notifier)

    def _opened(self, config: GuardConfig) -> Iterable[Any]:
        """The file and the ledger of events, those that are open already; what has failed is opened again."""
        from sift_fast.guard._ledger import LedgerSink

        events = config.events
        makers: list[tuple[str | None, Any]] = [
            (events.file, lambda path: JsonLines(path, events.queue)),
            (events.ledger, lambda path: LedgerSink(path, events.ledger_name)),
        ]
        for name, make in makers:
            if not name:
                continue
            path = config.path(name)
            known = self._files.get(path)
            if known is not None and (known.failed or getattr(known, "moved", False)):
                if isinstance(known, LedgerSink):
                    with contextlib.suppress(StateUnavailable):
                        known.close()
                known = None
            if known is None:
                known = self._files[path] = make(path)
            yield known

    # --- the five stages -------------------------------------------------------------------------------------------

    async def check_input(self, text: str, context: RequestContext, *, source: str = "") -> Verdict:
        """Check what a user says, before the model reads it.

        Args:
            text: the user's turn.
            context: who asks.
            source: names a document or a tool whose text the turn brings with it; nothing of it is the user's word.

        Returns:
            A verdict; go on with its `text` if it is `allowed`.

        Raises:
            TypeError: `text` is no `str`.
        """
        return await self._checked(Job(self, "input", text, context, source=source))

    def check_input_sync(self, text: str, context: RequestContext, *, source: str = "") -> Verdict:
        """As `check_input`, for callers without an event loop; blocks while guardrails wait."""
        return self._checked_sync(Job(self, "input", text, context, source=source))

    async def check_output(self, text: str, context: RequestContext) -> Verdict:
        """Check what the model says, before anybody sees it; personal data that was taken out is put back.

        Args:
            text: the whole answer.
            context: who asked.

        Raises:
            TypeError: `text` is no `str`.
        """
        return await self._checked(Job(self, "output", text, context))

    def check_output_sync(self, text: str, context: RequestContext) -> Verdict:
        """As `check_output`, for callers without an event loop."""
        return self._checked_sync(Job(self, "output", text, context))

    async def check_tool_input(
        self,
        tool: str,
        args: Mapping[str, Any],
        context: RequestContext,
        *,
        request: Any = None,
        credential: Any = None,
        approval: str | None = None,
        held: Held | None = None,
    ) -> Verdict:
        """Check a tool call before it has an effect.

        Args:
            tool: its name.
            args: its arguments, containers as JSON has.
            context: on whose behalf.
            request: a signed `ActionRequest` for the kernel, about the same call; None where table `[kernel]` says who
                signs.
            credential: what authenticates it.
            approval: id of a kernel's approval to be used; within a conversation the guard finds it by itself.
            held: from `hold`: the permit of an allowed call stays with the kernel until `held.release()`.

        Returns:
            A verdict; call the tool with its `value` if it is `allowed`. `labels` say which arguments repeat a source.
            With a kernel, `authorization` holds permit and lease, `receipt` names what is in its ledger.

        Raises:
            TypeError: `args` is no mapping.
        """
        return await self._checked(
            ToolJob(self, "tool_input", tool, args, context, signed=(request, credential, approval)), held
        )

    def hold(self) -> Held:
        """For calls that go on together or not at all, as those of one answer: see `check_tool_input`."""
        return Held()

    def check_tool_input_sync(
        self,
        tool: str,
        args: Mapping[str, Any],
        context: RequestContext,
        *,
        request: Any = None,
        credential: Any = None,
        approval: str | None = None,
    ) -> Verdict:
        """As `check_tool_input`, for callers without an event loop."""
        return self._checked_sync(
            ToolJob(self, "tool_input", tool, args, context, signed=(request, credential, approval))
        )

    async def check_tool_output(self, tool: str, result: Any, context: RequestContext) -> Verdict:
        """Check a tool's result before the model reads it.

        Args:
            tool: its name.
            result: text, or containers as JSON has.
            context: on whose behalf it was called.

        Returns:
            A verdict; go on with its `text` for text, its `value` for containers.
        """
        return await self._checked(ToolJob(self, "tool_output", tool, result, context))

    def check_tool_output_sync(self, tool: str, result: Any, context: RequestContext) -> Verdict:
        """As `check_tool_output`, for callers without an event loop."""
        return self._checked_sync(ToolJob(self, "tool_output", tool, result, context))

    async def check_retrieval(self, documents: Iterable[Any], context: RequestContext) -> Verdict:
        """Check retrieved documents before the model reads them.

        A document that this caller may not read, or whose metadata does not say so, is dropped before anything reads
        it; of the rest, those that would be blocked are dropped as well.

        Args:
            documents: `Document`s, mappings with `text`, `metadata` and `id`, or the documents of LangChain and
                LlamaIndex.
            context: who asks.

        Returns:
            A verdict with the `documents` that may be read; `redact` if some were dropped or edited.
        """
        job = RetrievalJob(self, documents, context)
        parts = job.begin()
        await (threaded(_fast, parts) if job.blocks else done(_fast, parts))
        await self._waited_all([part for part in parts if part.slow])
        return await (threaded(job.end, parts) if job.blocks or job.waits else done(job.end, parts))

    def check_retrieval_sync(self, documents: Iterable[Any], context: RequestContext) -> Verdict:
        """As `check_retrieval`, for callers without an event loop."""
        job = RetrievalJob(self, documents, context)
        parts = job.begin()
        _fast(parts)
        self._wait(*(part for part in parts if part.slow))
        return job.end(parts)

    def stream_output(
        self, source: AsyncIterable[str] | Iterable[str], context: RequestContext, *, say: bool = True, after: str = ""
    ) -> OutputStream:
        """Check an answer while it arrives.

        What comes out never holds what would be edited or stopped. A guardrail that must see the whole answer and
        may stop it makes everything wait for the end; grounding that may stop it, for the end of each sentence.
        `verdict` of the stream is there when it has ended.

        Args:
            source: pieces of the answer.
            context: who asked.
            say: whether an answer that is stopped ends with the message for the user.
            after: what came right before, where an answer comes in several texts that are read as one.

        Returns:
            An asynchronous iterator of pieces, with `verdict`.
        """
        from sift_fast.guard._stream import OutputStream

        return OutputStream(self, self._state, source, context, say=say, after=after)

    async def check_joined(
        self, texts: Sequence[str], context: RequestContext, *, stage: Stage, new: bool = False
    ) -> str | None:
        """Check texts that go on one by one as the one text that they are read as.

        Args:
            texts: the parts of a turn, a result or an answer, as they came.
            context: who asks.
            stage: whose guardrails read it.
            new: whether the caller checks them, together, as a text that is new, if they would be removed: that puts
                it on record.

        Returns:
            None where they go on as they are; else the text that may stand in the place of all of them, `<REMOVED>`
            where there is none.
        """
        if len(texts) < 2:
            return None
        jobs = [Job(self, stage, glue.join(texts), context, quiet=True) for glue in ("", " ")]
        for job, glue in zip(jobs, (0, 1), strict=True):
            await (threaded(job.read_joined) if job.blocks else done(job.read_joined))
            seams, at = [], 0
            for text in texts[:-1]:
                at += len(text) + glue
                seams.append(at)
            # Where the parts meet, something stands that none of them shows.
            across = [each for each in job.call.found if any(each.start < seam < each.end for seam in seams)]
            if job.tally.decision == "escalate":
                # What a part says by itself went to a person by itself.
                job.call.findings, job.call.hidden, job.tally = across, (), Tally()
                job.ask_joined()
            if RANK[job.tally.decision] >= RANK["escalate"]:
                if not new:
                    job.note()
                return REMOVED
            if any(map(job.stage_plan.takes, across)):
                job.note()
                return job.edit_text(job.call.text)
        return None

    async def lies_across(self, before: str, text: str, context: RequestContext) -> bool:
        """Whether something that is taken out of answers, or stops them, lies across two pieces that go on one by one.

        Args:
            before: the end of what went on.
            text: what comes next.
            context: who asked.

        Raises:
            LimitExceeded: it cannot be read.
        """
        job = Job(self, "output", before + text, context, quiet=True)
        await (threaded(job.look) if job.blocks else done(job.look))
        call = job.call
        if getattr(call.findings, "incomplete", ()):
            raise LimitExceeded("what stands beside an answer cannot be read")
        seam = len(before)
        call.findings = [each for each in call.findings if each.start < seam < each.end]
        call.hidden = [each for each in call.hidden if each.start < seam < each.end]
        for check in job.stage_plan.found if call.found else ():
            job.ask(check)
        for check in job.stage_plan.always if call.found else ():
            if check.table.kind == "prompt_leak" and (signal := check.canary(call)) is not None:  # type: ignore[attr-defined]
                job.take(check, signal)
        return RANK[job.tally.decision] >= RANK["redact"]

    def rescrub(self, text: str, context: RequestContext, *, stage: Stage = "input") -> str:
        """A text without the secrets and personal data that a stage takes out. Nothing else is decided; what was taken
        out is on record, once for a text and a conversation.

        It is for what stands beside the texts, and for what a model said earlier; what a user said earlier is for
        `reread`.

        Args:
            text: the text.
            context: who asks.
            stage: whose operators apply.

        Raises:
            LimitExceeded: the text is too long, or a limit was hit.
            StateUnavailable: it cannot be recorded.
            TypeError: `text` is no `str`.
        """
        job = Job(self, stage, text, context, quiet=True)
        redaction = job.state.scanner.redact(text, *job.operators())
        if redaction.items:
            job.scrubbed(redaction.findings)
        job.measure()
        redacted: str = redaction.text
        return redacted

    def refuse(self, stage: Stage, reason: str, context: RequestContext, *, status: Status = "ok") -> Verdict:
        """A verdict that blocks, on record: for what speaks a protocol and sees that something cannot go on.

        Args:
            stage: where.
            reason: stable code, `tools.arguments`.
            context: who asks.
            status: `error` where it could not be checked.
        """
        job = Job(self, stage, "", context)
        job.refused(reason, status)
        config = job.state.config
        verdict = Verdict("block", stage, policy_id=config.policy_id, policy_version=config.hash)
        job.close(verdict)
        return verdict

    async def reread(self, text: str, context: RequestContext, *, source: str = "", wait: bool = True) -> str:
        """A user's text of an earlier turn that is sent again, as a model may read it.

        Whoever keeps a refused turn in his history sends it with the next one, and what a history holds need never
        have been a turn: it is read again, without what counts turns. Guardrails that wait are asked about what this
        guard did not ask them about before. What is decided is recorded once in a conversation, when the text was new
        or when it is read here for the first time.

        Args:
            text: the text.
            context: who asks.
            source: as for `check_input`.
            wait: whether guardrails that wait are asked; not about names and addresses.

        Returns:
            The text as `input` would let it pass, or `<REMOVED>` if it would not, or did not when it was new.

        Raises:
            LimitExceeded: it cannot be read.
            StateUnavailable: a guardrail that waits does not answer, or it cannot be recorded.
            TypeError: `text` is no `str`.
        """
        job = Job(self, "input", text, context, quiet=True, source=source)
        # A source is told to the kernel, which may be another process.
        long = bool(source) or job.size > SHOWN
        if await (threaded(job.read_again) if long else done(job.read_again)) and wait:
            await self._waited(job)
        return await (threaded(job.read_text, wait) if long else done(job.read_text, wait))

    def reread_sync(self, text: str, context: RequestContext, *, source: str = "", wait: bool = True) -> str:
        """As `reread`, for callers without an event loop; blocks while guardrails wait."""
        job = Job(self, "input", text, context, quiet=True, source=source)
        if job.read_again() and wait:
            self._wait(job)
        return job.read_text(wait)

    def note_call(self, call: str, tool: str, context: RequestContext) -> None:
        """Remember which tool a call of a conversation is for: its result may come in a request that only names the
        call.

        Args:
            call: its id.
            tool: the tool's name.
            context: whose conversation; without one nothing is remembered.
        """
        memory = self._memories.get(context.tenant, context.conversation)
        if memory is not None and call:
            memory.note_call(call, tool)

    def called(self, context: RequestContext) -> dict[str, str]:
        """Ids of calls of a conversation, and the tools they are for; the last thousand."""
        memory = self._memories.get(context.tenant, context.conversation)
        return {} if memory is None else dict(memory.called)

    def forget(self, tenant: str, conversation: str) -> None:
        """Drop what is remembered of a conversation."""
        self._memories.forget(tenant, conversation)

    def retrieval_condition(self, context: RequestContext) -> list[tuple[str, tuple[str, ...]]]:
        """What a query must ask for, so that only documents come back which this caller may read.

        Returns:
            Metadata keys, and for each the values of which it must have one. `sift_fast.guard.filters` writes it for
            vector stores.

        Raises:
            ConfigError: the configuration has no guardrail of kind `acl`.
        """
        acl = self._state.plans.of(context).acl
        if acl is None:
            raise ConfigError("the configuration has no guardrail of kind `acl`")
        return acl.condition(context)

    def reads_fields(self, tool: str, context: RequestContext) -> bool:
        """Whether a caller sees a result of a tool by its fields alone: some of them are hidden from him, or one must
        say whose it is. What stands beside such a result is not to be shown.
        """
        tools = self._state.plans.of(context).tools
        return tools is not None and (bool(tools.hidden(tool, context.role)) or tools.has_owner(tool))

    # --- how a text is checked -------------------------------------------------------------------------------------

    async def _checked(self, job: Job, held: Held | None = None) -> Verdict:
        # Most texts need no thread, and each `await` of what is done here takes as long as a small check.
        if job.blocks:
            await threaded(job.read)
        else:
            job.read()
        if job.slow:
            await self._waited(job)
        if job.asks_people:
            await (done(job.recall) if self._desk.quick else threaded(job.recall))
        if not job.acts:
            verdict = await threaded(job.finish) if job.blocks or job.waits else job.finish()
            if held is not None and verdict.allowed:
                held.add(job, verdict)
            return verdict
        try:
            await job.authorize()
            verdict = await (threaded(job.finish) if job.blocks or job.waits else done(job.finish))
            if held is not None and verdict.allowed:
                held.add(job, verdict)
            else:
                await job.hand_over(verdict)
        except BaseException:
            job.give_back()
            raise
        return verdict

    def _checked_sync(self, job: Job) -> Verdict:
        job.read()
        if job.slow:
            self._wait(job)
        if job.asks_people:
            job.recall()
        if not job.acts:
            return job.finish()
        try:
            self._background.run(job.authorize())
            verdict = job.finish()
            self._background.run(job.hand_over(verdict))
        except BaseException:
            job.give_back()
            raise
        return verdict

    def _wait(self, *jobs: Job) -> None:
        """As `_waited_all`, for callers without an event loop."""
        if not jobs:
            return
        deadline = jobs[0].state.config.limits.deadline_ms / 1_000
        try:
            self._background.run(self._waited_all(jobs), deadline + _GRACE_S)
        except TimeoutError:
            for job in jobs:
                job.failed("timeout", "deadline", job.stage_plan.slow)
        except StateUnavailable:
            for job in jobs:
                job.failed("error", "error", job.stage_plan.slow)

    async def _waited_all(self, jobs: Sequence[Job]) -> None:
        """Ask about the parts of one call, all at once: their deadline is the same."""
        import asyncio

        await asyncio.gather(*map(self._waited, jobs))

    async def _waited(self, job: Job) -> None:
        """Ask the guardrails that wait, all at once; the first that blocks cancels the others."""
        import asyncio

        deadline = job.state.config.limits.deadline_ms / 1_000
        tasks = [asyncio.ensure_future(self._ask(check, job)) for check in job.slow]
        try:
            for done in asyncio.as_completed(tasks, timeout=deadline):
                await done
                if job.tally.stopped:
                    break
        except TimeoutError:
            job.failed("timeout", "deadline", job.stage_plan.slow)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, check: Any, job: Job) -> None:
        began = time.perf_counter_ns()
        try:
            signal = await check.ask(job.call)
        except TimeoutError:
            job.failed("timeout", "timeout", (check,))
        except LimitExceeded:
            job.failed("error", "limit", (check,), limit=True)
        except Exception:  # noqa: BLE001 -- whatever a guardrail of others raises, the text is not checked
            job.failed("error", "error", (check,))
        else:
            if signal is not None:
                job.take(check, signal)
        finally:
            self.metrics.waited(check.name, (time.perf_counter_ns() - began) / 1_000)


def _fast(parts: Iterable[Job]) -> None:
    for part in parts:
        part.read()
