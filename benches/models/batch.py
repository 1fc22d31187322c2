"""Batches: many texts in one call on one thread and on two, beside a control that shares nothing.

The control says what two threads are worth on this machine at this moment. It is `zlib.crc32` over
64 KB buffers on two Python threads: crc32 gives the interpreter lock away above 5 KB, is bound by the
core and not by memory, and does no allocation. (`bytes.find`, Python's door to memchr, keeps the lock.)
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benches.context import Context, engine_records
from benches.definition import Definition
from benches.models import Record
from benches.models.common import corpus_label, label, settings_notes
from benches.table import Table, figure, size, times
from benches.timing import interleave

CONTROL = "control"


def run(definition: Definition, context: Context) -> dict[str, Any]:
    """One thread and two, in turns, by the wall clock."""
    runners = {name: runner for name, runner in context.runners(definition).items() if runner.batch}
    threads = int(definition.options["threads"])
    copies = int(definition.options.get("copies", 1))
    cells = []
    for corpus in definition.corpora:
        pieces = context.corpora.pieces(corpus, definition.piece_bytes[0], definition.sample_bytes)
        context.say(f"{definition.name}: {corpus}, 1 and {threads} threads")
        texts = list(pieces.texts) * copies
        jobs: dict[str, Callable[[], object]] = {}
        counts: dict[str, int] = {}
        for name, runner in runners.items():
            batch = runner.batch
            assert batch is not None
            alone, together = batch(texts, 1), batch(texts, threads)
            if alone != together or alone != runner.total(texts):
                raise AssertionError(f"{name}: a batch must find what single scans find")
            counts[name] = alone
            jobs[f"{name} 1"] = partial(batch, texts, 1)
            jobs[f"{name} {threads}"] = partial(batch, texts, threads)
        buffers = _buffers(texts)
        jobs[f"{CONTROL} 1"] = partial(_control, buffers, 1)
        jobs[f"{CONTROL} {threads}"] = partial(_control, buffers, threads)
        series = interleave(jobs, definition.repeats, enough_ns=int(definition.options["repetition_ms"]) * 1_000_000)
        byte_count = pieces.byte_count * copies
        engines = {
            name: {
                "count": counts.get(name),
                "one": series[f"{name} 1"].as_record(),
                "many": series[f"{name} {threads}"].as_record(),
                "mb_per_s_one": byte_count / series[f"{name} 1"].wall * 1e3,
                "speedup": series[f"{name} 1"].wall / series[f"{name} {threads}"].wall,
            }
            for name in [*runners, CONTROL]
        }
        del engines[CONTROL]["mb_per_s_one"]
        cells.append({"input": {**pieces.as_record(), "threads": threads, "copies": copies}, "engines": engines})
    return {"engines": engine_records(runners.values()), "cells": cells}


def _buffers(texts: Sequence[str]) -> list[bytes]:
    data = "".join(texts).encode("utf-8", "replace")
    # Repeated until one pass lasts about as long as a batch does.
    return [data[start : start + 65536] for start in range(0, len(data), 65536)] * 4


def _control(buffers: list[bytes], threads: int) -> None:
    def share(index: int) -> None:
        for buffer in buffers[index::threads]:
            zlib.crc32(buffer)

    if threads == 1:
        share(0)
        return
    crew = [threading.Thread(target=share, args=(index,)) for index in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()


def tables(record: Record) -> list[Table]:
    """Speed of one thread and the gain of more."""
    cells = record["cells"]
    names = [name for name in record["definition"]["engines"] if name in cells[0]["engines"]]
    threads = cells[0]["input"]["threads"]
    columns = ["corpus, piece"]
    for name in names:
        columns += [f"{label(name)}, 1 thread, MB/s", f"{label(name)}, {threads} / 1 threads"]
    columns.append(f"control, {threads} / 1 threads")
    rows = []
    for cell in cells:
        row = [f"{corpus_label(cell)}, {size(cell['input']['piece_bytes'])}"]
        for name in names:
            row += [figure(cell["engines"][name]["mb_per_s_one"]), times(cell["engines"][name]["speedup"])]
        row.append(times(cell["engines"][CONTROL]["speedup"]))
        rows.append(row)
    notes = ["Wall clock. The control is zlib.crc32 on as many Python threads: what the machine gave just then."]
    return [Table("", columns, rows, notes + settings_notes(record, names))]


def losses(record: Record) -> list[str]:
    """Where more threads gain us less than a rival, or clearly less than the control."""
    found = []
    for cell in record["cells"]:
        engines = cell["engines"]
        ours = engines.get("sift_fast")
        if ours is None:
            continue
        for name, other in engines.items():
            slack = 0.95 if name == CONTROL else 1.0
            if name != "sift_fast" and ours["speedup"] < slack * other["speedup"]:
                found.append(
                    f"{cell['input']['threads']} threads gain a batch of {corpus_label(cell)} "
                    f"{times(ours['speedup'])}, {'the control' if name == CONTROL else label(name)} "
                    f"{times(other['speedup'])}"
                )
    return found
