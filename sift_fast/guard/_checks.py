"""The guardrails that come with the guard, each a small object that reads a call and answers with a signal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sift_fast.errors import LimitExceeded
from sift_fast.guard import config as tables
from sift_fast.guard._json import Schema, leaves, names_only
from sift_fast.guard._links import loads
from sift_fast.guard.verdict import Document, Edit, RequestContext, Signal, Stage

if TYPE_CHECKING:
    from sift_fast._core import Finding, Findings
    from sift_fast.guard._memory import Memory
    from sift_fast.scanner import Scanner

__all__ = [
    "Acl",
    "Call",
    "Check",
    "Hidden",
    "Length",
    "Links",
    "ListCheck",
    "ScanCheck",
    "Split",
    "SplitCheck",
    "Tools",
    "Topics",
    "hidden_in",
]


class Call:
    """One text on its way through a stage, with what its checks share."""

    __slots__ = ("context", "findings", "goes_on", "hidden", "labels", "memory", "stage", "text", "tool", "value")

    def __init__(
        self,
        stage: Stage,
        text: str,
        context: RequestContext,
        memory: Memory | None,
        findings: Findings | Sequence[Finding] = (),
        tool: str = "",
        value: Any = None,
    ) -> None:
        self.stage = stage
        self.text = text
        self.context = context
        self.memory = memory
        self.findings = findings
        #: Whether the text is what has come of a stream, and more follows.
        self.goes_on = False
        #: What the scan found as well, and gave up for a finding that overlaps it.
        self.hidden: Sequence[Hidden] = ()
        #: Arguments that repeat a source, once somebody has looked.
        self.labels: Mapping[str, tuple[str, ...]] | None = None
        self.tool = tool
        self.value = value

    @property
    def found(self) -> Sequence[Any]:
        """All that the rules found."""
        return (*self.findings, *self.hidden) if self.hidden else self.findings


class Hidden(NamedTuple):
    """A finding that lost to one that overlaps it. Each guardrail has rules of its own: for it, it is none the less."""

    rule_id: str
    category: str
    entity_type: str
    start: int
    end: int
    score: float


def hidden_in(scanner: Scanner, text: str, rules: Mapping[str, Any]) -> list[Hidden]:
    """What a scan gave up.

    Args:
        scanner: it.
        text: what it read.
        rules: the scanner's, by id.
    """
    lost = [candidate for candidate in scanner.explain(text) if candidate.outcome == "overlapped"]
    return [
        Hidden(one.rule_id, rule.category, rule.entity_type, one.start, one.end, one.score)
        for one in lost
        if (rule := rules.get(one.rule_id)) is not None
    ]


class Check:
    """A guardrail with its settings.

    `needs_findings`: has nothing to say where the scan found nothing, and is not asked then.
    """

    needs_findings = False
    #: Reads what the scan found, besides other things: where that is not all there is, it cannot do its work either.
    reads_findings = False
    slow = False
    #: Reads parts of a text: in streams it judges each piece with what came before it.
    windowed = False
    #: Reads the parts of a text together as well.
    joins = False
    #: Judges a turn by what came before it, and remembers it: once, when the turn is new.
    adds_up = False

    def __init__(self, name: str, table: tables.GuardrailConfig) -> None:
        self.name = name
        self.table = table

    def run(self, call: Call) -> Signal | None:
        """What it says about a call; None if nothing."""
        raise NotImplementedError

    @property
    def lacks(self) -> str:
        """What it would need to find anything; empty where it has all."""
        return ""


class ScanCheck(Check):
    """Findings of one category."""

    needs_findings = True

    def __init__(self, name: str, table: tables.ScanConfig, owned: frozenset[str]) -> None:
        super().__init__(name, table)
        self.category = CATEGORIES[table.kind]
        self._only = frozenset(table.entities)
        self._not = frozenset(table.exclude)
        self._owned = owned
        self._least = table.min_score
        # Secrets and personal data are edited by the scanner itself, which streams do alike.
        self.rescrubs = table.kind in {"secrets", "pii"}

    def covers(self, entity_type: str) -> bool:
        """Whether an entity type of its category is this guardrail's."""
        return (not self._only or entity_type in self._only) and entity_type not in self._not

    def wants(self, finding: Finding) -> bool:
        """Whether a finding is this guardrail's."""
        return (
            finding.category == self.category
            and finding.rule_id not in self._owned
            and (not self._only or finding.entity_type in self._only)
            and finding.entity_type not in self._not
            and finding.rule_id not in self._not
        )

    def wants_rule(self, rule: Any) -> bool:
        """Whether findings of a rule of its category may be this guardrail's."""
        return self.covers(rule.entity_type) and rule.id not in self._not and rule.id not in self._owned

    def run(self, call: Call) -> Signal | None:
        """The surest finding decides; all are edited."""
        mine = [finding for finding in call.found if finding.score >= self._least and self.wants(finding)]
        if not mine:
            return None
        edits: tuple[Edit, ...] = ()
        if not self.rescrubs:
            edits = tuple(Edit(finding.start, finding.end, f"<{finding.entity_type}>") for finding in mine)
        return Signal(
            f"{self.category}.rule",
            max(finding.score for finding in mine),
            edits,
            tuple(dict.fromkeys(finding.rule_id for finding in mine)),
            rescrub=self.rescrubs,
        )


