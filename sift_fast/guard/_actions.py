"""The action kernel behind `check_tool_input`: what the guard lets through is signed off before it has an effect.

The guard makes the request from what it checked, so that what is authorized is what will be done. What documents and
tools bring into a conversation is shown to the kernel, which derives from it where arguments came from.
"""

from __future__ import annotations

import os
import threading
import time
import tomllib
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sift_fast.errors import ConfigError, LimitExceeded, SiftError, StateUnavailable
from sift_fast.guard._slow import Threads

if TYPE_CHECKING:
    from sift_fast.guard._memory import Memory
    from sift_fast.guard.config import GuardConfig, KernelConfig
    from sift_fast.guard.verdict import Decision, RequestContext, Status, Verdict

__all__ = ["Actions", "Answer", "Held", "open_kernel", "remember"]

#: Questions at a time: the kernel answers in microseconds and then waits for the disk.
_PLACES = 64
#: Approvals that one conversation waits for.
_WAITING = 32
_DECISIONS: dict[str, Decision] = {"allow": "allow", "escalate": "escalate", "deny": "block"}
#: Sessions that are kept open at this end; the longest unused is opened again when it is needed.
_SESSIONS = 10_000
_BEFORE_S = 60
#: Denials that say that the kernel does not know the session any more.
_NO_SESSION = {"unknown_session", "session_expired"}
#: Denials after which an approval is of no use any more.
_OVER = {"approval_rejected", "approval_expired", "approval_used", "approval_unknown", "approval_of_another_action"}


class Answer(NamedTuple):
    """What the kernel said about one action, in the words of the guard."""

    decision: Decision
    reason: str
    #: The kernel's authorization; None where it gave none.
    authorization: Any
    #: Id of the receipt; None where there is none.
    receipt: str | None
    rules: tuple[str, ...]
    message: str | None
    status: Status
    #: When the approval that is asked for ends, milliseconds since 1970; None without one.
    expires_ms: int | None
    #: Hash of the action; None where it could not be made.
    action: str | None
    #: An approval that was asked for in an earlier call of the same action, and its escalation record.
    waiting: tuple[str, str | None] | None
    #: What became of that approval, if it is decided: whether it was approved, and by whom.
    decided: tuple[bool, str] | None


def open_kernel(config: GuardConfig) -> tuple[Any, bool]:
    """The kernel that a configuration names, None for none; and whether it is in another process.

    Raises:
        ConfigError: its folder is wrong, another process works with it, or this one may not connect.
        PolicyError: its policies or manifest are wrong.
        StateUnavailable: its state is damaged, or nobody answers at the socket.
    """
    from sift_fast.kernel import Kernel

    settings = config.kernel
    if settings.socket is not None:
        return Kernel.connect(config.path(settings.socket), timeout=settings.timeout_ms / 1_000), True
    if settings.folder is None:
        return None, False
    kernel = Kernel.open(config.path(settings.folder))
    # Its settings may say that it is behind a socket.
    return kernel, kernel.remote


def policies_of(config: GuardConfig) -> str | None:
    """Hash of the policies that a kernel in this process reads; None where there is none, or another process has them:
    its receipts name them.

    Raises:
        ConfigError: the kernel's settings cannot be read.
        PolicyError: its policies or manifest are wrong.
    """
    from sift_fast._core import PolicySet
    from sift_fast.guard.config import read_text

    if config.kernel.folder is None:
        return None
    folder = config.path(config.kernel.folder)
    try:
        settings = tomllib.loads(read_text(os.path.join(folder, "kernel.toml")))
    except tomllib.TOMLDecodeError:
        raise ConfigError("`kernel.toml` is no TOML") from None
    return None if settings.get("mode") == "socket" else PolicySet.load(folder).hash


