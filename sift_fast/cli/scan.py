"""`sift-fast scan`: find in files.

Walking, reading, scanning and placing happen in Rust on all cores with the interpreter's lock released; this
thread only watches, so that an interrupt is heard at once.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Unpack

import click

from sift_fast.cli import _reports
from sift_fast.cli._baseline import Baseline, Known, relative
from sift_fast.cli._options import ScannerArguments, make_scanner, scanner_options
from sift_fast.cli._output import check_target, opened
from sift_fast.cli._reports import STANDARD_INPUT, Run, Shown
from sift_fast.cli._text import SEVERITIES, colours, complain, count, megabytes, parse_size, printable
from sift_fast.cli._wide import as_utf8
from sift_fast.cli.app import CLEAN, ERROR, FINDINGS

EPILOG = """\b
Examples:
  sift-fast scan .
  sift-fast scan src docs --rules secrets --fail-on high
  git diff --cached | sift-fast scan -
  sift-fast scan . --write-baseline .sift-baseline.json
  sift-fast scan . --baseline .sift-baseline.json
  sift-fast scan . --format sarif --output sift.sarif

\b
A line with `sift:ignore`, in it or alone before it, is passed over; `sift:ignore[RULE.ID]` names one rule."""

#: Seconds before a progress bar is worth drawing, and between looks at the scan.
PATIENCE, LOOK = 0.4, 0.1
#: Most skipped files that are told one by one.
SHOWN = 5


def _size(_ctx: click.Context, _parameter: click.Parameter, value: str) -> int:
    try:
        return parse_size(value)
    except ValueError as error:
        raise click.BadParameter(f"`{value}` is no size: write a number, or one with k, M or G") from error


class Options(ScannerArguments):
    """What the command is given, besides paths."""

    format: str
    output: str | None
    baseline: str | None
    write_baseline: str | None
    fail_on: str
    no_ignore: bool
    no_inline_ignore: bool
    max_size: int
    threads: int | None
    quiet: bool


@click.command(epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@scanner_options
@click.option(
    "--format",
    type=click.Choice(["text", "jsonl", "sarif"]),
    default="text",
    show_default=True,
    help="Form of the report.",
)
@click.option("--output", "-o", metavar="FILE", help="Write the report to a file, whole or not at all.")
@click.option("--baseline", metavar="FILE", help="Pass over the findings that this file knows.")
@click.option(
    "--write-baseline",
    metavar="FILE",
    help="Record what is found in this file as known; exit 0 then means recorded.",
)
@click.option(
    "--fail-on",
    type=click.Choice([*SEVERITIES, "never"]),
    default="low",
    show_default=True,
    help="Exit with 1 for findings of this severity or above.",
)
@click.option("--no-ignore", is_flag=True, help="Read what .gitignore and .ignore files leave out.")
@click.option("--no-inline-ignore", is_flag=True, help="Report in spite of `sift:ignore`, for texts of strangers.")
@click.option(
    "--max-size",
    callback=_size,
    default="16M",
    show_default=True,
    metavar="N",
    help="Skip files that are longer, in bytes or with k, M, G.",
)
@click.option(
    "--threads", type=click.IntRange(min=1, max=1024), metavar="N", help="Threads.  [default: one for each processor]"
)
@click.option("--quiet", "-q", is_flag=True, help="No progress and no summary on standard error.")
def scan(paths: tuple[str, ...], **options: Unpack[Options]) -> int:
    """Find secrets, prompt injections and leaks in files.

    Folders are walked as git would: ignore files count, binary files are skipped, links are not followed.
    `-` is standard input. What is found is shown as path:line:column, rule and a masked preview, never as text.
    """
    for target in (options["output"], options["write_baseline"]):
        check_target(target)
    known = Baseline.read(options["baseline"]) if options["baseline"] else None
    if known is None and options["write_baseline"]:
        known = Baseline()
    scanner = make_scanner(options)
    rules = scanner.rules

    started, clock = datetime.now(UTC), time.perf_counter()
    job = _job(scanner, paths, options, known)
    follow(job, drawn=not options["quiet"] and sys.stderr.isatty())
    totals, files = job.totals(), job.files()
    ended, elapsed = datetime.now(UTC), time.perf_counter() - clock

    shown = [
        Shown(os.fsencode(file.path), rules[finding.rule], finding.rule, finding)
        for file in files
        for finding in file.findings
        if not finding.ignored
    ]
    ignored = totals["findings"] - len(shown)
    every, passed = shown, 0
    if known is not None and options["baseline"]:
        new = [one for one in shown if not known.holds(_key(one, options["baseline"]))]
        passed, shown = len(shown) - len(new), new
    unreadable = [(os.fsencode(file.path), file.error) for file in files if file.error is not None]
    incomplete = [(os.fsencode(file.path), ", ".join(file.incomplete)) for file in files if file.incomplete]
    failing = options["fail_on"] != "never" and any(
        SEVERITIES.index(one.rule.severity) >= SEVERITIES.index(options["fail_on"]) for one in shown
    )
    skipped = job.skipped()
    # Whoever names a file wants it scanned: not having done so is no clean result.
    named = any(path in paths for path, _ in skipped)
    code = (
        ERROR if unreadable or incomplete or named else FINDINGS if failing and not options["write_baseline"] else CLEAN
    )

    from sift_fast import _core

    version = str(_core.build_info()["version"])
    if known is not None and options["write_baseline"]:
        target = options["write_baseline"]
        known.replaced(_key(one, target) for one in every).write(target, f"sift-fast {version}")
    _report(
        Run(version, rules, shown, unreadable, incomplete, code, started, ended, keyed=known is not None),
        options["format"],
        options["output"],
    )
    for path, reason in unreadable:
        complain(f"`{printable(path)}` cannot be read: {reason}")
    _skipped(skipped, set(paths), quiet=options["quiet"])
    for path, limits in incomplete:
        complain(f"`{printable(path)}` was not scanned to the end, limits were hit: {limits}")
    if not options["quiet"]:
        _summary(totals, len(shown), ignored, passed, len(unreadable), elapsed)
    return code


def _key(shown: Shown, baseline: str) -> Known:
    path = printable(shown.path) if shown.path == STANDARD_INPUT else relative(shown.path, baseline)
    return path, shown.rule.id, shown.finding.fingerprint.hex()


def _job(scanner: Any, paths: Sequence[str], options: Options, known: Baseline | None) -> Any:
    from sift_fast import _core

    name = os.fsdecode(STANDARD_INPUT)
    text = (name, as_utf8(sys.stdin.buffer.read(), name)) if "-" in paths else None
    return _core.FileScan(
        scanner,
        [path for path in paths if path != "-"],
        text=text,
        ignore_files=not options["no_ignore"],
        inline_ignore=not options["no_inline_ignore"],
        max_size=options["max_size"],
        threads=options["threads"],
        salt=None if known is None else known.salt,
    )


def follow(job: Any, *, drawn: bool) -> None:
    """Run the job on a thread of its own and watch it from here, where signals arrive."""
    failure: list[BaseException] = []

    def work() -> None:
        try:
            job.run()
        except BaseException as error:  # noqa: BLE001 (raised again, on the thread that waits)
            failure.append(error)

    worker = threading.Thread(target=work, name="sift-fast scan", daemon=True)
    worker.start()
    try:
        worker.join(PATIENCE)
        if worker.is_alive() and drawn:
            _draw(job, worker)
        while worker.is_alive():
            worker.join(LOOK)
    except BaseException:
        job.stop()
        # Threads stop between files and between blocks of a long one: moments. A second interrupt ends this wait.
        worker.join()
        raise
    if failure:
        raise failure[0]


def _draw(job: Any, worker: threading.Thread) -> None:
    """A line of progress until the worker ends. The end is not known while folders are still walked."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, no_color=None if colours(sys.stderr) else True)
    line = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    )
    begun = time.perf_counter() - PATIENCE
    with line:
        task = line.add_task("scanning", total=None)
        while worker.is_alive():
            worker.join(LOOK)
            files, size, findings = job.progress()
            speed = size / 1e6 / (time.perf_counter() - begun)
            state = [count(files, "file"), megabytes(size), f"{speed:,.0f} MB/s", count(findings, "finding")]
            line.update(task, description=", ".join(state))