CATEGORIES = {"secrets": "secret", "pii": "pii", "injection": "injection", "leak": "leak"}


class ListCheck(Check):
    """Findings of the rule that was made for a word list or the canaries."""

    needs_findings = True

    def __init__(self, name: str, table: tables.GuardrailConfig, rules: frozenset[str], reason: str) -> None:
        super().__init__(name, table)
        self._rules = rules
        self._reason = reason

    def run(self, call: Call) -> Signal | None:
        """All that is found is edited."""
        mine = [finding for finding in call.found if finding.rule_id in self._rules]
        if not mine:
            return None
        edits = tuple(Edit(finding.start, finding.end, f"<{finding.entity_type}>") for finding in mine)
        return Signal(self._reason, 1.0, edits, tuple(dict.fromkeys(finding.rule_id for finding in mine)))


class Topics(Check):
    """Denied topics, and allowed ones if there are any."""

    def __init__(self, name: str, table: tables.TopicsConfig, rules: Mapping[str, str]) -> None:
        super().__init__(name, table)
        self._rules = rules
        self._deny = table.deny
        self._allow = bool(table.allow)
        self._short = table.short
        self.needs_findings = not self._allow
        self.reads_findings = self._allow

    def run(self, call: Call) -> Signal | None:
        """A denied topic comes first; its answer is the one that is given."""
        allowed = not self._allow or len(call.text) <= self._short
        for finding in call.found:
            side, _, topic = self._rules.get(finding.rule_id, "").partition(":")
            if side == "deny":
                return Signal("topics.denied", rules=(finding.rule_id,), message=self._deny[topic].answer or None)
            allowed = allowed or side == "allow"
        return None if allowed else Signal("topics.not_allowed")


class Length(Check):
    """Length, tokens and turns."""

    def __init__(self, name: str, table: tables.LengthConfig) -> None:
        super().__init__(name, table)
        self.most = table.max_chars
        if table.max_tokens is not None:
            self.most = min(self.most, int(table.max_tokens * table.chars_per_token))
        self._turns = table.max_turns
        self._total = table.max_conversation_chars

    def run(self, call: Call) -> Signal | None:
        """Counts the user's turns and characters on the way."""
        if len(call.text) > self.most:
            return Signal("length.text")
        memory = call.memory
        if memory is not None and call.stage == "input":
            memory.turns += 1
            memory.chars += len(call.text)
            if self._turns is not None and memory.turns > self._turns:
                return Signal("length.turns")
            if self._total is not None and memory.chars > self._total:
                return Signal("length.conversation")
        return None


class Links(Check):
    """Images, and links if asked for, to hosts that are not the application's.

    What follows the host is not read: a stream is stopped before the first character of what would leave with it.
    """

    windowed = True

    def __init__(self, name: str, table: tables.LinksConfig) -> None:
        super().__init__(name, table)
        self._hosts = tuple(host.casefold() for host in table.hosts)
        self._links = table.links
        self._reason = "links.host" if table.links else "links.image"

    def run(self, call: Call) -> Signal | None:
        """The first host that is not listed decides."""
        # What shows nothing from outside has none of these, or no address; most texts cost no more than this. Spelled
        # out: a generator over the same words takes longer than to look for them.
        text = call.text
        if not (self._links or "<" in text or "![" in text or "url(" in text or "URL(" in text or "@import" in text):
            return None
        if not _may_name(text):
            return None
        for _, shown, linked in loads(call.text, goes_on=call.goes_on, but=self._is_mine):
            if shown or (linked and self._links):
                return Signal(self._reason)
        return None

    def _is_mine(self, host: str) -> bool:
        return any(host == mine or host.endswith("." + mine) for mine in self._hosts)