class _Ticket:
    """Whether anybody still waits for an answer of the kernel: one that came too late must not keep a reservation."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._auth: Any = None
        self._given_up = False

    def take(self, auth: Any) -> bool:
        """Note an answer; false if nobody waits for it."""
        with self._lock:
            self._auth = auth
            return not self._given_up

    def give_up(self) -> Any:
        """Wait no longer; the answer if it came."""
        with self._lock:
            self._given_up = True
            return self._auth


class Actions:
    """Asks the kernel.

    Args:
        kernel: a `Kernel`, or something with its methods.
        config: says who asks, in table `[kernel]`.
        remote: whether each question goes to another process.

    Raises:
        ConfigError: a key cannot be read.
    """

    def __init__(self, kernel: Any, config: GuardConfig, *, remote: bool) -> None:
        settings = config.kernel
        self.kernel = kernel
        #: Whether each question goes to another process.
        self.remote = remote
        self._settings = settings
        self._keys = _keys(kernel, config, settings)
        self._makes = bool(self._keys) or bool(settings.agent)
        self._threads = Threads("kernel", _PLACES)
        self._timeout = settings.timeout_ms / 1_000
        self._lock = threading.Lock()
        self._sessions: OrderedDict[tuple[str, str, str], tuple[Any, float]] = OrderedDict()

    def observe(self, text: str, source: str, context: RequestContext) -> None:
        """Show the kernel what came into a conversation.

        Raises:
            StateUnavailable: it cannot be told; what is not known to it must not be read.
        """
        see = getattr(self.kernel, "observe", None)
        if see is None or context.conversation is None:
            return
        try:
            see(text, tenant=context.tenant, conversation=context.conversation, source=source)
        except LimitExceeded:
            # The kernel remembers that it does not know all: it denies what this conversation does from now on.
            return
        except StateUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it raises, what is not known to it is not read
            raise StateUnavailable(f"the kernel cannot be told what came in: {type(error).__name__}") from None

    async def ask(
        self,
        tool: str,
        args: Any,
        context: RequestContext,
        memory: Memory | None,
        request: Any,
        credential: Any,
        approval: str | None,
    ) -> Answer:
        """Have an action authorized, and its receipt made durable; the permit stays with the kernel until `fetch`.

        Whatever fails is a block. What was reserved for an answer that nobody waits for any more is given back.
        """
        ticket = _Ticket()
        try:
            answer: Answer = await self._threads.run(
                self._timeout, self._authorize, ticket, tool, args, context, memory, request, credential, approval
            )
        except TimeoutError:
            self.give_back(ticket.give_up())
            return _failed("timeout", "timeout")
        except Exception:  # noqa: BLE001 -- whatever the kernel raises, the action is not authorized
            self.give_back(ticket.give_up())
            return _failed("error")
        except BaseException:
            self.give_back(ticket.give_up())
            raise
        return answer

    async def fetch(self, auth: Any) -> tuple[str, Status] | None:
        """Have the permit of an allowed action handed out, once nothing else is to be decided.

        Returns:
            None when it is there, or needs none; else the reason and the status of the block: what was reserved is
            given back, unless the kernel handed the permit out all the same.
        """
        try:
            fetched = await self._threads.run(self._timeout, _fetched, auth)
        except TimeoutError:
            why: tuple[str, Status] = ("kernel.timeout", "timeout")
        except Exception:  # noqa: BLE001 -- whatever it raises, there is no permit
            why = ("kernel.not_durable", "error")
        except BaseException:
            self.give_back(auth)
            raise
        else:
            if fetched:
                return None
            # Revoked since it was authorized, or its reservation has ended.
            why = ("kernel.not_handed_out", "ok")
        self.give_back(auth)
        return why

    def _authorize(
        self,
        ticket: _Ticket,
        tool: str,
        args: Any,
        context: RequestContext,
        memory: Memory | None,
        request: Any,
        credential: Any,
        approval: str | None,
    ) -> Answer:
        made = request is None and self._makes
        if made:
            request, credential = self._request(tool, args, context)
        elif not _same(request, tool, args, context):
            return _failed("mismatch")
        waiting = None
        action = getattr(request, "action_hash", None)
        if approval is None and memory is not None and action is not None:
            waiting = memory.waiting.get(action)
            approval = None if waiting is None else waiting[0]
        auth = self.kernel.authorize(request, credential, approval)
        if made and auth.reason in _NO_SESSION:
            self._lost(context)
            request, credential = self._request(tool, args, context)
            auth = self.kernel.authorize(request, credential, approval)
        if not ticket.take(auth):
            self._cancel(auth)
        decision = _DECISIONS[auth.decision]
        if auth.reason == "approval_pending":
            # It is asked for already: the record that is open stays the one.
            decision = "escalate"
        decided = self._decided(auth, approval)
        if memory is not None and action is not None and (decided is not None or auth.reason in _OVER):
            memory.waiting.pop(action, None)
        reason = f"kernel.{auth.reason}"
        status: Status = "ok" if getattr(auth, "status", "ok") == "ok" else "error"
        receipt = None
        try:
            receipt = _recorded(auth)
        except SiftError:
            decision, reason, status = "block", "kernel.not_durable", "error"
            self._cancel(auth)
        rules = tuple(getattr(auth, "rule_ids", ()))
        message = getattr(auth, "message", None)
        expires = self._expires(auth) if decision == "escalate" else None
        return Answer(decision, reason, auth, receipt, rules, message, status, expires, action, waiting, decided)

    def _request(self, tool: str, args: Any, context: RequestContext) -> tuple[Any, Any]:
        from sift_fast.kernel import ActionRequest, sign_request, trusted_credential

        agent, key = self._keys.get(context.tenant, (self._settings.agent, None))
        session = self.session(context)
        request = ActionRequest(
            tenant=context.tenant,
            agent=agent,
            role=context.role,
            tool=tool,
            args=dict(args),
            session=None if session is None else session.id,
            conversation=context.conversation,
            model=context.model,
            model_version=context.model_version,
            trace_id=context.trace_id,
        )
        if session is not None:
            return request, session.mac(request)
        if key is not None:
            return sign_request(request, key)
        return request, trusted_credential(self.kernel.audience)

    def session(self, context: RequestContext) -> Any:
        """The open session of a conversation, opened where there is none; None where requests are not in sessions.

        It makes a credential in a microsecond, and is what a person's elevation widens.

        Raises:
            SiftError: the kernel opens none.
        """
        found = self._keys.get(context.tenant)
        if found is None or context.conversation is None or not self._settings.session_s:
            return None
        from sift_fast.kernel import SessionGrant, sign_grant

        place = (context.tenant, context.role, context.conversation)
        now = time.monotonic()
        with self._lock:
            session, until = self._sessions.get(place, (None, 0.0))
            if session is not None and now < until:
                self._sessions.move_to_end(place)
                return session
            agent, key = found
            seconds = self._settings.session_s
            grant = SessionGrant(
                tenant=context.tenant,
                agent=agent,
                roles=[context.role],
                tools=self._settings.session_tools or None,
                conversation=context.conversation,
                seconds=seconds,
            )
            session = self.kernel.open_session(sign_grant(grant, key))
            # Another one before the kernel thinks that it is over: a request lives for half a minute.
            self._sessions[place] = (session, now + max(1.0, seconds - _BEFORE_S))
            while len(self._sessions) > _SESSIONS:
                self._sessions.popitem(last=False)
            return session

    def _lost(self, context: RequestContext) -> None:
        """A kernel that was started anew knows no session."""
        if context.conversation is not None:
            with self._lock:
                self._sessions.pop((context.tenant, context.role, context.conversation), None)

    def _decided(self, auth: Any, approval: str | None) -> tuple[bool, str] | None:
        if approval is None:
            return None
        if auth.reason == "approval_rejected":
            return False, self._people(approval)
        return (True, self._people(approval)) if auth.decision == "allow" else None

    def _expires(self, auth: Any) -> int | None:
        approval = getattr(auth, "approval", None)
        found = None if approval is None else self._approval(approval)
        return None if found is None else int(found.expires_at)

    def _people(self, approval: str) -> str:
        found = self._approval(approval)
        people = [] if found is None else list(found.approvers)
        return ", ".join(people) or "approvers"

    def _approval(self, number: str) -> Any:
        """What stands in an approval; None also where this process may act and not look at approvals."""
        try:
            return self.kernel.approvals.get(number)
        except SiftError:
            return None

    def give_back(self, auth: Any) -> None:
        """Give back what was reserved for an action that will not be done, on a thread that nobody waits for."""
        if getattr(auth, "lease", None) is not None:
            self._threads.post(self._cancel, auth)

    async def given_back(self, auth: Any) -> None:
        """As `give_back`, and wait for it as long as for an answer."""
        if getattr(auth, "lease", None) is None:
            return
        try:
            await self._threads.run(self._timeout, self._cancel, auth)
        except (SiftError, TimeoutError):
            # All threads are busy, or the kernel does not answer: it is tried still.
            self.give_back(auth)

    def _cancel(self, auth: Any) -> None:
        lease = getattr(auth, "lease", None)
        if lease is None:
            return
        try:
            self.kernel.cancel(lease)
        except SiftError:
            # It expires, and then it is charged.
            return


class Reserved(Protocol):
    """An action that the kernel allowed, whose permit is still with it."""

    async def hand_over(self, verdict: Verdict) -> None:
        """Fetch the permit; where there is none any more, the verdict becomes a block."""

    def give_back(self) -> None:
        """Give the reservation back."""


class Held:
    """Actions that go on together or not at all, as the calls of one answer do.

    Their permits stay with the kernel until `release`: of what is stopped meanwhile nothing is charged.

    Example:
        >>> Held().give_back()
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Reserved, Verdict]] = []

    def add(self, job: Reserved, verdict: Verdict) -> None:
        """Take one that is allowed."""
        self._waiting.append((job, verdict))

    async def release(self) -> Verdict | None:
        """Fetch the permits: they go on.

        Returns:
            None; or the verdict of the first that does not go on after all, and the others that are left are given
            back. What was fetched before it cannot be, and is charged when it expires.
        """
        while self._waiting:
            job, verdict = self._waiting[0]
            await job.hand_over(verdict)
            del self._waiting[0]
            if not verdict.allowed:
                self.give_back()
                return verdict
        return None

    def give_back(self) -> None:
        """None of those that are left goes on; again: nothing."""
        while self._waiting:
            job, verdict = self._waiting.pop()
            verdict.authorization = None
            job.give_back()


