"""What several models share: reading cells, naming corpora and engines in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Short, since they head columns; what each was set to stands under the table (`settings_notes`).
LABELS = {
    "sift_fast_default": "sift_fast (default)",
    "sift_fast_kinds": "sift_fast",
    "sift_fast_pii": "sift_fast with pii",
    "sift_fast_shared": "sift_fast, same entities",
    "sift_fast_presidio": "sift_fast, Presidio's entities",
    "kingfisher": "kingfisher",
    "kingfisher_cold": "kingfisher, first start",
    "kingfisher_defaults": "kingfisher (default)",
    "detect_secrets": "detect-secrets",
    "re_gated": "re, gated",
    "litellm_patterns": "LiteLLM",
    "litellm_shared": "LiteLLM, same entities",
    "litellm": "LiteLLM",
    "presidio": "Presidio",
    "presidio_defaults": "Presidio (default)",
    "langchain": "LangChain",
}


def label(engine: str) -> str:
    """An engine's name as people know it."""
    return LABELS.get(engine, engine)


def corpus_label(cell: Mapping[str, Any]) -> str:
    """A corpus in a table; generated text says so in every row."""
    return f"{cell['input']['corpus']}{' (synthetic)' if cell['input'].get('synthetic') else ''}"


def against(ours: str, rival: str) -> str:
    """The head of a column of ratios: more is better for us."""
    return f"{label(ours)} vs {label(rival)}"


def pairs(record: Mapping[str, Any], cell: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The quoted comparisons of which both sides were measured in this cell."""
    measured = cell["engines"]
    return [(ours, rival) for ours, rival in record["definition"]["pairs"] if ours in measured and rival in measured]


def settings_notes(record: Mapping[str, Any], engines: Sequence[str]) -> list[str]:
    """One line that says what each engine was set to."""
    described = record["engines"]
    parts = []
    for name in engines:
        if name in described:
            rules = described[name].get("facts", {}).get("rules")
            parts.append(f"{label(name)}: {described[name]['settings']}" + (f", {rules} rules" if rules else ""))
    return ["; ".join(parts) + "."] if parts else []
