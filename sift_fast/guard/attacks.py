"""Attacks and their benign twins, played against a guard, and what a configuration covers.

The model behind the guard does what it is told: an attack that the guard lets through has succeeded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from sift_fast import _core
from sift_fast.guard.config import AclConfig, PromptLeakConfig, ToolsConfig, read_text
from sift_fast.guard.verdict import RANK, STAGES, RequestContext

if TYPE_CHECKING:
    from sift_fast.guard.config import GuardConfig, GuardrailConfig
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.verdict import Verdict

__all__ = ["INCIDENT", "LAYERS", "REMEDIES", "RISKS", "Played", "assess", "play", "role_of", "state_of"]

#: Risks of the OWASP Top 10 for LLM applications (2025) that a guard meets at run time.
RISKS = {
    "LLM01": "prompt injection",
    "LLM02": "sensitive information disclosure",
    "LLM05": "improper output handling",
    "LLM06": "excessive agency",
    "LLM07": "system prompt leakage",
    "LLM08": "vector and embedding weaknesses",
    "LLM09": "misinformation",
    "LLM10": "unbounded consumption",
}

#: The five layers, the kinds of guardrails that make them, and the stages at which they do.
LAYERS: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {
    "input": (("secrets", "pii", "injection", "length", "words", "classifier"), frozenset({"input"})),
    "retrieval and tools": (
        ("acl", "tools", "provenance"),
        frozenset({"retrieval", "tool_input", "tool_output"}),
    ),
    "conversation": (("conversation", "topics"), frozenset({"input", "output"})),
    "output": (("leak", "links", "prompt_leak", "grounding", "schema", "code"), frozenset({"output"})),
    "escalation": ((), frozenset()),
}

#: What a case is of that is played like an attack and belongs to no risk alone.
INCIDENT = "incident"

_RISK_KINDS = {
    "LLM01": ("injection", "conversation", "classifier"),
    "LLM02": ("secrets", "pii"),
    "LLM05": ("leak", "links", "schema", "code"),
    "LLM06": ("tools", "provenance"),
    "LLM07": ("prompt_leak", "injection", "classifier"),
    "LLM08": ("acl",),
    "LLM09": ("grounding",),
    "LLM10": ("length",),
}


#: What a configuration needs against each risk, for whom an attack gets through.
REMEDIES = {
    "LLM01": "`[guardrails.injection]` and `[guardrails.injection_indirect]`, each with `block_at`",
    "LLM02": '`[guardrails.secrets]` and `[guardrails.pii]` with `on_violation = "redact"`',
    "LLM05": "`[guardrails.links]`, and `[guardrails.leak]` with `block_at = 0.4` where SQL is run",
    "LLM06": "`[guardrails.tools]`, `[guardrails.provenance]`, a `[tools.NAME]` with `args` and `roles` for each",
    "LLM07": "`[guardrails.prompt_leak]` with `canaries` and `prompt` or `prompt_file`",
    "LLM08": '`[guardrails.acl]` with `on_violation = "block"`',
    "LLM09": '`[guardrails.grounding]` with `on_violation = "block"`',
    "LLM10": "`[guardrails.length]` with `max_chars`",
}

_MOST_TITLE = 100


class Played(NamedTuple):
    """One attack and its twin. `stopped` and `passed` are None where the configuration has not what they need.

    `title` is the attack in short, with marks such as `{secret}` for what is filled in.
    """

    id: str
    risk: str
    stopped: bool | None
    passed: bool | None
    reason: str
    title: str = ""


def role_of(config: GuardConfig) -> str:
    """The role for which attacks are played where none is named: `support`, or the first that a tool names."""
    roles = [role for tool in config.tools.values() for role in tool.roles]
    return "support" if "support" in roles or not roles else roles[0]


def play(
    guard: Guard, *, seed: int = 7, tenant: str = "acme", role: str = "", incidents: bool = False
) -> Iterator[Played]:
    """Play every attack and every twin, each in a conversation of its own.

    Args:
        guard: decides.
        seed: for the made-up secrets.
        tenant: of the caller for whom they are played: the overrides of its tenant and role apply.
        role: of the caller; empty for that of `role_of`.
        incidents: whether the incidents are played instead, each more than one step: their risk is `INCIDENT`.
    """
    role = role or role_of(guard.config)
    scene = _Scene(guard, _values(guard.config, seed), tenant, role)
    for risk, cases in _cases("incidents.toml" if incidents else "attacks.toml").items():
        for number, case in enumerate(cases, 1):
            name = f"{risk}-{number:02}"
            stopped, reason = _attack(scene, case, name)
            passed, why = _benign(scene, case, name)
            said = case["attack" if passed is not False else "benign"]
            yield Played(name, risk, stopped, passed, reason if passed is not False else f"twin: {why}", _title(said))


class _Scene:
    """Before whom the cases are played, and as whom."""

    def __init__(self, guard: Guard, values: dict[str, str | None], tenant: str, role: str) -> None:
        self.guard, self.values, self.tenant, self.role = guard, values, tenant, role
        tables = guard.config.guardrails_for(tenant, role).values()
        lists = [table for table in tables if isinstance(table, AclConfig) and table.enabled]
        self._acl = lists[0] if lists else AclConfig(kind="acl")
        self._user = "ann" if self._acl.users_key else None

    def caller(self, conversation: str, **more: Any) -> RequestContext:
        """Who asks."""
        return RequestContext(
            **{"tenant": self.tenant, "role": self.role, "user": self._user, "conversation": conversation, **more}
        )

    def metadata(self, given: dict[str, Any]) -> dict[str, Any]:
        """Whose a document is, in the words of the configuration. In the cases the caller's tenant is `acme`."""
        acl = self._acl
        out: dict[str, Any] = {acl.roles_key: self.role, acl.users_key: self._user}
        out.pop("", None)
        for key, value in given.items():
            out[acl.tenant_key if key == "tenant" else key] = self._mine(value)
        return out

    def _mine(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._mine(item) for item in value]
        if not isinstance(value, str):
            return value
        return value.replace("acme", self.tenant)


