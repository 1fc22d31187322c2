"""Leaks of streams: the same texts in pieces of 1 to 64 characters and in every two pieces, and at how
many of these splits each filter lets a datum out that it removes from the whole text.

*leaks*: four characters in a row of what must not come out are in the streamed output and not in the
engine's own output for the whole text. *differs*: the streamed output is not the output for the whole
text (for a filter whose consumer never gets the tail: not a beginning of it).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from benches import fakes, synthetic
from benches.context import Context, engine_records
from benches.corpora import digest
from benches.definition import Definition
from benches.engines.base import StreamEngine
from benches.errors import WrongCount
from benches.models import Record
from benches.models.common import label, settings_notes
from benches.table import Table

SEED = 5
GRAM = 4
KIND_NAMES = {
    "email": "e-mail address",
    "url": "URL with a token",
    "credit_card": "card number",
    "github": "GitHub token",
    "slack": "Slack token",
}


def run(definition: Definition, context: Context) -> dict[str, Any]:
    """Every kind, every text, every split, every filter."""
    streams = context.streams(definition)
    count = int(definition.options["texts"])
    cells = []
    for kind in definition.options["kinds"]:
        context.say(f"{definition.name}: {KIND_NAMES.get(kind, kind)}")
        cases = _cases(kind, count, int(definition.options["before"]), int(definition.options["after"]))
        engines = {
            name: _count(engine, kind, cases, definition) for name, engine in streams.items() if engine.covers(kind)
        }
        cells.append(
            {
                "input": {"kind": kind, "texts": count, "sha256": digest(text for text, _ in cases)},
                "engines": engines,
            }
        )
        ours = engines.get("sift_fast_kinds")
        if ours is not None and (ours["differs"] or ours["leaks"]):
            raise WrongCount(
                f"`{definition.name}`: streams of sift_fast differ from the whole text at {ours['differs']} splits "
                f"of kind `{kind}` and leak at {ours['leaks']}; that is a bug, not a number to publish"
            )
    return {"engines": engine_records(streams.values()), "cells": cells}


def _cases(kind: str, count: int, before: int, after: int) -> list[tuple[str, fakes.Fake]]:
    random_source = random.Random(f"{SEED}/{kind}")
    cases = []
    for _ in range(count):
        fake = fakes.make(kind, random_source)
        head = synthetic.filler(random_source, random_source.randrange(before))
        # More than any filter holds back: what would leak has come out before the text ends.
        cases.append((f"{head} {fake.value} {synthetic.filler(random_source, after)}", fake))
    return cases


def splits(text: str, fake: fakes.Fake, sizes: Sequence[int]) -> Iterator[list[str]]:
    """The text in pieces of each size, then in two pieces cut at every place in or beside the fake."""
    for length in sizes:
        yield [text[start : start + length] for start in range(0, len(text), length)]
    start = text.index(fake.value)
    for cut in range(max(1, start - 2), min(len(text), start + len(fake.value) + 3)):
        yield [text[:cut], text[cut:]]


def _count(
    engine: StreamEngine, kind: str, cases: Sequence[tuple[str, fakes.Fake]], definition: Definition
) -> dict[str, Any]:
    sizes = range(1, int(definition.options["largest_piece"]) + 1)
    total = leaks = differs = leaking_sizes = 0
    by_size = dict.fromkeys(sizes, 0)
    for text, fake in cases:
        whole = engine.whole(kind, text)
        if fake.sensitive in whole:
            raise WrongCount(f"{engine.name} does not remove a `{kind}` from a whole text: nothing to compare")
        for index, chunks in enumerate(splits(text, fake, sizes)):
            out = "".join(engine.run(kind, chunks))
            total += 1
            differs += not (out == whole if engine.complete else whole.startswith(out))
            leaked = leaks_of(fake.sensitive, out, whole)
            leaks += leaked
            if index < len(sizes):
                by_size[sizes[index]] += leaked
    leaking_sizes = sum(1 for number in by_size.values() if number)
    return {
        "splits": total,
        "leaks": leaks,
        "differs": differs,
        "piece_sizes": len(sizes),
        "leaking_piece_sizes": leaking_sizes,
        "leaks_by_piece_size": {str(length): number for length, number in by_size.items()},
    }


def leaks_of(sensitive: str, out: str, whole: str) -> bool:
    """Whether a run of `GRAM` characters of `sensitive` came out that the whole text's answer lacks."""
    grams = (sensitive[start : start + GRAM] for start in range(len(sensitive) - GRAM + 1))
    return any(gram in out and gram not in whole for gram in grams)


def tables(record: Record) -> list[Table]:
    """Leaking splits of all splits, and at how many of the piece sizes at least one text leaks."""
    names = list(record["engines"])
    columns = ["datum", *(f"{label(name)}: leaks / splits (piece sizes that leak)" for name in names)]
    rows = []
    for cell in record["cells"]:
        row = [KIND_NAMES.get(cell["input"]["kind"], cell["input"]["kind"])]
        for name in names:
            got = cell["engines"].get(name)
            row.append(
                f"{got['leaks']:,} / {got['splits']:,} ({got['leaking_piece_sizes']} of {got['piece_sizes']})"
                if got
                else "not covered"
            )
        rows.append(row)
    covered = {name: [cell["engines"][name] for cell in record["cells"] if name in cell["engines"]] for name in names}
    differing = [f"{label(name)} {sum(got['differs'] for got in covered[name]):,}" for name in names]
    notes = [
        f"{record['cells'][0]['input']['texts']} seeded texts of each kind. Splits whose output differs from the "
        f"engine's own answer for the whole text, all kinds: {', '.join(differing)}.",
        *settings_notes(record, names),
    ]
    return [Table("", columns, rows, notes)]


def losses(record: Record) -> list[str]:
    """A rival that leaks less than we do (we refuse to publish a leak, so none)."""
    del record
    return []
