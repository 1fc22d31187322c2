"""Redaction: seeded texts with known fakes, every call timed by itself, text in and text out.

Ours must give the text with each fake replaced by its entity type and nothing else changed.
"""

from __future__ import annotations

import random
from typing import Any

from benches import fakes, synthetic
from benches.context import Context, engine_records
from benches.corpora import digest
from benches.definition import Definition
from benches.errors import BenchError, WrongCount
from benches.models import Record
from benches.models.common import against, label, pairs, settings_notes
from benches.summary import spread
from benches.table import Table, figure, size, times
from benches.timing import settle, single_calls, timer_overhead_ns

SEED = 23

#: What takes the place of a fake of each kind.
ENTITIES = {
    "email": "EMAIL_ADDRESS",
    "credit_card": "CREDIT_CARD",
    "us_ssn": "US_SSN",
    "iban": "IBAN_CODE",
    "ip": "IP_ADDRESS",
}


def run(definition: Definition, context: Context) -> dict[str, Any]:
    """Blocks of calls in turns. Ours must find what is planted, replace it, and leave the rest as it was."""
    runners = {name: runner for name, runner in context.runners(definition).items() if runner.redact}
    kinds = [str(kind) for kind in definition.options["kinds"]]
    count, blocks = int(definition.options["texts"]), int(definition.options["blocks"])
    length = definition.piece_bytes[0]
    texts, planted, wanted = _texts(kinds, length, count)
    context.say(f"{definition.name}: {len(kinds)} fakes in each of {count} texts of {size(length)}")
    counts = {}
    for name, runner in runners.items():
        assert runner.redact is not None
        counts[name] = {"count": runner.total(texts), "left": _left(runner.redact, texts, planted)}
        if not name.startswith("sift_fast"):
            continue
        wrong = _wrong(runner.redact, texts, wanted)
        if wrong or counts[name]["count"] != count * len(kinds):
            raise WrongCount(
                f"`{definition.name}`: {name} must find {count * len(kinds)} fakes and replace each; it finds "
                f"{counts[name]['count']}, and {wrong} of {count} texts come out otherwise"
            )
    calls = {
        name: int(definition.options["calls" if name.startswith("sift_fast") else "rival_calls"]) for name in runners
    }
    overhead = timer_overhead_ns()
    seen: dict[str, list[int]] = {name: [] for name in runners}
    settle()
    names = list(runners)
    for block in range(blocks):
        shift = block % len(names)
        for name in names[shift:] + names[:shift]:
            redact = runners[name].redact
            assert redact is not None
            each = max(1, calls[name] // blocks)
            turned = texts[block * each % count :] + texts[: block * each % count]
            single_calls(redact, turned, min(each, 20))
            seen[name] += single_calls(redact, turned, each)
    cell = {
        "input": {
            "kinds": kinds,
            "texts": count,
            "planted": len(kinds),
            "piece_bytes": length,
            "sha256": digest(texts),
        },
        "timer_overhead_ns": overhead,
        "engines": {
            name: {**counts[name], "ns": spread([max(0.0, raw - overhead) for raw in raws])}
            for name, raws in seen.items()
        },
    }
    return {"engines": engine_records(runners.values()), "cells": [cell]}


def _texts(kinds: list[str], length: int, count: int) -> tuple[list[str], list[list[str]], list[str]]:
    """Texts, the fakes in each, and what each is with its fakes replaced."""
    source = random.Random(SEED)
    texts, planted, wanted = [], [], []
    for _ in range(count):
        values = [fakes.make(kind, source) for kind in kinds]
        source.shuffle(values)
        room = length - sum(len(fake.value) + 2 for fake in values)
        if room < len(kinds) + 1:
            raise BenchError(f"{len(kinds)} fakes do not fit into {length} bytes")
        gap = room // (len(values) + 1)
        fillers = [synthetic.filler(source, gap) for _ in range(len(values) + 1)]
        text = _joined(fillers, [fake.value for fake in values])
        fillers[-1] += synthetic.filler(source, length - len(text))
        texts.append(_joined(fillers, [fake.value for fake in values]))
        planted.append([fake.sensitive for fake in values])
        wanted.append(_joined(fillers, [f"<{ENTITIES[fake.kind]}>" for fake in values]))
    return texts, planted, wanted


def _joined(fillers: list[str], values: list[str]) -> str:
    return fillers[0] + "".join(f" {value} {filler}" for value, filler in zip(values, fillers[1:], strict=True))


def _wrong(redact: Any, texts: list[str], wanted: list[str]) -> int:
    """Texts that come out otherwise."""
    return sum(redact(text) != answer for text, answer in zip(texts, wanted, strict=True))


def _left(redact: Any, texts: list[str], planted: list[list[str]]) -> int:
    left = 0
    for text, values in zip(texts, planted, strict=True):
        answer = redact(text)
        left += sum(value in answer for value in values)
    return left


def tables(record: Record) -> list[Table]:
    """P50 / P95 / P99 per engine, what it found and what it let out."""
    (cell,) = record["cells"]
    given = cell["input"]
    rows = []
    for name in record["definition"]["engines"]:
        if name in cell["engines"]:
            engine = cell["engines"][name]
            quantiles = " / ".join(figure(engine["ns"][q] / 1e3) for q in ("p50", "p95", "p99"))
            rows.append([label(name), quantiles, str(engine["count"]), str(engine["left"])])
    rows += [
        [against(ours, rival), f"{times(ratio(cell, ours, rival))} at P50", "", ""]
        for ours, rival in pairs(record, cell)
    ]
    notes = [
        f"{given['planted']} planted fakes ({', '.join(given['kinds'])}) in each of {given['texts']} texts of "
        f"{given['piece_bytes']} bytes: {given['planted'] * given['texts']} are expected, and none in what comes out."
    ]
    notes += settings_notes(record, list(cell["engines"]))
    return [Table("", ["", "redact, us P50/P95/P99", "found", "left in"], rows, notes)]


def ratio(cell: dict[str, Any], ours: str, rival: str) -> float:
    """How many times as long the rival takes, at the median."""
    mine = cell["engines"][ours]["ns"]["p50"]
    return float(cell["engines"][rival]["ns"]["p50"] / mine) if mine else float("inf")


def losses(record: Record) -> list[str]:
    """Where a rival redacts faster."""
    (cell,) = record["cells"]
    return [
        f"{label(ours)} redacts at {times(ratio(cell, ours, rival))} the speed of {label(rival)}"
        for ours, rival in pairs(record, cell)
        if ratio(cell, ours, rival) < 1
    ]