def _title(steps: list[list[Any]]) -> str:
    """Steps of a case on one line, as they are written: `doc: ...; output: ...`."""
    parts = (f"{kind}: {' '.join(str(item) for item in rest)}" for kind, *rest in steps)
    line = " ".join("; ".join(parts).split())
    return line if len(line) <= _MOST_TITLE else f"{line[: _MOST_TITLE - 3]}..."


def _cases(name: str = "attacks.toml") -> dict[str, list[dict[str, Any]]]:
    import tomllib

    path = os.path.join(os.path.dirname(__file__), "data", name)
    return tomllib.loads(read_text(path))


def _values(config: GuardConfig, seed: int) -> dict[str, str | None]:
    """What the configuration has that attacks are about; None for what it has not."""
    canary = prompt = None
    most = 0
    for table in config.guardrails.values():
        if isinstance(table, PromptLeakConfig):
            text = table.prompt + (read_text(config.path(table.prompt_file)) if table.prompt_file else "")
            words = text.split()
            canary = table.canaries[0] if table.canaries else canary
            prompt = " ".join(words[: table.words + 2]) if len(words) >= table.words else prompt
        most = max(most, getattr(table, "max_chars", 0))
    return {
        "{secret}": _core.generate("secret.github.token", seed, 1, ["secrets"])[0],
        "{canary}": canary,
        "{prompt}": prompt,
        "{long}": "word " * (most // 5 + 1) if 0 < most <= 1_000_000 else None,
    }


class _Missing(Exception):
    """A step needs something that the configuration has not."""


def _fill(value: Any, values: dict[str, str | None]) -> Any:
    if isinstance(value, str):
        for mark, text in values.items():
            if mark in value:
                if text is None:
                    raise _Missing
                value = value.replace(mark, text)
        return value
    if isinstance(value, dict):
        return {key: _fill(item, values) for key, item in value.items()}
    return value


def _attack(scene: _Scene, case: dict[str, Any], name: str) -> tuple[bool | None, str]:
    try:
        verdicts = list(_steps(scene, case["attack"], f"attack-{name}", strict=False))
        target = _fill(case["target"], scene.values) if "target" in case else None
    except _Missing:
        # Nothing is protected that is not there; but nobody has looked either.
        return False, "nothing of the kind is configured"
    for verdict in verdicts:
        if not verdict.allowed or verdict.dropped:
            return True, verdict.reason
    if target is not None:
        last = verdicts[-1]
        shown = f"{last.text} {last.value} {[document.text for document in last.documents]}"
        return target not in shown, last.reason
    return any(RANK[verdict.decision] >= RANK["redact"] for verdict in verdicts), verdicts[-1].reason


def _benign(scene: _Scene, case: dict[str, Any], name: str) -> tuple[bool | None, str]:
    try:
        for verdict in _steps(scene, case["benign"], f"benign-{name}", strict=True):
            if not verdict.allowed or verdict.dropped:
                return False, verdict.reason
    except _Missing:
        return None, "the tool is not configured"
    return True, "ok"


def _steps(scene: _Scene, steps: list[list[Any]], conversation: str, *, strict: bool) -> Iterator[Verdict]:
    guard = scene.guard
    for kind, *rest in steps:
        given = [_fill(item, scene.values) for item in rest]
        context = scene.caller(conversation)
        if kind == "input":
            yield guard.check_input_sync(given[0], context)
        elif kind == "output":
            yield guard.check_output_sync(given[0], context)
        elif kind == "doc":
            metadata = scene.metadata(given[1] if len(given) == 2 else {"tenant": "acme"})
            yield guard.check_retrieval_sync([{"text": given[0], "metadata": metadata}], context)
        else:
            if strict and guard.config.tools.get(given[0]) is None and _lists_tools(guard):
                raise _Missing
            if kind == "result":
                yield guard.check_tool_output_sync(given[0], given[1], context)
            else:
                who = scene.caller(conversation, **(given[2] if len(given) > 2 else {}))
                yield guard.check_tool_input_sync(given[0], given[1], who)


def _lists_tools(guard: Guard) -> bool:
    return any(table.kind == "tools" and table.enabled for table in guard.config.guardrails.values())


def state_of(table: GuardrailConfig, config: GuardConfig) -> str:
    """What a guardrail does by its settings: `enforces`, `watches`, or `off`."""
    if not table.enabled or not _has_work(table, config):
        return "off"
    acts = table.on_violation not in {"flag", "monitor"} or table.block_at is not None or table.escalate_at is not None
    return "enforces" if acts and "monitor" not in {table.mode, config.mode} else "watches"


def _has_work(table: GuardrailConfig, config: GuardConfig) -> bool:
    """Whether a guardrail has been told what it needs to know."""
    if isinstance(table, PromptLeakConfig):
        return bool(table.canaries or table.prompt or table.prompt_file)
    return not isinstance(table, ToolsConfig) or table.unlisted == "deny" or bool(config.tools)


def assess(config: GuardConfig) -> dict[str, dict[str, str]]:
    """Which layers and risks a configuration covers: `enforces`, `in part`, `watches` or `missing`.

    A risk is enforced against where the attacks of `play` are stopped, more than half of them for every caller whom the
    configuration makes a difference for; else it is so in part.

    Args:
        config: the configuration.

    Returns:
        `layers` and `risks`, each a name and a word.
    """
    callers = _callers(config)
    tables = [config.guardrails_for(*caller) for caller in callers]

    def of(kinds: tuple[str, ...], stages: frozenset[str]) -> str:
        found = []
        for each in tables:
            mine = [table for table in each.values() if table.kind in kinds and stages & set(table.stages)]
            states = {state_of(table, config) for table in mine}
            found.append(next((state for state in ("enforces", "watches") if state in states), "missing"))
        return found[0] if len(set(found)) == 1 else "in part"

    layers = {name: of(*where) for name, where in LAYERS.items() if where[0]}
    to_person = any(
        table.enabled and (table.on_violation == "escalate" or table.escalate_at is not None)
        for table in config.guardrails.values()
    )
    kept = config.escalation.file is not None
    reached = to_person or config.escalation.on_block
    layers["escalation"] = "enforces" if reached and kept else "watches" if reached else "missing"
    everywhere = frozenset(STAGES)
    risks = {risk: of(kinds, everywhere) for risk, kinds in _RISK_KINDS.items()}
    if any(state in {"enforces", "in part"} for state in risks.values()):
        least = _least_stopped(config, callers)
        for risk, state in risks.items():
            if state == "enforces" and least[risk] <= 0.5:
                risks[risk] = "in part"
    return {"layers": layers, "risks": risks}


def _callers(config: GuardConfig) -> list[tuple[str, str]]:
    """Tenants and roles for whom the configuration is another."""
    role = role_of(config)
    found = [("acme", role), *((each.tenant or "acme", each.role or role) for each in config.override)]
    return list(dict.fromkeys(found))


def _least_stopped(config: GuardConfig, callers: list[tuple[str, str]]) -> dict[str, float]:
    """Of the attacks of each risk, what part is stopped for the caller for whom fewest are."""
    from sift_fast.guard.escalation import Desk
    from sift_fast.guard.guard import Guard

    guard = Guard(config.offline(), desk=Desk(None))
    least: dict[str, float] = {}
    played: dict[str, dict[str, float]] = {}
    for tenant, role in callers:
        # Most overrides are alike but for whom they are.
        alike = repr(sorted(config.guardrails_for(tenant, role).items()))
        if alike not in played:
            stopped: dict[str, list[bool]] = {}
            for one in play(guard, tenant=tenant, role=role):
                stopped.setdefault(one.risk, []).append(one.stopped is True)
            played[alike] = {risk: sum(each) / len(each) for risk, each in stopped.items()}
        for risk, part in played[alike].items():
            least[risk] = min(part, least.get(risk, 1.0))
    return least
