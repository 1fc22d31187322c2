"""Attacks and their benign twins, played against a guard, and what a configuration covers.

The model behind the guard does what it is told: an attack that the guard lets through has succeeded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from sift_fast import _core
from sift_fast.guard.config import PromptLeakConfig, read_text
from sift_fast.guard.verdict import RANK, RequestContext

if TYPE_CHECKING:
    from sift_fast.guard.config import GuardConfig
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.verdict import Verdict

__all__ = ["LAYERS", "REMEDIES", "RISKS", "Played", "assess", "play"]

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

#: The five layers, and the kinds of guardrails that make them.
LAYERS = {
    "input": ("secrets", "pii", "injection", "length", "words", "classifier"),
    "retrieval and tools": ("acl", "tools", "provenance"),
    "conversation": ("conversation", "topics"),
    "output": ("leak", "links", "prompt_leak", "grounding", "schema", "code"),
    "escalation": (),
}

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


def play(guard: Guard, *, seed: int = 7) -> Iterator[Played]:
    """Play every attack and every twin, each in a conversation of its own.

    Args:
        guard: decides.
        seed: for the made-up secrets.
    """
    values = _values(guard.config, seed)
    for risk, cases in _cases().items():
        for number, case in enumerate(cases, 1):
            name = f"{risk}-{number:02}"
            stopped, reason = _attack(guard, case, values, name)
            passed, why = _benign(guard, case, values, name)
            said = case["attack" if passed is not False else "benign"]
            yield Played(name, risk, stopped, passed, reason if passed is not False else f"twin: {why}", _title(said))


def _title(steps: list[list[Any]]) -> str:
    """Steps of a case on one line, as they are written: `doc: ...; output: ...`."""
    parts = (f"{kind}: {' '.join(str(item) for item in rest)}" for kind, *rest in steps)
    line = " ".join("; ".join(parts).split())
    return line if len(line) <= _MOST_TITLE else f"{line[: _MOST_TITLE - 3]}..."


def _cases() -> dict[str, list[dict[str, Any]]]:
    import tomllib

    path = os.path.join(os.path.dirname(__file__), "data", "attacks.toml")
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


def _attack(guard: Guard, case: dict[str, Any], values: dict[str, str | None], name: str) -> tuple[bool | None, str]:
    try:
        verdicts = list(_steps(guard, case["attack"], values, f"attack-{name}", strict=False))
        target = _fill(case["target"], values) if "target" in case else None
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


def _benign(guard: Guard, case: dict[str, Any], values: dict[str, str | None], name: str) -> tuple[bool | None, str]:
    try:
        for verdict in _steps(guard, case["benign"], values, f"benign-{name}", strict=True):
            if not verdict.allowed or verdict.dropped:
                return False, verdict.reason
    except _Missing:
        return None, "the tool is not configured"
    return True, "ok"


def _steps(
    guard: Guard, steps: list[list[Any]], values: dict[str, str | None], conversation: str, *, strict: bool
) -> Iterator[Verdict]:
    for kind, *rest in steps:
        given = [_fill(item, values) for item in rest]
        context = RequestContext(tenant="acme", role="support", conversation=conversation)
        if kind == "input":
            yield guard.check_input_sync(given[0], context)
        elif kind == "output":
            yield guard.check_output_sync(given[0], context)
        elif kind == "doc":
            own = {"tenant": "acme"}
            metadata = given[1] if len(given) == 2 else own
            yield guard.check_retrieval_sync([{"text": given[0], "metadata": metadata}], context)
        else:
            if strict and guard.config.tools.get(given[0]) is None and _lists_tools(guard):
                raise _Missing
            if kind == "result":
                yield guard.check_tool_output_sync(given[0], given[1], context)
            else:
                asked = {"role": "support", **(given[2] if len(given) > 2 else {})}
                who = RequestContext(tenant="acme", conversation=conversation, **asked)
                yield guard.check_tool_input_sync(given[0], given[1], who)


def _lists_tools(guard: Guard) -> bool:
    return any(table.kind == "tools" and table.enabled for table in guard.config.guardrails.values())


def assess(config: GuardConfig) -> dict[str, dict[str, str]]:
    """Which layers and risks a configuration covers: `enforces`, `watches` or `missing`.

    Args:
        config: the configuration.

    Returns:
        `layers` and `risks`, each a name and a word.
    """
    states: dict[str, str] = {}
    for table in config.guardrails.values():
        if not table.enabled:
            continue
        watches = "monitor" in {table.mode, config.mode, table.on_violation} or (
            table.on_violation == "flag" and table.block_at is None and table.escalate_at is None
        )
        if states.get(table.kind) != "enforces":
            states[table.kind] = "watches" if watches else "enforces"

    def of(kinds: tuple[str, ...]) -> str:
        found = {states[kind] for kind in kinds if kind in states}
        return "enforces" if "enforces" in found else "watches" if found else "missing"

    layers = {name: of(kinds) for name, kinds in LAYERS.items() if kinds}
    to_person = any(
        table.enabled and (table.on_violation == "escalate" or table.escalate_at is not None)
        for table in config.guardrails.values()
    )
    kept = config.escalation.file is not None
    reached = to_person or config.escalation.on_block
    layers["escalation"] = "enforces" if reached and kept else "watches" if reached else "missing"
    return {"layers": layers, "risks": {risk: of(kinds) for risk, kinds in _RISK_KINDS.items()}}
