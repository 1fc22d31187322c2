"""Counters and histograms of the guard in microseconds, and their Prometheus text. No content, no tenant label."""

from __future__ import annotations

import itertools
import threading
from bisect import bisect_left
from collections.abc import Callable
from typing import TypeVar

__all__ = ["BOUNDS_US", "SAMPLED", "Metrics"]

_Key = TypeVar("_Key")

#: Upper bounds of the buckets, microseconds; the last one is open.
BOUNDS_US = (5, 10, 20, 40, 80, 160, 320, 640, 1_250, 2_500, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000)
#: Of so many texts one is measured guardrail by guardrail: reading the clock for each takes as long as a small check.
SAMPLED = 64


class Metrics:
    """What was decided, how often, and how long it took.

    Counting takes no lock where one bytecode does the work; sums may lag behind counts by one event.

    Example:
        >>> metrics = Metrics()
        >>> metrics.verdict("input", "allow", "ok", 12.5)
        >>> metrics.verdicts[("input", "allow", "ok")]
        1
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: `(stage, decision, status)` to a count.
        self.verdicts: dict[tuple[str, str, str], int] = {}
        #: `(guardrail, stage, decision, enforced, status)` to a count.
        self.results: dict[tuple[str, str, str, str, str], int] = {}
        #: Stage to buckets, count and sum of microseconds.
        self.latency: dict[str, list[float]] = {}
        #: `(guardrail, stage)` to the same: every question to one that waits for others, and those of one text in
        #: `SAMPLED` to the rest; `scan` is the scan that they share.
        self.guardrails: dict[tuple[str, str], list[float]] = {}
        self._texts = itertools.count()
        #: Events that were written, and escalation records opened.
        self.events = 0
        self.escalations = 0
        #: What waits to be written, by sort of sink.
        self.lag: Callable[[], dict[str, int]] = dict

    def verdict(self, stage: str, decision: str, status: str, microseconds: float) -> None:
        """Count one verdict."""
        with self._lock:
            key = (stage, decision, status)
            self.verdicts[key] = self.verdicts.get(key, 0) + 1
            _observe(self.latency, stage, microseconds)

    def result(self, guardrail: str, stage: str, decision: str, enforced: str, status: str) -> None:
        """Count what one guardrail said."""
        with self._lock:
            key = (guardrail, stage, decision, enforced, status)
            self.results[key] = self.results.get(key, 0) + 1

    def is_timed(self) -> bool:
        """Whether what each guardrail takes is measured for the text that begins now."""
        return next(self._texts) % SAMPLED == 0

    def took(self, guardrail: str, stage: str, microseconds: float) -> None:
        """Record how long a guardrail took."""
        with self._lock:
            _observe(self.guardrails, (guardrail, stage), microseconds)

    def quantile(self, stage: str, part: float) -> float:
        """An upper bound of a quantile of a stage's latency, microseconds; 0 where there is none."""
        row = self.latency.get(stage)
        if row is None:
            return 0.0
        wanted, seen = part * row[-2], 0.0
        for bound, count in zip(BOUNDS_US, row, strict=False):
            seen += count
            if seen >= wanted:
                return float(bound)
        return float("inf")

    def prometheus(self) -> str:
        """All of it in the text format of Prometheus, version 0.0.4. Durations are in seconds, its base unit."""
        with self._lock:
            lines = ["# TYPE sift_verdicts_total counter"]
            for (stage, decision, status), count in sorted(self.verdicts.items()):
                labels = f'stage="{stage}",decision="{decision}",status="{status}"'
                lines.append(f"sift_verdicts_total{{{labels}}} {count}")
            lines.append("# TYPE sift_guardrail_results_total counter")
            for (guardrail, stage, decision, enforced, status), count in sorted(self.results.items()):
                labels = (
                    f'guardrail="{_escaped(guardrail)}",stage="{stage}",decision="{decision}",'
                    f'enforced="{enforced}",status="{status}"'
                )
                lines.append(f"sift_guardrail_results_total{{{labels}}} {count}")
            lines.append("# TYPE sift_check_duration_seconds histogram")
            for stage, row in sorted(self.latency.items()):
                lines += _histogram("sift_check_duration_seconds", f'stage="{stage}"', row)
            lines.append("# TYPE sift_guardrail_duration_seconds histogram")
            for (guardrail, stage), row in sorted(self.guardrails.items()):
                labels = f'guardrail="{_escaped(guardrail)}",stage="{stage}"'
                lines += _histogram("sift_guardrail_duration_seconds", labels, row)
            lines.append("# TYPE sift_events_total counter")
            lines.append(f"sift_events_total {self.events}")
            lines.append("# TYPE sift_escalations_total counter")
            lines.append(f"sift_escalations_total {self.escalations}")
            lines.append("# TYPE sift_events_waiting gauge")
            lines += [f'sift_events_waiting{{sink="{name}"}} {count}' for name, count in sorted(self.lag().items())]
        return "\n".join(lines) + "\n"


def _observe(rows: dict[_Key, list[float]], key: _Key, microseconds: float) -> None:
    row = rows.get(key)
    if row is None:
        row = rows[key] = [0.0] * (len(BOUNDS_US) + 3)
    row[bisect_left(BOUNDS_US, microseconds)] += 1
    row[-2] += 1
    row[-1] += microseconds


def _histogram(name: str, label: str, row: list[float]) -> list[str]:
    out, seen = [], 0.0
    for bound, count in zip(BOUNDS_US, row, strict=False):
        seen += count
        out.append(f'{name}_bucket{{{label},le="{bound / 1e6:g}"}} {seen:g}')
    out.append(f'{name}_bucket{{{label},le="+Inf"}} {row[-2]:g}')
    return [*out, f"{name}_sum{{{label}}} {row[-1] / 1e6:.9g}", f"{name}_count{{{label}}} {row[-2]:g}"]


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
