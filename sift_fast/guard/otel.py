"""Attributes of a verdict for OpenTelemetry, `gen_ai.guardrail.*`.

The conventions are experimental: the names are here only. Nothing is imported:
give the attributes to a span or an event of your own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sift_fast.guard.verdict import RequestContext, Verdict

__all__ = ["EVENT_NAME", "attributes"]

EVENT_NAME = "gen_ai.guardrail.result"


def attributes(verdict: Verdict, context: RequestContext | None = None) -> dict[str, str | float | list[str]]:
    """The attributes of a verdict. No content, no user and no tenant.

    Example:
        >>> from sift_fast.guard.verdict import Verdict
        >>> attributes(Verdict("block", "input", reason="injection.rule"))["gen_ai.guardrail.result.value"]
        'block'
    """
    out: dict[str, str | float | list[str]] = {
        "gen_ai.operation.name": "apply_guardrail",
        "gen_ai.guardrail.component.name": "sift_fast",
        "gen_ai.guardrail.source": verdict.stage,
        "gen_ai.guardrail.result.type": verdict.status,
        "gen_ai.guardrail.result.value": verdict.decision,
        "gen_ai.guardrail.result.reason": verdict.reason,
        "gen_ai.guardrail.policy.id": verdict.policy_id,
        "gen_ai.guardrail.policy.version": verdict.policy_version,
    }
    rules = [rule for result in verdict.results for rule in result.rules if not rule.startswith("from:")]
    if rules:
        out["gen_ai.guardrail.policy.rule.id"] = rules
        out["gen_ai.guardrail.risk.category"] = sorted({rule.partition(".")[0] for rule in rules})
        out["gen_ai.guardrail.risk.score"] = max(result.score for result in verdict.results)
    if verdict.status in {"error", "timeout"}:
        out["error.type"] = verdict.reason
    if context is not None and context.conversation is not None:
        out["gen_ai.conversation.id"] = context.conversation
    return out
