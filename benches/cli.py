"""The command line of the benchmarks: run, list, report."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from benches import ROOT, machine, models, record, report, targets
from benches.context import Context
from benches.corpora import ENVIRONMENT, Corpora
from benches.definition import Definition, load_all, select
from benches.engines import REQUIREMENTS
from benches.engines import sift_fast as ours
from benches.errors import BenchError
from benches.expected import Expected
from benches.table import Table

#: Models that use more than one core, or processes of their own: they are not pinned.
WIDE = ("batch", "startup", "memory")


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    top = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    top.add_argument("names", nargs="*", help="definitions to run (shell patterns); `list`; `report`; default all")
    top.add_argument("--quick", action="store_true", help="small samples, few repetitions: does it work at all")
    top.add_argument(
        "--corpus", type=Path, metavar="DIR", help=f"folder with code.jsonl.gz and so on (or {ENVIRONMENT})"
    )
    top.add_argument("--record", action="store_true", help="write benches/record/<date>-<name>.json")
    top.add_argument("--update-expected", action="store_true", help="verify counts by the second engine and store them")
    top.add_argument("--engines", default="", metavar="A,B", help="only these engines")
    top.add_argument("--no-pin", action="store_true", help="let the scheduler move single-threaded models")
    top.add_argument("--file", type=Path, action="append", metavar="FILE", help="report: file to rewrite (README.md)")
    top.add_argument("--check", action="store_true", help="report: change nothing, exit 1 when a table is stale")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say. 0 fine, 1 stale tables, 2 an error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    try:
        if options.names == ["list"]:
            return _list(console)
        if options.names == ["report"]:
            return _report(options, console)
        return _run(options, given, console)
    except BenchError as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 2


def _list(console: Console) -> int:
    shown = RichTable("name", "model", "engines", "why")
    for item in load_all():
        shown.add_row(item.name, item.model, ", ".join(item.engines), item.analysis)
    console.print(shown)
    return 0


def _report(options: argparse.Namespace, console: Console) -> int:
    records = record.newest()
    if not records:
        raise BenchError("there are no records; run with --record first")
    stale = False
    for path in options.file or [ROOT / "README.md"]:
        changed, absent = report.rewrite_file(path, records, options.check)
        stale |= changed
        console.print(f"{path.name}: {'stale' if changed and options.check else 'rewritten' if changed else 'fresh'}")
        for name in absent:
            console.print(f"  no record for `{name}`: left as it is", style="yellow")
    return 1 if stale and options.check else 0


def _uses_ours(definitions: Sequence[Definition]) -> bool:
    return any(name.startswith("sift_fast") for item in definitions for name in item.engines)


def _run(options: argparse.Namespace, given: Sequence[str], console: Console) -> int:
    only = [name for name in options.engines.split(",") if name]
    chosen = [item.for_run(options.quick, only) for item in select(load_all(), options.names)]
    chosen = [item for item in chosen if item.engines]
    if not chosen:
        raise BenchError(f"no benchmark has an engine of `{options.engines}`")
    # First of all: a debug build is refused before anything is measured.
    build = ours.build() if _uses_ours(chosen) else {}
    corpora = Corpora(options.corpus)
    if corpora.synthetic:
        console.print(
            f"no corpora given (--corpus DIR or {ENVIRONMENT}): seeded synthetic texts, not to be quoted",
            style="yellow",
        )
    context = Context(
        corpora=corpora,
        expected=Expected(options.update_expected),
        quick=options.quick,
        say=lambda line: console.print(line, style="dim", markup=False, highlight=False),
    )
    measured: dict[str, dict[str, Any]] = {}
    described = machine.describe()
    for item in chosen:
        console.rule(item.name)
        console.print(item.analysis, markup=False, highlight=False)
        context.missing.clear()
        with _Pinned(item.model not in WIDE and not options.no_pin):
            results = models.get(item.model).run(item, context)
        measured[item.name] = made = record.make(
            item,
            results,
            date=machine.now(),
            command=machine.command_line(given),
            machine={**described, "load_at_end": [round(load, 2) for load in os.getloadavg()]},
            quick=options.quick,
            missing=context.missing,
            build=build,
        )
        for table in models.get(item.model).tables(made):
            console.print(rich_table(table))
            for note in table.notes:
                console.print(note, style="dim", markup=False, highlight=False)
        if report.busy(made["machine"]):
            console.print("the machine is busy with other work: only the ratios mean something", style="yellow")
        if options.record:
            console.print(f"recorded: benches/record/{record.write(made).name}", markup=False)
    _finish(console, context, measured, options.update_expected)
    return 0


def _finish(console: Console, context: Context, measured: dict[str, dict[str, Any]], update: bool) -> None:
    if any(name.startswith("sift_fast") for made in measured.values() for name in made["definition"]["engines"]):
        console.rule("targets")
        console.print(rich_table(targets.table(measured)))
        console.rule("where we lose")
        console.print(report.losses(measured), markup=False, highlight=False)
    for name, made in measured.items():
        if report.unverified(made):
            console.print(
                f"{name}: counts on these texts are not verified; --update-expected lets the second engine count",
                style="yellow",
            )
    if update:
        for line in context.expected.save() or ["expected counts: nothing changed"]:
            console.print(line, markup=False, highlight=False)
    if any(made["missing"] for made in measured.values()):
        console.print(f"to compare with all rivals: pip install {' '.join(REQUIREMENTS)}", style="yellow")


class _Pinned:
    """Keeps this process on one core: moving between cores empties caches in the middle of a repetition."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted and hasattr(os, "sched_setaffinity")
        self._before: set[int] = set()

    def __enter__(self) -> None:
        if self._wanted:
            self._before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, {max(self._before)})

    def __exit__(self, *_: object) -> None:
        if self._wanted:
            os.sched_setaffinity(0, self._before)


def rich_table(table: Table) -> RichTable:
    """A table for the terminal."""
    shown = RichTable(title=table.title or None)
    for index, column in enumerate(table.columns):
        shown.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    for row in table.rows:
        shown.add_row(*row)
    return shown
