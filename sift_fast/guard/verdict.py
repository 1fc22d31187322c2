"""What goes into the guard and what comes out: the context of a request, signals of guardrails, and verdicts.

None of them shows text in `repr`: they may be logged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias, final

from sift_fast.errors import ConfigError, GuardBlocked
from sift_fast.types import Value

if TYPE_CHECKING:
    from sift_fast._core import Finding

__all__ = [
    "FAILED",
    "RANK",
    "REMOVED",
    "STAGES",
    "Classifier",
    "Decision",
    "Document",
    "Edit",
    "Guardrail",
    "Opinion",
    "RequestContext",
    "Result",
    "Signal",
    "Stage",
    "Status",
    "Verdict",
    "is_id",
    "stricter",
]

Decision: TypeAlias = Literal["allow", "flag", "redact", "escalate", "block"]
Status: TypeAlias = Literal["ok", "error", "timeout", "skipped"]
Stage: TypeAlias = Literal["input", "retrieval", "tool_input", "tool_output", "output"]

STAGES: tuple[Stage, ...] = ("input", "retrieval", "tool_input", "tool_output", "output")
#: Most characters of a name of who asks: they are kept, and written down.
_MOST_NAME = 512
#: Ids of traces and requests and names of models, as W3C, AWS, UUIDs and model servers write them: no mail address and
#: no sentence. They stand in events and records as they are.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:;=/+-]{0,127}")
#: Stands for a turn that did not go on.
REMOVED = "<REMOVED>"
#: Decisions merge by maximum.
RANK: dict[str, int] = {"allow": 0, "flag": 1, "redact": 2, "escalate": 3, "block": 4}
_STATUS_RANK: dict[str, int] = {"ok": 0, "skipped": 1, "timeout": 2, "error": 3}


#: Statuses of a check that could not do its work.
FAILED: frozenset[str] = frozenset({"timeout", "error"})


def is_id(name: str) -> bool:
    """Whether a name is one that may be written down: up to 128 letters, digits and `._:;=/+-`.

    Example:
        >>> is_id("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), is_id("ann@acme.example")
        (True, False)
    """
    return _ID.fullmatch(name) is not None


def stricter(one: Decision, other: Decision) -> Decision:
    """The stricter of two decisions."""
    return one if RANK[one] >= RANK[other] else other


def worse(one: Status, other: Status) -> Status:
    """The worse of two statuses."""
    return one if _STATUS_RANK[one] >= _STATUS_RANK[other] else other


@final
class RequestContext(Value):
    """Who asks, and in which conversation. Said by the service, never by the model or the user.

    Args:
        tenant: whose data and rules apply.
        role: what the caller may do.
        user: who asks.
        conversation: joins the turns of one conversation; without it nothing is remembered between calls, and
            personal data that was taken out is not put back.
        trace_id: joins events with those of other systems; stands in them as it is.
        model: the model that is asked; events say `other` where it is no name of one.
        model_version: its version.
        state: the conversation's state, for tools that are allowed in some states only.

    Raises:
        ConfigError: `tenant` or `conversation` is empty, something is no `str` or longer than 512 characters, or
            `trace_id` is no id: up to 128 letters, digits and `._:;=/+-`.

    Example:
        >>> RequestContext(tenant="acme", role="support", conversation="c1")
        RequestContext(tenant='acme', role='support')
    """

    __slots__ = ("tenant", "role", "user", "conversation", "trace_id", "model", "model_version", "state")  # noqa: RUF023 -- order of arguments

    tenant: str
    role: str
    user: str | None
    conversation: str | None
    trace_id: str | None
    model: str | None
    model_version: str | None
    state: str

    def __init__(
        self,
        tenant: str = "default",
        role: str = "user",
        user: str | None = None,
        conversation: str | None = None,
        trace_id: str | None = None,
        model: str | None = None,
        model_version: str | None = None,
        state: str = "default",
    ) -> None:
        given: tuple[tuple[str, Any], ...] = (
            ("tenant", tenant), ("role", role), ("state", state),
            ("user", user), ("conversation", conversation), ("trace_id", trace_id),
            ("model", model), ("model_version", model_version),
        )  # fmt: skip
        for number, (name, value) in enumerate(given):
            # The first three are always there.
            if not isinstance(value, str) and (number < 3 or value is not None):
                raise ConfigError(f"`{name}` of a request must be a str")
            if value is not None and len(value) > _MOST_NAME:
                raise ConfigError(f"`{name}` of a request has more than {_MOST_NAME} characters")
        if not tenant:
            raise ConfigError("`tenant` of a request must not be empty")
        if conversation == "":
            # It would be one conversation of everybody who has none.
            raise ConfigError("`conversation` of a request must not be empty; without one it is None")
        if trace_id and not is_id(trace_id):
            raise ConfigError("`trace_id` of a request must be up to 128 letters, digits and `._:;=/+-`")
        put = object.__setattr__
        put(self, "tenant", tenant)
        put(self, "role", role)
        # Whoever says "" means that there is none: it is no user that all of them are.
        put(self, "user", user or None)
        put(self, "conversation", conversation)
        put(self, "trace_id", trace_id or None)
        put(self, "model", model)
        put(self, "model_version", model_version)
        put(self, "state", state)

    def with_conversation(self, conversation: str) -> RequestContext:
        """The same in another conversation."""
        given = {name: getattr(self, name) for name in self.__slots__}
        return RequestContext(**{**given, "conversation": conversation})

    def __repr__(self) -> str:
        # User and conversation may be personal data; where this is logged they are not needed.
        return f"RequestContext(tenant={self.tenant!r}, role={self.role!r})"


class Edit(NamedTuple):
    """A span of a text that must not go on, and what takes its place."""

    start: int
    end: int
    replacement: str


class Signal(NamedTuple):
    """What one guardrail says about one text. The guard turns it into a decision by the guardrail's settings.

    Args:
        reason: stable code, `injection.rule`.
        score: how sure, 0 to 1.
        edits: spans it would remove.
        rules: ids of the rules behind it.
        message: what may be shown to a user; None for the configured one.
        decision: a decision that does not depend on the score; None to take the configured one.
        rescrub: personal data and secrets are to be taken out by the scanner.
        status: how the check itself went.
    """

    reason: str
    score: float = 1.0
    edits: tuple[Edit, ...] = ()
    rules: tuple[str, ...] = ()
    message: str | None = None
    decision: Decision | None = None
    rescrub: bool = False
    status: Status = "ok"


class Opinion(NamedTuple):
    """What a guardrail of yours answers: how sure it is that the text is bad, and a stable code why."""

    score: float
    reason: str = "custom"


class Guardrail(Protocol):
    """A check of your own. It can make a verdict stricter, never looser.

    `check` gets the text and the stage and nothing else; it may be a coroutine function. It answers with a score
    from 0 to 1 or an `Opinion`; anything else, an exception or a late answer counts as an error, which blocks
    unless the configuration says otherwise.
    """

    def check(self, text: str, stage: Stage) -> Any:
        """Judge one text."""
        ...


class Classifier(Protocol):
    """A model that scores how likely a text is an injection."""

    def score(self, text: str) -> float:
        """0 to 1."""
        ...


class Result(NamedTuple):
    """What one guardrail contributed to a verdict.

    `decision` is what it stands for, `enforced` what counted: a guardrail in monitor mode stands for a decision that
    does not count, which is not the same as finding nothing.
    """

    guardrail: str
    decision: Decision
    enforced: Decision
    reason: str
    score: float
    status: Status
    rules: tuple[str, ...]


@final
class Document(Value):
    """A retrieved text with its metadata.

    Args:
        text: what would be put before the model.
        metadata: must say whose it is: see the guardrail `acl`.
        id: names it in events and as the source of what it brings in.
    """

    __slots__ = ("text", "metadata", "id")  # noqa: RUF023 -- order of arguments

    text: str
    metadata: Mapping[str, Any]
    id: str

    def __init__(self, text: str, metadata: Mapping[str, Any] | None = None, id: str = "") -> None:  # noqa: A002 -- its name
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "metadata", {} if metadata is None else metadata)
        object.__setattr__(self, "id", id)

    def __repr__(self) -> str:
        return f"Document({len(self.text)} characters)"


#: Most texts wait for nobody.
_NOTHING: Mapping[str, float] = {}


@final
class Verdict:
    """What the guard decided about one text.

    Attributes:
        decision: `allow`, `flag`, `redact`, `escalate` or `block`.
        text: the text to go on with, edited where something was taken out; None for one that is blocked or waits
            for a person.
        value: the same for structured arguments and results; `text` then is None.
        documents: retrieved documents that may be read, edited.
        dropped: how many documents were dropped.
        kept: positions of the documents that may be read, in what was given.
        findings: what the scanner found, offsets in the text that came in.
        reason: stable code of the strictest result, `ok` if there is none.
        message: may be shown to a user.
        escalation: id of the escalation record, None if there is none.
        stage: where the text passes.
        status: how the checks went, apart from what they decided.
        policy_id: name of the configuration.
        policy_version: its hash.
        latency_us: microseconds the guard took.
        results: what each guardrail that had something to say contributed.
        waited_us: microseconds that each guardrail took which waits for others.
        labels: argument path to the sources it repeats, `from:<source>`.
        tool: name of the tool, for its arguments and results; empty elsewhere.
        authorization: what the kernel said about a tool call; None without one.
        receipt: id of the kernel's receipt, which is in its ledger; None without one.
    """

    __slots__ = (
        "authorization", "decision", "documents", "dropped", "escalation", "findings", "kept", "labels", "latency_us",
        "message", "policy_id", "policy_version", "reason", "receipt", "results", "stage", "status", "text", "tool",
        "value", "waited_us",
    )  # fmt: skip

    def __init__(
        self,
        decision: Decision,
        stage: Stage,
        *,
        text: str | None = None,
        value: Any = None,
        documents: Sequence[Document] = (),
        dropped: int = 0,
        findings: Sequence[Finding] = (),
        reason: str = "ok",
        message: str = "",
        escalation: str | None = None,
        status: Status = "ok",
        policy_id: str = "",
        policy_version: str = "",
        latency_us: float = 0.0,
        results: tuple[Result, ...] = (),
        labels: Mapping[str, tuple[str, ...]] | None = None,
        authorization: Any = None,
    ) -> None:
        self.decision: Decision = decision
        self.stage: Stage = stage
        self.text = text
        self.value = value
        self.documents = documents
        self.dropped = dropped
        self.kept: tuple[int, ...] = ()
        self.findings = findings
        self.reason = reason
        self.message = message
        self.escalation = escalation
        self.status: Status = status
        self.policy_id = policy_id
        self.policy_version = policy_version
        self.latency_us = latency_us
        self.results = results
        self.labels: Mapping[str, tuple[str, ...]] = {} if labels is None else labels
        self.tool = ""
        self.authorization = authorization
        self.receipt: str | None = None
        self.waited_us: Mapping[str, float] = _NOTHING

    @property
    def allowed(self) -> bool:
        """Whether one may go on, with `text` (or `value`, or `documents`)."""
        return RANK[self.decision] < RANK["escalate"]

    def require(self) -> str:
        """The text to go on with.

        Raises:
            GuardBlocked: it is blocked, waits for a person, or is no single text.
        """
        if not self.allowed or self.text is None:
            raise GuardBlocked(f"the {self.stage} is not to be used: {self.decision}, {self.reason}")
        return self.text

    def __bool__(self) -> bool:
        # `if verdict:` would read as allowed and be true for a block, were it not refused.
        raise TypeError("a verdict has no truth value: use `verdict.allowed`")

    def __repr__(self) -> str:
        return f"Verdict({self.decision}, {self.stage}, reason={self.reason!r}, status={self.status!r})"