def remember(memory: Memory | None, answer: Answer, record: str | None) -> None:
    """Keep that a conversation waits for an approval, so that the same action asks for no second one."""
    approval = getattr(answer.authorization, "approval", None)
    if memory is None or answer.action is None or approval is None:
        return
    with memory.lock:
        memory.waiting[answer.action] = (approval, record)
        while len(memory.waiting) > _WAITING:
            memory.waiting.pop(next(iter(memory.waiting)))


def _recorded(auth: Any) -> str | None:
    """Wait for the receipt alone: the permit is fetched when the guard has nothing else to look at."""
    wait = getattr(auth, "recorded_sync", None)
    if wait is None:
        return None
    # A permit that is there already does not wait for its receipt: the risk tier says so.
    if auth.permit is None and wait() is None:
        return None
    return str(auth.request_id)


def _fetched(auth: Any) -> bool:
    """Fetch the permit; whether there is one now, or the kernel hands out none at all."""
    wait = getattr(auth, "durable_sync", None)
    if wait is None:
        return True
    if auth.permit is None:
        wait()
    return auth.permit is not None


def _failed(why: str, status: Status = "error") -> Answer:
    return Answer("block", f"kernel.{why}", None, None, (), None, status, None, None, None, None)


def _same(request: Any, tool: str, args: Any, context: RequestContext) -> bool:
    """Whether a request is about what was checked: another one would be authorized in its place."""
    from sift_fast.kernel import same_arguments

    return (
        request is not None
        and request.tool == tool
        and isinstance(args, Mapping)
        and same_arguments(request.args, args)
        and (request.tenant, request.role, request.conversation) == (context.tenant, context.role, context.conversation)
    )


def _keys(kernel: Any, config: GuardConfig, settings: KernelConfig) -> dict[str, tuple[str, Any]]:
    from sift_fast.kernel import SigningKey

    out: dict[str, tuple[str, Any]] = {}
    for tenant, entry in settings.keys.items():
        if not entry.agent:
            raise ConfigError(f"kernel: key of `{tenant}`: `agent` is missing")
        out[tenant] = (entry.agent, SigningKey.load(config.path(entry.file), entry.id, kernel.audience))
    return out
