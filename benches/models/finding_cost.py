"""The cost of one finding: the same neutral text with and without planted fakes, and the difference.

Only kinds that every engine finds exactly once take part, so the number of findings is the same on
both sides. `read` looks at rule, start and end of each finding, as a caller does who acts on it; `scan`
drops the result unseen.
"""

from __future__ import annotations

import random
from typing import Any

from benches import fakes, synthetic
from benches.context import Context, engine_records
from benches.corpora import digest
from benches.definition import Definition
from benches.engines.base import Runner
from benches.errors import WrongCount
from benches.models import Record
from benches.models.common import against, label, pairs, settings_notes
from benches.table import Table, figure, times
from benches.timing import every, interleave

SEED = 11


def run(definition: Definition, context: Context) -> dict[str, Any]:
    """Texts of `piece_bytes` with 0 and `planted` fakes each."""
    runners = context.runners(definition)
    planted = int(definition.options["planted"])
    count = int(definition.options["texts"])
    wanted = list(definition.options["kinds"])
    kinds = [kind for kind in wanted if all(_found_once(runner, kind) for runner in runners.values())]
    if not kinds:
        raise WrongCount(f"`{definition.name}`: no kind is found exactly once by every engine")
    context.say(f"{definition.name}: {planted} fakes of {', '.join(kinds)} in each of {count} texts")
    clean, marked = _texts(kinds, definition.piece_bytes[0], planted, count)
    jobs = {}
    for name, runner in runners.items():
        found = runner.total(runner.prepare(marked)), runner.total(runner.prepare(clean))
        if found != (planted * count, 0):
            raise WrongCount(
                f"`{definition.name}`: {name} must report {planted * count} findings in the planted and 0 in the "
                f"neutral texts and reports {found[0]} and {found[1]}"
            )
        for what, texts in (("clean", clean), ("marked", marked)):
            inputs = runner.prepare(texts)
            jobs[f"{name} scan {what}"] = every(runner.scan, inputs)
            jobs[f"{name} read {what}"] = every(_reading(runner), inputs)
    series = interleave(jobs, definition.repeats)
    engines: dict[str, Any] = {}
    for name in runners:
        engines[name] = {"count": planted * count}
        for how in ("scan", "read"):
            cost = series[f"{name} {how} marked"].thread - series[f"{name} {how} clean"].thread
            engines[name][f"{how}_ns_per_finding"] = cost / (planted * count)
            for what in ("clean", "marked"):
                engines[name][f"{how}_{what}"] = series[f"{name} {how} {what}"].as_record()
    cell = {
        "input": {
            "kinds": kinds,
            "left_out": sorted(set(wanted) - set(kinds)),
            "texts": count,
            "planted": planted,
            "piece_bytes": definition.piece_bytes[0],
            "sha256": digest(marked),
        },
        "engines": engines,
    }
    return {"engines": engine_records(runners.values()), "cells": [cell]}


def _reading(runner: Runner) -> Any:
    scan, read = runner.scan, runner.read
    return lambda item: read(scan(item))


def _found_once(runner: Runner, kind: str) -> bool:
    random_source = random.Random(f"{SEED}/{kind}")
    texts = []
    for _ in range(20):
        value = fakes.make(kind, random_source).value
        texts.append(f"{synthetic.filler(random_source, 80)} {value} {synthetic.filler(random_source, 80)}")
    return all(runner.count(runner.scan(item)) == 1 for item in runner.prepare(texts))


def _texts(kinds: list[str], length: int, planted: int, count: int) -> tuple[list[str], list[str]]:
    random_source = random.Random(SEED)
    clean: list[str] = []
    marked: list[str] = []
    for index in range(count):
        values = [fakes.make(kinds[(index + k) % len(kinds)], random_source).value for k in range(planted)]
        room = (length - sum(map(len, values)) - 2 * planted) // (planted + 1)
        gaps = [synthetic.filler(random_source, room) for _ in range(planted + 1)]
        # The neutral twin has words of the same length where the fakes stand: same bytes, no finding.
        twins = [synthetic.filler(random_source, len(value)) for value in values]
        for into, middles in ((marked, values), (clean, twins)):
            into.append(gaps[0] + "".join(f" {middle} {gap}" for middle, gap in zip(middles, gaps[1:], strict=True)))
    return clean, marked


def tables(record: Record) -> list[Table]:
    """Nanoseconds a finding, dropped and read."""
    rows = []
    (cell,) = record["cells"]
    for name in record["definition"]["engines"]:
        if name in cell["engines"]:
            engine = cell["engines"][name]
            rows.append([label(name), *(_cost(engine[f"{how}_ns_per_finding"]) for how in ("scan", "read"))])
    for ours, rival in pairs(record, cell):
        rows.append([against(ours, rival), *(times(ratio(cell, ours, rival, how)) for how in ("scan", "read"))])
    given = cell["input"]
    notes = [
        f"{given['planted']} planted fakes ({', '.join(given['kinds'])}) in each of {given['texts']} texts of "
        f"{given['piece_bytes']} bytes, less the same texts without; all engines report the same number."
    ]
    if given["left_out"]:
        notes.append(f"Left out because not every engine finds them exactly once: {', '.join(given['left_out'])}.")
    notes += settings_notes(record, list(cell["engines"]))
    return [Table("", ["", "ns a finding, dropped", "ns a finding, read"], rows, notes)]


def _cost(nanoseconds: float) -> str:
    return figure(nanoseconds) if nanoseconds > 0 else "below noise"


def ratio(cell: dict[str, Any], ours: str, rival: str, how: str) -> float:
    """How many times as dear a finding of the rival is."""
    mine = cell["engines"][ours][f"{how}_ns_per_finding"]
    return float(cell["engines"][rival][f"{how}_ns_per_finding"] / mine) if mine > 0 else float("inf")


def losses(record: Record) -> list[str]:
    """Where a finding of ours costs more."""
    (cell,) = record["cells"]
    return [
        f"a finding that is {'read' if how == 'read' else 'dropped'} costs {label(ours)} "
        f"{times(1 / ratio(cell, ours, rival, how))} what it costs {label(rival)}"
        for ours, rival in pairs(record, cell)
        for how in ("scan", "read")
        if ratio(cell, ours, rival, how) < 1
    ]
