"""The action kernel: every side effect of an agent is signed off before it happens.

`Kernel.open(folder)` reads `kernel.toml`, `keys.toml`, `budgets.toml`, `tools.toml` and `policy/*.cedar`. An agent
makes an `ActionRequest`, signs it (`sign_request`, or `Session.mac` inside a session), and asks `authorize`. The answer
is a value: allow, escalate or deny, with a reason. The permit of an `allow` is there once its receipt is on disk.

A kernel is in this process, or with `mode = "socket"` in one of its own user (`sift-fast serve --kernel`), where agents
that run code cannot reach its keys. The class is the same.

`docs/kernel.md` shows it whole, `docs/threat-model.md` says what it stops and what it cannot.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeAlias, TypeVar, final

from sift_fast import _core
from sift_fast._core import (
    ActionRequest,
    Approval,
    ApprovalSignature,
    Authorization,
    Credential,
    Permit,
    PermitRegister,
    Session,
    SignedElevation,
    SignedGrant,
    SigningKey,
    sign_elevation,
    sign_request,
    trusted_credential,
)
from sift_fast.errors import ActionDenied, ConfigError, SiftError, StateUnavailable
from sift_fast.receipts import Keys, Receipt
from sift_fast.types import Value

if TYPE_CHECKING:
    import asyncio
    import inspect

    from sift_fast.scanner import Scanner

__all__ = [
    "ActionRequest",
    "Approval",
    "ApprovalSignature",
    "Authorization",
    "Credential",
    "HeldPermit",
    "Kernel",
    "LeaseOutcome",
    "Permit",
    "PermitRegister",
    "Session",
    "SessionGrant",
    "SignedElevation",
    "SignedGrant",
    "SigningKey",
    "Undone",
    "serve",
    "sign_elevation",
    "sign_grant",
    "sign_request",
    "trusted_credential",
    "verify_permit",
]

LeaseState: TypeAlias = Literal["settled", "cancelled", "unknown", "expired"]
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_Sign: TypeAlias = Callable[[str, dict[str, Any]], tuple[ActionRequest, Credential]]


@final
class SessionGrant(Value):
    """What one session may do: never more than the key that signs it.

    Args:
        tenant: for whom.
        agent: which agent.
        roles: roles it may act in, at least one.
        tools: tools it may call; None for all that the policy allows.
        conversation: the conversation it is for; None for any.
        seconds: how long it holds, from its signing.
        session: its name; None makes one.

    Example:
        >>> SessionGrant(tenant="acme", agent="bot", roles=["support"], tools=["refund"]).tools
        ('refund',)
    """

    __slots__ = ("tenant", "agent", "roles", "tools", "conversation", "seconds", "session")  # noqa: RUF023 -- `repr`

    tenant: str
    agent: str
    roles: tuple[str, ...]
    tools: tuple[str, ...] | None
    conversation: str | None
    seconds: int
    session: str | None

    def __init__(
        self,
        *,
        tenant: str,
        agent: str,
        roles: Iterable[str],
        tools: Iterable[str] | None = None,
        conversation: str | None = None,
        seconds: int = 3_600,
        session: str | None = None,
    ) -> None:
        object.__setattr__(self, "tenant", tenant)
        object.__setattr__(self, "agent", agent)
        object.__setattr__(self, "roles", tuple(sorted(set(roles))))
        object.__setattr__(self, "tools", None if tools is None else tuple(sorted(set(tools))))
        object.__setattr__(self, "conversation", conversation)
        object.__setattr__(self, "seconds", seconds)
        object.__setattr__(self, "session", session)


def sign_grant(grant: SessionGrant, key: SigningKey) -> SignedGrant:
    """Sign a session grant with an agent's key.

    Args:
        grant: what the session may do.
        key: the agent's key; it says for which kernel.

    Raises:
        ConfigError: a name that is none, no role, no time.
    """
    return _core.sign_grant(
        key,
        grant.session or "",
        grant.tenant,
        grant.agent,
        set(grant.roles),
        None if grant.tools is None else set(grant.tools),
        grant.conversation,
        grant.seconds,
    )


@final
class LeaseOutcome(Value):
    """How a lease ended.

    Args:
        state: `settled`, `cancelled` (nothing was charged), `unknown` or `expired` (all was charged).
        charged: amounts by budget and unit, in the unit's smallest part.
        overrun: it cost more than was reserved.
        barred: it cost more than `overrun` of a limit charges for one action, so the agent gets nothing more out of
            that limit until its window ends, or `kernel.reinstate(tenant=..., agent=...)`.
    """

    __slots__ = ("state", "charged", "overrun", "barred")  # noqa: RUF023 -- the order of `repr`

    state: LeaseState
    charged: Mapping[tuple[str, str], int]
    overrun: bool
    barred: bool

    def __init__(
        self, state: LeaseState, charged: Mapping[tuple[str, str], int], overrun: bool, barred: bool = False
    ) -> None:
        object.__setattr__(self, "state", state)
        object.__setattr__(self, "charged", charged)
        object.__setattr__(self, "overrun", overrun)
        object.__setattr__(self, "barred", barred)

    __hash__ = None  # type: ignore[assignment]  # it holds a mapping


@final
class Undone(Value):
    """One step of a rollback.

    Args:
        request_id: the action that was to be undone.
        tool: the tool that undoes it.
        denied: why it may not be; None when it was done.
    """

    __slots__ = ("request_id", "tool", "denied")  # noqa: RUF023 -- the order of `repr`

    request_id: str
    tool: str
    denied: str | None

    def __init__(self, request_id: str, tool: str, denied: str | None) -> None:
        object.__setattr__(self, "request_id", request_id)
        object.__setattr__(self, "tool", tool)
        object.__setattr__(self, "denied", denied)


def _outcome(ended: tuple[Any, list[tuple[str, str, int]], bool, bool]) -> LeaseOutcome:
    state, charged, overrun, barred = ended
    return LeaseOutcome(state, {(budget, unit): amount for budget, unit, amount in charged}, overrun, barred)


#: What was used in this process, for tools that do not bring a register.
_register: PermitRegister = PermitRegister()


def verify_permit(
    permit: bytes,
    request: ActionRequest,
    keys: Keys,
    *,
    audience: str | None = None,
    register: PermitRegister | None = None,
) -> Permit:
    """Check, inside a tool, that a kernel allowed exactly this call, and that it is the first with this permit.

    Args:
        permit: as `auth.permit` gave it.
        request: what the tool is about to do: tenant, agent, role, tool, arguments and so on as they were authorized.
        keys: public keys; the kernel's receipt key is among them. It must be good now: a permit of a key that is
            revoked, over or retired (`to_size`) is refused, whenever it says it was given.
        audience: the kernel that must have given it, as `kernel.audience`; None takes any whose key is known, so name
            it where `keys` holds those of several kernels.
        register: where used permits are remembered; None takes the memory of this one process, which refuses permits
            from before it began. A tool that is started for each call, is restarted, or is served by several
            processes needs one in a file. A forked child makes its own.

    Returns:
        What the permit says.

    Raises:
        InvalidSignature: it was not signed by a kernel that the keys know.
        InvalidReceipt: it is none, is of another kernel or for another action, has expired, or was used.
        StateUnavailable: its use cannot be noted.
    """
    return _core.verify_permit(permit, request, keys, _register if register is None else register, audience)


class HeldPermit(bytes):
    """A permit inside `kernel.action`: the bytes for `verify_permit`, and what belongs to them.

    Attributes:
        authorization: the answer of the kernel.
        receipt: the receipt; None where the risk tier does not wait for it.
        actual: what the action cost, by unit, for the settlement at the end; units that are not named cost what was
            reserved.
        result: what the tool returned, as JSON, where its undoing needs that.
    """

    authorization: Authorization
    receipt: Receipt | None
    actual: dict[str, int]
    result: Any


@final
class Action:
    """One action, from its authorization to its settlement. Made by `Kernel.action`."""

    __slots__ = ("_approval", "_credential", "_held", "_kernel", "_request")

    def __init__(self, kernel: Kernel, request: ActionRequest, credential: Credential, approval: str | None) -> None:
        self._kernel = kernel
        self._request = request
        self._credential = credential
        self._approval = approval
        self._held: HeldPermit | None = None

    @property
    def request(self) -> ActionRequest:
        """What is to be done, as it was signed."""
        return self._request

    def _once(self) -> None:
        if self._held is not None:
            raise ConfigError("an action is entered once: sign the next request")

    def _hold(self, auth: Authorization) -> HeldPermit:
        permit = auth.permit
        if permit is None:
            raise StateUnavailable(
                "the kernel handed out no permit: the action was cancelled, or its agent revoked, since it was allowed"
            )
        held = HeldPermit(permit)
        held.authorization = auth
        held.receipt = auth.receipt
        held.actual = {}
        held.result = None
        self._held = held
        return held

    def _end(self, failed: bool) -> None:
        held = self._held
        if held is None or held.authorization.lease is None:
            return
        if failed:
            # The side effect may have happened before the exception: what was reserved is charged.
            self._kernel.abandon(held.authorization.lease)
        else:
            self._kernel.settle(held.authorization.lease, held.actual, held.result)

    def __enter__(self) -> HeldPermit:
        self._once()
        auth = _allowed(self._kernel.authorize(self._request, self._credential, self._approval))
        auth.durable_sync()
        return self._hold(auth)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(kind is not None)

    async def __aenter__(self) -> HeldPermit:
        import asyncio

        self._once()
        auth = _allowed(await self._kernel.authorize_async(self._request, self._credential, self._approval))
        try:
            await auth.durable()
        except asyncio.CancelledError:
            # Nobody enters. Shielded, since a task may be cancelled again while it ends.
            await asyncio.shield(asyncio.to_thread(self._kernel._give_back, auth))
            raise
        except GeneratorExit:
            # The coroutine was dropped, and nothing can be awaited any more.
            self._kernel._give_back(auth)
            raise
        return self._hold(auth)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import asyncio

        if kind is GeneratorExit:
            # The coroutine was dropped, and nothing can be awaited any more.
            self._end(True)
        else:
            await asyncio.to_thread(self._end, kind is not None)


def _allowed(auth: Authorization) -> Authorization:
    if auth.allowed:
        return auth
    error = ActionDenied(f"the action is not allowed: {auth.reason}")
    error.authorization = auth
    raise error


@final
class Approvals:
    """What waits for people. `kernel.approvals`."""

    __slots__ = ("_kernel",)

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def pending(self) -> list[Approval]:
        """Approvals that wait, the oldest first.

        Raises:
            StateUnavailable: the store cannot be read.
        """
        return self._kernel._pending()

    def get(self, id: str) -> Approval | None:  # noqa: A002 -- the word of the design
        """One approval, wherever it stands.

        Raises:
            StateUnavailable: the store cannot be read.
        """
        return self._kernel._approval(id)

    def approve(self, id: str, signature: ApprovalSignature) -> str:  # noqa: A002 -- as above
        """Take an approver's signature, as `approval.sign(key)` makes it.

        Returns:
            Where the approval stands: `pending` while signatures are missing, or `approved`.

        Raises:
            ConfigError: the approval does not wait any more, or the signature says no.
            InvalidSignature: the key may not sign this, has signed, or the signature does not verify.
            StateUnavailable: it cannot be made durable.
        """
        return self._sign(id, signature, "approve")

    def reject(self, id: str, signature: ApprovalSignature) -> str:  # noqa: A002 -- as above
        """Take an approver's no, as `approval.sign(key, reject=True)` makes it. One is enough.

        Raises:
            ConfigError: the approval does not wait any more, or the signature says yes.
            InvalidSignature: as for `approve`.
            StateUnavailable: as for `approve`.
        """
        return self._sign(id, signature, "reject")

    def _sign(self, approval: str, signature: ApprovalSignature, verdict: str) -> str:
        if signature.verdict != verdict:
            raise ConfigError(f"the signature says `{signature.verdict}`: sign again to {verdict}")
        return self._kernel._sign_approval(approval, signature)


class Kernel(_core._Kernel):
    """Signs off actions. Opened with `Kernel.open`; one process works with a folder.

    Threads may share it. A forked child gets denials with `status == "error"`, and `StateUnavailable` elsewhere. So
    does everybody while the process behind a socket cannot be reached. What was under way when it went away may have
    been done, and is not tried again.

    Example:
        ```python
        kernel = sf.Kernel.open("governance")
        request = sf.ActionRequest(
            tenant="acme", agent="support-bot", role="support", tool="refund", args={"cents": 500}
        )
        request, credential = sf.sign_request(request, key)
        async with kernel.action(request, credential) as permit:
            await refund(permit, request)
        ```
    """

    __slots__ = ()

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, scanner: Scanner | None = None) -> Self:
        """Open the kernel of a folder, or connect to it where `kernel.toml` says `mode = "socket"`.

        Args:
            folder: with `kernel.toml`, `keys.toml`, `budgets.toml`, `tools.toml`, `policy/*.cedar` and private keys. To
                connect, `kernel.toml` is enough.
            scanner: looks into arguments of tools with `scan_args`; None takes a `Scanner()` of the default rules.

        Raises:
            ConfigError: a file is missing or wrong, a tool charges what no limit caps, or another process works with
                the folder (the message names it); a scanner for a kernel that has its own; as for `connect`.
            PolicyError: policies or manifest are wrong.
            StateUnavailable: the state is damaged, or the clock went back; as for `connect`.
        """
        settings = os.path.join(os.fspath(folder), "kernel.toml")
        try:
            os.lstat(settings)
        except FileNotFoundError:
            raise ConfigError(f"`{settings}` is not there: make the folder with `sift-fast init`") from None
        except OSError:
            # Such as a folder that may not be entered: said where it is read.
            pass
        socket = _core.kernel_socket(folder)
        if socket is not None:
            if scanner is not None:
                raise ConfigError("a kernel behind a socket scans by itself: leave `scanner` out")
            return cls.connect(socket)
        return cls(folder, scanner or _scanner())

    @classmethod
    def connect(cls, path: str | os.PathLike[str], *, timeout: float = 5.0, connections: int = 16) -> Self:
        """Connect to the kernel that `sift-fast serve --kernel` serves on a Unix socket.

        Args:
            path: the socket.
            timeout: how long a call may take, seconds; waiting for a receipt takes the kernel's `log.wait_ms` more.
            connections: most calls under way at once; more threads wait.

        Raises:
            ConfigError: the user of this process may not connect, or others could put another socket in the place of
                this one.
            StateUnavailable: nobody answers there, or somebody else than its owner.

        Example:
            ```python
            kernel = sf.Kernel.connect("/run/sift-fast/kernel.sock")
            ```
        """
        return cls(path, None, (connections, timeout))

    def authorize(self, request: ActionRequest, credential: Credential, approval: str | None = None) -> Authorization:
        """Decide about an action, in microseconds; now and then a block of budget is drawn from the disk.

        Args:
            request: what is to be done.
            credential: who asks, from `sign_request` or `Session.mac`.
            approval: id of an approval that is to be used.

        Returns:
            The answer. Whatever fails is a denial with `status == "error"`. The permit is there after
            `await auth.durable()`.

        Raises:
            ConfigError: request and credential do not belong together.
        """
        return self._authorize(request, credential, approval)

    async def authorize_async(
        self, request: ActionRequest, credential: Credential, approval: str | None = None
    ) -> Authorization:
        """As `authorize`, in a thread: the disk, or the kernel's process, keeps no event loop waiting.

        That costs tens of microseconds more than `authorize`. Of a task that is cancelled meanwhile, what was reserved
        is given back.
        """
        import asyncio

        asked = asyncio.ensure_future(asyncio.to_thread(self._authorize, request, credential, approval))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(self._unheard)
            raise

    def _unheard(self, asked: asyncio.Future[Authorization]) -> None:
        """Nobody gets this answer, so no permit of it is handed out."""
        if not asked.cancelled() and asked.exception() is None:
            self._give_back(asked.result())

    def _give_back(self, auth: Authorization) -> None:
        """Give back what was reserved for an action that nobody is going to begin; else it is charged in time."""
        import contextlib

        if auth.lease is not None:
            with contextlib.suppress(SiftError):
                self.cancel(auth.lease)

    def action(self, request: ActionRequest, credential: Credential, approval: str | None = None) -> Action:
        """A context, synchronous or not, that is entered only with a durable permit, and settles at its end.

        An exception inside it, a cancellation included, charges what was reserved: the side effect may have happened.
        A task that is cancelled while it enters does not, and what was reserved is given back, or charged where the
        permit had already come through a socket.

        Args:
            request: as for `authorize`.
            credential: as for `authorize`.
            approval: as for `authorize`.

        Raises:
            ActionDenied: on entering, when it is denied or needs an approval; `authorization` is the answer.
            StateUnavailable: on entering, when the receipt cannot be made durable.
        """
        return Action(self, request, credential, approval)

    def tool(
        self, name: str, *, sign: _Sign
    ) -> Callable[[Callable[_Arguments, _Result]], Callable[_Arguments, _Result]]:
        """Decorate a tool function, so that every call is authorized first and settled afterwards.

        The function gets what was signed: of its parameters, those that the arguments of the request name, as JSON and
        as they were when `sign` returned. What `sign` leaves out, such as a connection, is passed on as it came and was
        not authorized. What it signs beyond the call belongs to none: use `action` where an argument is no parameter.

        Args:
            name: the tool, as the manifest has it.
            sign: makes request and credential from the tool's name and the call's arguments by name.

        Returns:
            A decorator for functions and coroutine functions. The call raises what `action` raises; `ConfigError`,
            before anything is asked, when `sign` signed another tool or an argument that is no parameter; and
            `ConfigError`, with everything charged, when the function returns before it is done: an awaitable or a
            generator.

        Raises:
            ConfigError: the function is a generator, which runs after its call has returned.
        """

        def decorate(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
            import functools
            import inspect

            signature = inspect.signature(function)
            body = _body(function)
            if inspect.isgeneratorfunction(body) or inspect.isasyncgenfunction(body):
                raise ConfigError(
                    f"the tool `{name}` is a generator, so it would run after it was settled: return a list"
                )

            def prepare(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Action, inspect.BoundArguments]:
                bound = signature.bind(*args, **kwargs)
                bound.apply_defaults()
                request, credential = _signed(name, sign(name, dict(bound.arguments)))
                _take_signed(name, bound, request.args)
                return self.action(request, credential), bound

            if inspect.iscoroutinefunction(body):

                @functools.wraps(function)
                async def call_async(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Any:
                    action, bound = prepare(args, kwargs)
                    async with action:
                        return _done(name, await function(*bound.args, **bound.kwargs))  # type: ignore[misc]

                return call_async  # type: ignore[return-value]

            @functools.wraps(function)
            def call(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
                action, bound = prepare(args, kwargs)
                with action:
                    return _done(name, function(*bound.args, **bound.kwargs))

            return call

        return decorate

    def settle(self, lease: str, actual: Mapping[str, int] | None = None, result: Any = None) -> LeaseOutcome:
        """The action happened.

        Args:
            lease: of the authorization.
            actual: what it cost by unit, in the unit's smallest part; a unit that is not named cost what was reserved.
            result: what the tool returned, as JSON, where the manifest takes arguments for its undoing from that.

        Raises:
            LeaseConflict: it ended otherwise before, or is not known any more.
            ConfigError: `actual` names a unit that was not reserved, a negative amount, or one above 2^53 - 1, which no
                receipt can say. Nothing was charged; the lease can still be ended.
            StateUnavailable: an overrun cannot be made durable.
        """
        return _outcome(self._settle(lease, dict(actual or {}), result))

    async def settle_async(
        self, lease: str, actual: Mapping[str, int] | None = None, result: Any = None
    ) -> LeaseOutcome:
        """As `settle`, in a thread."""
        import asyncio

        return await asyncio.to_thread(self.settle, lease, actual, result)

    def cancel(self, lease: str) -> LeaseOutcome:
        """The action did not happen: the reservation is given back, and the permit is never handed out.

        Once the permit was handed out the action may happen all the same: then the reservation is charged.

        Raises:
            LeaseConflict: as for `settle`.
        """
        return _outcome(self._cancel(lease))

    async def cancel_async(self, lease: str) -> LeaseOutcome:
        """As `cancel`, in a thread."""
        import asyncio

        return await asyncio.to_thread(self.cancel, lease)

    def abandon(self, lease: str) -> LeaseOutcome:
        """The action was broken off and may have happened: the reservation is charged.

        Raises:
            LeaseConflict: as for `settle`.
        """
        return _outcome(self._abandon(lease))

    def rollback(
        self,
        trace_id: str,
        *,
        sign: _Sign,
        run: Callable[[str, dict[str, Any], HeldPermit], object],
        tenant: str | None = None,
        agent: str | None = None,
    ) -> list[Undone]:
        """Undo the actions of a trace, the last one first, each authorized and recorded like any other.

        What the manifest names no `undo` for, and what the arguments of that could not be made for, is not undone.
        An action that may have happened is undone too, so undoing tools must be able to find nothing to do.

        Args:
            trace_id: as the requests had it.
            sign: makes request and credential from a tool's name and its arguments.
            run: does it: tool, arguments, permit. What it raises ends the rollback; that action is not tried again.
            tenant: whose actions; needed where several tenants used the trace.
            agent: the same for agents of one tenant.

        Returns:
            What was undone, and what was denied: that can be tried again.

        Raises:
            ConfigError: `sign` signed another tool, or other arguments.
            StateUnavailable: the store or the ledger failed. As after anything that `sign` raises, an action that
                `run` did not begin with can be tried again.
        """
        undone = []
        for request_id, tool, args in self._undos(trace_id, tenant, agent):
            # Taken first: of two that roll back at once, one runs it.
            if not self._take_undo(trace_id, request_id, tenant, agent):
                continue
            begun = False
            try:
                request, credential = _signed(tool, sign(tool, dict(args)))
                if not same_arguments(request.args, args):
                    raise ConfigError(f"`sign` signed other arguments than those that undo it by `{tool}`")
                with self.action(request, credential) as permit:
                    begun = True
                    run(tool, args, permit)
            except BaseException as error:
                # Once begun it may be done, whatever was raised; before that nothing was.
                if begun:
                    raise
                self._return_undo(trace_id, request_id, tenant, agent)
                if not isinstance(error, ActionDenied):
                    raise
                undone.append(Undone(request_id, tool, error.authorization.reason))
            else:
                undone.append(Undone(request_id, tool, None))
        return undone

    def shadow_counters(self) -> dict[str, dict[str, int]]:
        """What policies with `@shadow` did since they were loaded.

        Returns:
            By the `@id` of the policy, numbers of requests: `evaluated`, those it was a candidate for; `satisfied`,
            those it matched; `errors`, those it could not be evaluated for; `would_change`, those whose decision it
            would have changed. Receipts of the last ones name it under `details`.

        Raises:
            StateUnavailable: the kernel cannot be reached.

        Example:
            ```python
            kernel.shadow_counters()["refund.trial"]["would_change"]
            ```
        """
        names = ("evaluated", "satisfied", "errors", "would_change")
        return {rule: dict(zip(names, counts, strict=True)) for rule, *counts in self._shadow()}

    @property
    def approvals(self) -> Approvals:
        """What waits for people."""
        return Approvals(self)

    def revoke(
        self,
        *,
        tenant: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        key: str | None = None,
    ) -> None:
        """Refuse everything of a tenant, an agent, a session or a key, from the next request on.

        Args:
            tenant: this tenant; with `agent`, that agent of it alone.
            agent: this agent, of every tenant unless `tenant` says of which.
            session: this session of `agent` of `tenant`, which must both be named: others may use its name too.
            key: the key of this id, an agent's or an approver's.

        Raises:
            ConfigError: not exactly one thing is named.
            StateUnavailable: it holds in this process and cannot be made durable.
        """
        self._revoke(*_subject(tenant, agent, session, key), back=False)

    def reinstate(
        self,
        *,
        tenant: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        key: str | None = None,
    ) -> None:
        """Take a revocation back; arguments as it was made with.

        An agent is let at the limits again that it was barred from by what it settled.

        Raises:
            ConfigError: not exactly one thing is named.
            StateUnavailable: it cannot be made durable; the revocation stays.
        """
        self._revoke(*_subject(tenant, agent, session, key), back=True)

    def receipt(self, auth: Authorization) -> Receipt:
        """The receipt of an answer with the proof that it is in the ledger now.

        Raises:
            ConfigError: there is no receipt yet: await `auth.durable()`. Denials of callers who did not prove who
                they are have none.
            StateUnavailable: the ledger cannot be read.
        """
        found = auth._receipt
        if found is None:
            raise ConfigError("there is no receipt: await `auth.durable()` first")
        envelope, index = found
        return Receipt(envelope, None if index is None else self._proof(index))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _body(function: Callable[..., object]) -> Callable[..., object]:
    """What runs when something is called: of an object with `__call__` that, of a partial what it is of."""
    import functools
    import inspect

    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    return type(function).__call__


def _signed(tool: str, signed: tuple[ActionRequest, Credential]) -> tuple[ActionRequest, Credential]:
    """What somebody signed to call a tool.

    Raises:
        ConfigError: it is for another tool, so that one would be authorized and the other one done.
    """
    request, _ = signed
    if request.tool != tool:
        raise ConfigError(f"`sign` signed a request for another tool: it must be for `{tool}`")
    return signed


def _take_signed(tool: str, bound: inspect.BoundArguments, signed: dict[str, Any]) -> None:
    """Puts the arguments of a request in the place of those of a call.

    Raises:
        ConfigError: one of the request is none of the call, so that something else would be done than was signed.
    """
    left = dict(signed)
    for name, parameter in bound.signature.parameters.items():
        if name in left:
            bound.arguments[name] = left.pop(name)
        elif parameter.kind is parameter.VAR_KEYWORD:
            bound.arguments[name] = {**bound.arguments[name], **left}
            left.clear()
    if left:
        raise ConfigError(
            f"`sign` signed {len(left)} arguments for `{tool}` that its function does not take: name them as the "
            "function does, or use `kernel.action`"
        )


def same_arguments(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether arguments are the same JSON: to Python `True == 1 == 1.0`, and JSON has three values for that."""
    import json

    return json.dumps(dict(one), sort_keys=True) == json.dumps(dict(other), sort_keys=True)


