"""The presets: what a configuration begins with. Plain tables, so that a file changes them key by key."""

from __future__ import annotations

from typing import Any

__all__ = ["PRESETS"]

_INPUT: dict[str, dict[str, Any]] = {
    "length": {"max_chars": 100_000},
    "secrets": {"on_violation": "redact", "min_score": 0.5},
    "pii": {"on_violation": "redact", "min_score": 0.5, "operator": "pseudonym"},
    # Rules of 0.8 and more name an attack in words that benign text does not use; below they are hints that add up.
    "injection": {"stages": ["input"], "on_violation": "flag", "min_score": 0.4, "block_at": 0.7},
    # A document or a page has no business to speak to a model at all: a weaker sign is enough.
    "injection_indirect": {
        "kind": "injection",
        "stages": ["retrieval", "tool_output"],
        "on_violation": "flag",
        "min_score": 0.4,
        "block_at": 0.6,
    },
    "conversation": {"on_violation": "escalate", "block_at": 0.7},
    "leak": {"on_violation": "flag", "min_score": 0.4, "block_at": 0.6},
    "links": {"on_violation": "block"},
    "prompt_leak": {"on_violation": "block"},
}

# Of 14,361 harmless texts of our collection 41 are above the shipped threshold, and 9 score 0.98 or more.
_CLASSIFIER = {"on_violation": "flag", "block_at": 0.98}
_RETRIEVAL = {"acl": {"on_violation": "block"}}

_CHAT: dict[str, Any] = {"guardrails": _INPUT}
_RAG: dict[str, Any] = {
    # Small and round numbers, years and names are said of much that no source says.
    "guardrails": {**_INPUT, **_RETRIEVAL, "grounding": {"on_violation": "flag", "block_at": 0.8}},
}
_AGENT: dict[str, Any] = {
    "guardrails": {
        **_INPUT,
        **_RETRIEVAL,
        "tools": {"on_violation": "block"},
        "provenance": {"on_violation": "block"},
        "classifier": _CLASSIFIER,
    },
}
_STRICT: dict[str, Any] = {
    "guardrails": {
        **_AGENT["guardrails"],
        "length": {"max_chars": 20_000},
        "secrets": {"on_violation": "block", "min_score": 0.3},
        "injection": {"on_violation": "block", "min_score": 0.4},
        "injection_indirect": {**_INPUT["injection_indirect"], "on_violation": "block"},
        "leak": {"on_violation": "block", "min_score": 0.4},
        "grounding": {"on_violation": "escalate"},
        "classifier": {"on_violation": "escalate", "block_at": 0.95},
    },
    "escalation": {"on_block": True},
}
_MONITOR: dict[str, Any] = {"mode": "monitor", "guardrails": _AGENT["guardrails"], "events": {"sample_allow": 0.01}}

PRESETS: dict[str, dict[str, Any]] = {
    "chat": _CHAT,
    "rag": _RAG,
    "agent": _AGENT,
    "strict": _STRICT,
    "monitor-only": _MONITOR,
}