def _may_name(text: str) -> bool:
    """Whether a text may hold an address: browsers drop tabs and line ends, within a scheme and between slashes too."""
    if not (":" in text or "/" in text or "\\" in text or "&" in text):
        return False
    if "//" in text or "\\" in text or "&" in text or "\t" in text or "/\n" in text or "/\r" in text:
        return True
    flat = text.lower()
    if "\n" in flat or "\r" in flat:
        flat = flat.replace("\n", "").replace("\r", "")
    return "http" in flat or "ftp:" in flat or "ws:" in flat or "wss:" in flat


class Split:
    """Earlier turns and the new one as one text, and where the new one begins."""

    def __init__(self, window: str, text: str, most: int) -> None:
        self.text = f"{window} {text[:most]}"
        self.seam = len(window)


class SplitCheck(Check):
    """Risk that adds up over turns, and attacks that are split over them.

    The last characters of the conversation and the first of the new turn are scanned together; an injection that
    lies across the seam is one that no turn shows by itself.
    """

    adds_up = True
    reads_findings = True

    def __init__(self, name: str, table: tables.ConversationConfig, scan: Callable[[str], Findings]) -> None:
        super().__init__(name, table)
        self._scan = scan
        self._window = table.window_chars
        self._decay = table.decay
        self._risk = table.risk_at

    def run(self, call: Call) -> Signal | None:
        """Adds the turn to what is remembered."""
        memory = call.memory
        if memory is None:
            return None
        across: tuple[str, ...] = ()
        score = 0.0
        for finding in call.found:
            if finding.category == "injection":
                score = max(score, finding.score)
        if memory.window and self._window:
            split = Split(memory.window, call.text, self._window)
            found = self._scan(split.text)
            if found.incomplete:
                raise LimitExceeded(f"guardrail `{self.name}` left a part of the conversation unread")
            if found:
                crossing = [
                    finding
                    for finding in found
                    if finding.category == "injection" and finding.start < split.seam < finding.end
                ]
                across = tuple(dict.fromkeys(finding.rule_id for finding in crossing))
                score = max([score, *(finding.score for finding in crossing)])
        memory.risk = memory.risk * self._decay + score
        if self._window:
            memory.window = f"{memory.window} {call.text[-self._window :]}".strip()[-self._window :]
        if across:
            return Signal("conversation.split", score, rules=across)
        if memory.risk >= self._risk:
            # A sum of hints is no proof: half sure, whatever it adds up to.
            return Signal("conversation.risk", 0.5)
        return None


class Acl(Check):
    """Whose a retrieved document is, read from its metadata before anything reads its text."""

    def __init__(self, name: str, table: tables.AclConfig) -> None:
        super().__init__(name, table)
        self._acl = table

    @property
    def keys(self) -> tuple[str, ...]:
        """Metadata keys that say whose a document is."""
        return tuple(key for key in (self._acl.tenant_key, self._acl.roles_key, self._acl.users_key) if key)

    def allows(self, document: Document, context: RequestContext) -> bool:
        """Whether this caller may read it. What the metadata does not say is refused."""
        acl, metadata = self._acl, document.metadata
        tenant = metadata.get(acl.tenant_key)
        if not isinstance(tenant, str) or (tenant != context.tenant and tenant not in acl.shared_tenants):
            return False
        if acl.roles_key and not _names(metadata.get(acl.roles_key), context.role):
            return False
        return not acl.users_key or _names(metadata.get(acl.users_key), context.user)

    def condition(self, context: RequestContext) -> list[tuple[str, tuple[str, ...]]]:
        """The same in the words of a query: each key must hold one of the values."""
        acl = self._acl
        out = [(acl.tenant_key, (context.tenant, *acl.shared_tenants))]
        if acl.roles_key:
            out.append((acl.roles_key, (context.role,)))
        if acl.users_key:
            out.append((acl.users_key, (context.user or "",)))
        return out


def _names(value: Any, wanted: str | None) -> bool:
    if isinstance(value, str):
        return wanted is not None and value == wanted
    return isinstance(value, list | tuple | set | frozenset) and wanted is not None and wanted in value