def _done(tool: str, result: _Result) -> _Result:
    """What a tool returned, unless its work is still to come.

    Raises:
        ConfigError: it is an awaitable or a generator.
    """
    import inspect

    if not (inspect.isawaitable(result) or inspect.isgenerator(result) or inspect.isasyncgen(result)):
        return result
    if inspect.iscoroutine(result) or inspect.isgenerator(result):
        result.close()
    raise ConfigError(
        f"the tool `{tool}` returned before it was done: write it as a coroutine function, or return a list"
    )


def _scanner() -> Scanner:
    from sift_fast.scanner import Scanner

    return Scanner()


def serve(folder: str | os.PathLike[str], *, socket: str | os.PathLike[str] | None = None) -> _core.KernelServer:
    """Open the kernel of a folder in this process, and let others reach it; for `sift-fast serve --kernel`.

    Args:
        folder: as for `Kernel.open`, with `mode = "socket"` in its settings.
        socket: the path of the socket; None takes `socket.path` of the settings.

    Returns:
        What stops it.

    Raises:
        ConfigError: as for `Kernel.open`; another mode; peers that are not known; a place for the socket that others
            can change, or that another process serves (the message names it).
        PolicyError: as for `Kernel.open`.
        StateUnavailable: as for `Kernel.open`.
    """
    return _core.KernelServer(folder, _scanner(), socket)


def _subject(tenant: str | None, agent: str | None, session: str | None, key: str | None) -> tuple[str, str, str, str]:
    """Kind, name, tenant and agent of what is revoked."""
    match tenant, agent, session, key:
        case str(), None, None, None:
            return "tenant", tenant, "", ""
        case ((str() | None), str(), None, None):
            return "agent", agent, tenant or "", ""
        case str(), str(), str(), None:
            return "session", session, tenant, agent
        case None, None, None, str():
            return "key", key, "", ""
    raise ConfigError(
        "name one of `tenant`, `agent` (with or without `tenant`), `session` (with its `tenant` and `agent`) and `key`"
    )


def _receipt(auth: Authorization) -> Receipt | None:
    """What `auth.receipt` gives: the envelope alone; `kernel.receipt(auth)` adds the proof."""
    found = auth._receipt
    return None if found is None else Receipt(found[0])


async def _durable(auth: Authorization) -> Receipt | None:
    """What `auth.durable()` gives."""
    from sift_fast._waits import until_durable

    await until_durable(auth)
    auth._wait()
    return auth.receipt
