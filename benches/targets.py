"""What the engine must reach and what it aims at, computed from records: met, missed, or not measured.

Ratios are of one run on one machine and are what counts; absolute figures are for orientation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benches.table import Table, figure

Records = Mapping[str, Mapping[str, Any]]

ORIENTATION = ("code", "docs", "chat")


class NotMeasured(Exception):
    """The record or the cell that a target needs is not there."""


@dataclass(frozen=True)
class Target:
    """One line: `measure` gives the worst value over the cells it speaks of, in `unit`."""

    what: str
    unit: str
    must: float
    aim: float
    more_is_better: bool
    measure: Callable[[Records], float]

    def verdict(self, value: float) -> str:
        """`aim`, `must`, or `missed`."""
        for word, limit in (("aim", self.aim), ("must", self.must)):
            if (value >= limit) if self.more_is_better else (value <= limit):
                return word
        return "missed"


def _cells(records: Records, name: str, **wanted: Any) -> list[Mapping[str, Any]]:
    if name not in records:
        raise NotMeasured
    cells = [
        cell for cell in records[name]["cells"] if all(cell["input"].get(key) == value for key, value in wanted.items())
    ]
    if not cells:
        raise NotMeasured
    return cells


def _worst(values: Iterable[float], more_is_better: bool) -> float:
    return min(values) if more_is_better else max(values)


def _engine(cell: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    if name not in cell["engines"]:
        raise NotMeasured
    engine: Mapping[str, Any] = cell["engines"][name]
    return engine


def _speed_ratio(ours: str, rival: str) -> Callable[[Records], float]:
    def measure(records: Records) -> float:
        cells = _cells(records, "throughput", piece_bytes=4096)
        return _worst((_engine(c, ours)["mb_per_s"] / _engine(c, rival)["mb_per_s"] for c in cells), True)

    return measure


def _slowest_default(records: Records) -> float:
    cells = [c for c in _cells(records, "throughput", piece_bytes=4096) if c["input"]["corpus"] in ORIENTATION]
    return _worst((_engine(c, "sift_fast_default")["mb_per_s"] for c in cells), True)


def _call_us(name: str, piece_bytes: int) -> Callable[[Records], float]:
    def measure(records: Records) -> float:
        cells = _cells(records, name, piece_bytes=piece_bytes)
        return _worst((_engine(c, "sift_fast_default")["ns"]["p50"] / 1e3 for c in cells), False)

    return measure


def _call_ratio(records: Records) -> float:
    cells = _cells(records, "latency", piece_bytes=1024)
    return _worst((_engine(c, "kingfisher")["ns"]["p50"] / _engine(c, "sift_fast")["ns"]["p50"] for c in cells), True)


def _finding_ratio(records: Records) -> float:
    (cell,) = _cells(records, "finding_cost")
    ours, rival = (_engine(cell, name)["read_ns_per_finding"] for name in ("sift_fast", "kingfisher"))
    if ours <= 0:
        raise NotMeasured  # lost in the noise: neither met nor missed
    return float(rival / ours)


def _startup_ms(records: Records) -> float:
    (cell,) = _cells(records, "startup")
    return float(_engine(cell, "sift_fast_default")["build_ns"]["p50"] / 1e6)


def _import_ms(records: Records) -> float:
    (cell,) = _cells(records, "startup")
    return float(_engine(cell, "sift_fast_default")["import_ns"]["p50"] / 1e6)


def _held(q: str) -> Callable[[Records], float]:
    def measure(records: Records) -> float:
        cells = _cells(records, "stream_held", corpus="chat")
        return _worst((_engine(c, "sift_fast")["held"][q] for c in cells), False)

    return measure


def _feed_us(records: Records) -> float:
    cells = _cells(records, "stream_feed", characters=24)
    return _worst((_engine(c, "sift_fast")["ns"]["p50"] / 1e3 for c in cells), False)


def _stream_kib(records: Records) -> float:
    (cell,) = _cells(records, "memory")
    parts = _engine(cell, "sift_fast")
    if "per_stream_bytes" not in parts:
        raise NotMeasured
    return float(parts["per_stream_bytes"]["median"] / 1024)


def _batch(records: Records) -> float:
    return _worst((_engine(c, "sift_fast")["speedup"] for c in _cells(records, "batch")), True)


TARGETS = (
    Target(
        "secrets, 4 KB pieces, against kingfisher_sdk base64=False, worst corpus",
        "times",
        6,
        12,
        True,
        _speed_ratio("sift_fast", "kingfisher"),
    ),
    Target(
        "secrets, both decoding, 4 KB pieces, against kingfisher_sdk defaults, worst corpus",
        "times",
        5,
        10,
        True,
        _speed_ratio("sift_fast_decoding", "kingfisher_defaults"),
    ),
    Target(
        "default set, 4 KB pieces, against kingfisher_sdk defaults, worst corpus",
        "times",
        5,
        5,
        True,
        _speed_ratio("sift_fast_default", "kingfisher_defaults"),
    ),
    Target("default set, 4 KB pieces, slowest of code, docs, chat", "MB/s", 450, 1000, True, _slowest_default),
    Target("one scan of 1 KB, default set, P50, worst corpus", "us", 2.5, 1.2, False, _call_us("latency", 1024)),
    Target("one scan of 200 B, default set, P50, worst corpus", "us", 0.9, 0.5, False, _call_us("latency", 200)),
    Target("one scan of 1 KB against kingfisher_sdk base64=False, worst corpus", "times", 4, 8, True, _call_ratio),
    Target("cost of one finding against kingfisher_sdk base64=False", "times", 10, 30, True, _finding_ratio),
    Target(
        "one scan of 1 KB, default set, cold caches, P50, worst corpus", "us", 25, 12, False, _call_us("cold", 1024)
    ),
    Target("Scanner() in a new process, P50", "ms", 50, 10, False, _startup_ms),
    Target("import in a new process, P50", "ms", 50, 50, False, _import_ms),
    Target("hold-back, chat, secrets, P50", "characters", 16, 8, False, _held("p50")),
    Target("hold-back, chat, secrets, P99", "characters", 64, 32, False, _held("p99")),
    Target("one feed of 24 characters, P50", "us", 2, 0.8, False, _feed_us),
    Target("memory of an open stream", "KiB", 64, 16, False, _stream_kib),
    Target("a batch on 2 cores against one, worst corpus", "times", 1.8, 1.95, True, _batch),
)


def table(records: Records, targets: Sequence[Target] = TARGETS) -> Table:
    """All targets and what was measured."""
    rows = []
    for target in targets:
        try:
            value = target.measure(records)
            row = [figure(value), target.verdict(value)]
        except NotMeasured:
            row = ["", "not measured"]
        rows.append([target.what, f"{figure(target.must)} {target.unit}", f"{figure(target.aim)} {target.unit}", *row])
    notes = [*_control(records), *_builds(records)] if targets is TARGETS else []
    return Table("", ["what", "must", "aim", "measured", "reached"], rows, notes)


def _control(records: Records) -> list[str]:
    """The batch target means nothing without what two threads were worth at that moment."""
    try:
        gains = [_engine(cell, "control")["speedup"] for cell in _cells(records, "batch")]
    except NotMeasured:
        return []
    return [f"The two-thread control beside the batches gained {figure(min(gains))} to {figure(max(gains))} times."]


def _builds(records: Records) -> list[str]:
    """Rows of one table may be of several builds: which record is of which rules, and when the machine was busy."""
    named: dict[str, list[str]] = {}
    for name in sorted(_NEEDED & set(records)):
        record = records[name]
        load = record["machine"]["load_at_start"][0]
        named.setdefault(record["build"].get("rules_version", "of an earlier build"), []).append(
            f"{name} ({record['date'][:16].replace('T', ' ')}, load {load:g} before)"
        )
    return [f"Recorded with rules {version}: {', '.join(names)}." for version, names in sorted(named.items())]


#: The benchmarks that the targets are read from.
_NEEDED = frozenset(
    {"throughput", "latency", "cold", "finding_cost", "startup", "memory", "batch", "stream_held", "stream_feed"}
)


def missed(records: Records) -> list[str]:
    """One sentence for each target whose `must` is missed."""
    lines = []
    for target in TARGETS:
        try:
            value = target.measure(records)
        except NotMeasured:
            continue
        if target.verdict(value) == "missed":
            lines.append(f"{target.what}: {figure(value)} {target.unit}, must be {figure(target.must)}")
    return lines