def _report(run: Run, form: str, target: str | None) -> None:
    to_terminal = target is None or target == "-"
    with opened(target) as out:
        if form == "jsonl":
            _reports.write_jsonl(run, out)
        elif form == "sarif":
            _reports.write_sarif(run, out)
        else:
            _reports.write_text(run, out, colour=to_terminal and colours(sys.stdout))


def _skipped(skipped: Sequence[tuple[str, str]], named: set[str], *, quiet: bool) -> None:
    """Tell of each file that was asked for and not read, and of a few that were met and are too large."""
    asked = [one for one in skipped if one[0] in named]
    met = [] if quiet else [one for one in skipped if one[0] not in named]
    for name, reason in asked + met[:SHOWN]:
        complain(f"`{printable(os.fsencode(name))}` is skipped: {reason}")
    if len(met) > SHOWN:
        complain(f"{len(met) - SHOWN:,} more files are skipped: see `--max-size`")


def _summary(totals: dict[str, Any], findings: int, ignored: int, passed: int, unreadable: int, elapsed: float) -> None:
    size = totals["bytes"]
    speed = size / 1e6 / elapsed if elapsed > 0 else 0.0
    parts = [
        f"{count(totals['files'], 'file')}, {megabytes(size)} in {elapsed:.2f} s ({speed:,.0f} MB/s)",
        count(findings, "finding"),
    ]
    if ignored:
        parts.append(f"{ignored:,} ignored in place")
    if passed:
        parts.append(f"{passed:,} in the baseline")
    skipped = {reason: number for reason, number in totals["skipped"].items() if number}
    if skipped:
        why = ", ".join(f"{number:,} {reason}" for reason, number in sorted(skipped.items()))
        parts.append(f"{sum(skipped.values()):,} skipped ({why})")
    if unreadable:
        parts.append(f"{unreadable:,} unreadable")
    if left := totals["ignored"]:
        parts.append(f"{count(left, 'ignored file or folder', 'ignored files and folders')} not read (see --no-ignore)")
    click.echo("; ".join(parts), err=True)
