"""Attributes of a verdict for OpenTelemetry, `gen_ai.guardrail.*`.

The conventions are experimental: the names are here only. Nothing is imported: `sift_fast.integrations.opentelemetry`
is a sink that adds them to the current span; or give them to a span or an event of your own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sift_fast.guard.verdict import RequestContext, Verdict

__all__ = ["EVENT_NAME", "attributes", "of_event"]

EVENT_NAME = "gen_ai.guardrail.result"


_SHOWN = ("stage", "status", "decision", "reason", "policy_id", "policy_version")


def attributes(verdict: Verdict, context: RequestContext | None = None) -> dict[str, str | float | list[str]]:
    """The attributes of a verdict. No content, no user and no tenant.

    Example:
        >>> from sift_fast.guard.verdict import Verdict
        >>> attributes(Verdict("block", "input", reason="injection.rule"))["gen_ai.guardrail.result.value"]
        'block'
    """
    shown = {name: getattr(verdict, name) for name in _SHOWN}
    rules = [rule for result in verdict.results for rule in result.rules]
    out = _named(shown, rules, max((result.score for result in verdict.results), default=0.0))
    if context is not None and context.conversation is not None:
        out["gen_ai.conversation.id"] = context.conversation
    return out


def _named(shown: Mapping[str, Any], rules: list[str], score: float) -> dict[str, str | float | list[str]]:
    out: dict[str, str | float | list[str]] = {
        "gen_ai.operation.name": "apply_guardrail",
        "gen_ai.guardrail.component.name": "sift_fast",
        "gen_ai.guardrail.source": shown["stage"],
        "gen_ai.guardrail.result.type": shown["status"],
        "gen_ai.guardrail.result.value": shown["decision"],
        "gen_ai.guardrail.result.reason": shown["reason"],
        "gen_ai.guardrail.policy.id": shown["policy_id"],
        "gen_ai.guardrail.policy.version": shown["policy_version"],
    }
    known = [rule for rule in rules if not rule.startswith("from:")]
    if known:
        out["gen_ai.guardrail.policy.rule.id"] = known
        out["gen_ai.guardrail.risk.category"] = sorted({rule.partition(".")[0] for rule in known})
        out["gen_ai.guardrail.risk.score"] = score
    if shown["status"] in {"error", "timeout"}:
        out["error.type"] = shown["reason"]
    return out


def of_event(event: Mapping[str, Any]) -> dict[str, str | float | list[str]]:
    """The same of an event, as sinks get it."""
    rules = [rule for part in event["guardrails"] for rule in part["rules"]]
    score = max((part["score"] for part in event["guardrails"]), default=0.0)
    return _named(event, rules, score)
