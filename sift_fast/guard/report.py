"""What an event file says: how often each guardrail acts, who is refused most, what is slow."""

from __future__ import annotations

import itertools
import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

__all__ = ["report"]


def report(lines: Iterable[str]) -> dict[str, Any]:
    """A summary of event schema 1.

    Args:
        lines: of an event file.

    Returns:
        `events`, `broken` (lines that are no event), `decisions`, `statuses`, `stages`; `guardrails` with, for each,
        how often it stood for what and how often that was not enforced; `tenants` by refusals, each dropped document
        one, `dropped` in all; `latency_us` with P50, P95 and P99 by stage, `waited_us` by guardrail that waits for
        others, the slowest first. Allow events are sampled: they weigh by their sampling.
    """
    decisions: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    stages: Counter[str] = Counter()
    tenants: Counter[str] = Counter()
    guardrails: dict[str, Counter[str]] = defaultdict(Counter)
    latency: dict[str, list[tuple[float, float]]] = defaultdict(list)
    waited: dict[str, list[tuple[float, float]]] = defaultdict(list)
    events = broken = dropped = 0
    for line in lines:
        try:
            event = json.loads(line)
            if event["schema"] != 1 or event["type"] != "verdict":
                continue
            weight = 1 / event["sampled"] if event["sampled"] else 1.0
            stage, decision = event["stage"], event["decision"]
            parts = [(part["name"], part["decision"], part["enforced"], part["status"]) for part in event["guardrails"]]
            took, told, tenant = float(event["latency_us"]), event["status"], event.get("tenant", "")
            counted, missing = round(weight), int(event.get("dropped", 0))
            slow = [(str(name), float(each)) for name, each in event.get("waited_us", {}).items()]
            if not all(isinstance(word, str) for word in (stage, decision, told, tenant, *sum(parts, ()))):
                raise TypeError("no event")
        except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
            broken += 1
            continue
        events += 1
        decisions[decision] += counted
        statuses[told] += counted
        stages[stage] += counted
        latency[stage].append((took, weight))
        for name, each in slow:
            waited[name].append((each, weight))
        dropped += missing
        refused = missing or decision in {"block", "escalate"}
        if refused and tenant:
            tenants[tenant] += max(1, missing)
        for name, stood, enforced, status in parts:
            guardrails[name][stood] += 1
            if stood != enforced:
                guardrails[name]["not enforced"] += 1
            if status != "ok":
                guardrails[name][status] += 1
    return {
        "events": events,
        "broken": broken,
        "decisions": dict(decisions.most_common()),
        "statuses": dict(statuses.most_common()),
        "stages": dict(stages.most_common()),
        "guardrails": {name: dict(guardrails[name]) for name in sorted(guardrails)},
        "dropped": dropped,
        "tenants": dict(tenants.most_common(20)),
        "latency_us": {stage: _quantiles(values) for stage, values in sorted(latency.items())},
        "waited_us": dict(
            sorted(((name, _quantiles(values)) for name, values in waited.items()), key=lambda row: -row[1]["p95"])
        ),
    }


def _quantiles(values: list[tuple[float, float]]) -> dict[str, float]:
    """Quantiles of values with weights."""
    ordered = sorted(values)
    sums = list(itertools.accumulate(weight for _, weight in ordered))
    places = {name: bisect_right(sums, part * sums[-1]) for name, part in _PARTS}
    return {name: ordered[min(len(ordered) - 1, place)][0] for name, place in places.items()}


_PARTS = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