class Tools(Check):
    """Which tool may be called by whom and when, and what it takes and returns."""

    def __init__(self, name: str, table: tables.ToolsConfig, tools: Mapping[str, tables.ToolConfig]) -> None:
        super().__init__(name, table)
        self._tools = tools
        self._unlisted = table.unlisted
        self._most = table.max_calls
        self._args = {key: Schema(tool.args, f"tool `{key}`: args") for key, tool in tools.items() if tool.args}
        self._returns = {
            key: Schema(tool.returns, f"tool `{key}`: returns") for key, tool in tools.items() if tool.returns
        }

    @property
    def lacks(self) -> str:
        """Where every tool may be called, there is something only in what is said of each."""
        return "" if self._tools or self._unlisted == "deny" or self._most is not None else "[tools.NAME]"

    def run(self, call: Call) -> Signal | None:
        """At `tool_input` the right to call and the arguments, at `tool_output` the result's shape."""
        tool = self._tools.get(call.tool)
        if call.stage == "tool_input" and self._is_over(call):
            return Signal("tools.calls")
        if tool is None:
            return None if self._unlisted == "allow" else Signal("tools.unlisted")
        if call.stage == "tool_output":
            returns = self._returns.get(call.tool)
            if returns is not None and returns.error(call.value):
                return Signal("tools.result")
            wrong = tool.tenant_field and not names_only(call.value, tool.tenant_field, call.context.tenant)
            return Signal("tools.tenant") if wrong else None
        context = call.context
        if tool.roles and context.role not in tool.roles:
            return Signal("tools.role")
        if tool.states and context.state not in tool.states:
            return Signal("tools.state")
        args = self._args.get(call.tool)
        if args is not None and args.error(call.value) is not None:
            return Signal("tools.arguments")
        return Signal("tools.escalate", decision="escalate") if tool.escalate else None

    def _is_over(self, call: Call) -> bool:
        """Count a call of whatever tool; whether there were too many."""
        memory = call.memory
        if memory is None or self._most is None:
            return False
        with memory.lock:
            memory.calls += 1
            return memory.calls > self._most

    def decoded(self, tool: str, result: Any) -> tuple[Any, int | None]:
        """A result that came as text, or as parts of which one is text, as the containers that the text stands for,
        where the tool is typed; and which part it was. -1 for a text by itself, None where nothing was decoded.
        """
        table = self._tools.get(tool)
        if table is None or not (table.returns or table.personal or table.tenant_field):
            return result, None
        text, part = result, -1
        if isinstance(result, list):
            texts = [at for at, item in enumerate(result) if isinstance(item, Mapping) and item.get("type") == "text"]
            if len(texts) != 1:
                return result, None
            part = texts[0]
            text = result[part].get("text")
        try:
            value = json.loads(text) if isinstance(text, str) else None
        except (ValueError, RecursionError):
            value = None
        return (value, part) if isinstance(value, dict | list) else (result, None)

    def is_parts(self, result: Any) -> bool:
        """Whether a result is text, or parts of a message, and so has no fields that could be taken out."""
        if isinstance(result, str):
            return True
        return isinstance(result, list) and any(
            isinstance(item, str) or (isinstance(item, Mapping) and isinstance(item.get("text"), str))
            for item in result
        )

    def is_alone(self, result: list[Any], part: int) -> bool:
        """Whether beside the text that holds a result there is nothing but pictures and sounds."""
        others = [item for at, item in enumerate(result) if at != part]
        strings = [str(name) for item in others for _, _, name in leaves(item) if not isinstance(name, bool | None)]
        pictures = all(isinstance(item, Mapping) and item.get("type") in _PICTURES for item in others)
        return (
            pictures and not any(len(text.split(None, 1)) > 1 for text in strings) and not _fields(others) - _PICTURED
        )

    def hidden(self, tool: str, role: str) -> list[str]:
        """Fields of a tool's result that a role does not see."""
        table = self._tools.get(tool)
        return [] if table is None else [field for field, roles in table.personal.items() if role not in roles]

    def has_owner(self, tool: str) -> bool:
        """Whether a tool's result must say whose it is."""
        table = self._tools.get(tool)
        return table is not None and bool(table.tenant_field)


#: Parts of a message that are no text, and what stands in them.
_PICTURES = {"audio", "image", "image_url", "input_image"}
_PICTURED = {
    "annotations", "data", "detail", "format", "image_url", "media_type", "mimeType", "mime_type", "source", "type",
    "url",
}  # fmt: skip


def _fields(value: Any) -> set[str]:
    """Names of a document, at any depth."""
    if isinstance(value, Mapping):
        return {str(key) for key in value}.union(*map(_fields, value.values()))
    return set().union(*map(_fields, value)) if isinstance(value, list) else set()
