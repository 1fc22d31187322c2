"""`sift-fast bench`: the scanner's speed on the user's own files.

Two numbers matter to two kinds of user: how fast a tree is read and scanned, and how long one call takes for a
text of a given size. Both are measured on what the machine holds already, with nothing to install.
"""

from __future__ import annotations

import json
import os
import time
from itertools import cycle
from typing import Any, Unpack

import click

from sift_fast.cli._options import ScannerArguments, make_scanner, scanner_options
from sift_fast.cli._output import say
from sift_fast.cli._text import complain, count, megabytes, table
from sift_fast.cli.app import CLEAN, ERROR

EPILOG = """\b
Examples:
  sift-fast bench ~/src
  sift-fast bench chat.jsonl --rules secrets --unit bytes --format json"""

SIZES = (200, 1_000, 4_096, 16_384, 65_536)


class Options(ScannerArguments):
    """What the command is given, besides paths."""

    seconds: float
    megabytes: int
    unit: str
    format: str


@click.command(epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@scanner_options
@click.option(
    "--seconds", type=click.FloatRange(0.01, 60.0), default=1.0, show_default=True, help="Time for each size of text."
)
@click.option(
    "--megabytes", type=click.IntRange(1, 4096), default=32, show_default=True, help="Most text kept in memory."
)
@click.option(
    "--unit", type=click.Choice(["str", "bytes"]), default="str", show_default=True, help="What single calls are given."
)
@click.option(
    "--format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Form of the tables."
)
def bench(paths: tuple[str, ...], **options: Unpack[Options]) -> int:
    """Measure the scanner on your own files.

    Reads and scans PATH twice (the first time fills the disk cache) on one thread and on all, then cuts the
    texts into pieces and times single calls from Python. Refuses a debug build.
    """
    from sift_fast import _core

    info = _core.build_info()
    if info["profile"] != "release":
        complain(f"this is a {info['profile']} build, its times mean nothing: install a release wheel")
        return ERROR
    begun = time.perf_counter()
    scanner = make_scanner(options)
    start_up = time.perf_counter() - begun
    names = list(paths)
    warm = _tree(scanner, names, None)
    if not warm["files"]:
        complain("there is nothing to scan: no text file was found")
        return ERROR
    threads = os.cpu_count() or 1
    trees = [_tree(scanner, names, number) for number in sorted({1, threads})]
    texts = _core.FileScan(scanner, names).texts(options["megabytes"] * 1_000_000)
    calls = [_calls(scanner, texts, size, options["seconds"], options["unit"]) for size in SIZES]
    calls = [row for row in calls if row]
    result = {
        "build": {key: info[key] for key in ("version", "engine", "engine_version", "cpu_level", "target")},
        "rules": len(scanner.rules),
        "start_up_ms": start_up * 1e3,
        "trees": trees,
        "unit": options["unit"],
        "timer_ns": _timer(),
        "calls": calls,
    }
    if options["format"] == "json":
        say(json.dumps(result, indent=1) + "\n")
        return CLEAN
    say(
        f"sift-fast {info['version']}, {info['engine']} {info['engine_version'] or ''}, cpu {info['cpu_level']}, "
        f"{count(len(scanner.rules), 'rule')}, scanner made in {start_up * 1e3:.1f} ms\n\n"
    )
    cells = [
        [
            str(row["threads"]),
            f"{row['files']:,}",
            megabytes(row["bytes"]),
            f"{row['seconds']:.3f}",
            f"{row['mb_per_s']:,.0f}",
            f"{row['findings']:,}",
        ]
        for row in trees
    ]
    say(table(["threads", "files", "size", "seconds", "MB/s", "findings"], cells, right=frozenset(range(6))) + "\n")
    cells = [
        [
            f"{row['size']:,}",
            f"{row['calls']:,}",
            f"{row['p50_us']:.2f}",
            f"{row['p95_us']:.2f}",
            f"{row['p99_us']:.2f}",
            f"{row['mb_per_s']:,.0f}",
            f"{row['findings']:,}",
        ]
        for row in calls
    ]
    header = ["bytes", "calls", "P50 us", "P95 us", "P99 us", "MB/s", "findings"]
    say(table(header, cells, right=frozenset(range(7))))
    click.echo(
        f"one `scan({options['unit']})` at a time, from Python; {result['timer_ns']:.0f} ns of each are the clock's",
        err=True,
    )
    return CLEAN


def _tree(scanner: Any, names: list[str], threads: int | None) -> dict[str, Any]:
    from sift_fast import _core
    from sift_fast.cli.scan import follow

    job = _core.FileScan(scanner, names, threads=threads)
    begun = time.perf_counter()
    follow(job, drawn=False)
    seconds = time.perf_counter() - begun
    totals = job.totals()
    return {
        "threads": threads,
        "files": totals["files"],
        "bytes": totals["bytes"],
        "seconds": seconds,
        "mb_per_s": totals["bytes"] / 1e6 / seconds,
        "findings": totals["findings"],
    }


def _calls(scanner: Any, texts: list[bytes], size: int, seconds: float, unit: str) -> dict[str, Any]:
    pieces: list[Any] = [text[at : at + size] for text in texts for at in range(0, len(text) - size + 1, size)]
    if not pieces:
        return {}
    if unit == "str":
        pieces = [piece.decode("utf-8", "replace") for piece in pieces]
    scan, clock = scanner.scan, time.perf_counter_ns
    # Counts, and warms the caches.
    findings = sum(len(scan(piece)) for piece in pieces)
    times: list[int] = []
    end = clock() + int(seconds * 1e9)
    for piece in cycle(pieces):
        before = clock()
        scan(piece)
        after = clock()
        times.append(after - before)
        if after > end:
            break
    times.sort()
    return {
        "size": size,
        "pieces": len(pieces),
        "calls": len(times),
        "findings": findings,
        "p50_us": _percentile(times, 50) / 1e3,
        "p95_us": _percentile(times, 95) / 1e3,
        "p99_us": _percentile(times, 99) / 1e3,
        "mb_per_s": size * len(times) / 1e6 / (sum(times) / 1e9),
    }


def _percentile(times: list[int], percent: int) -> int:
    """Of sorted times: the smallest that is not below `percent` of them."""
    return times[max(0, -(-len(times) * percent // 100) - 1)]


def _timer() -> float:
    """Nanoseconds that two looks at the clock take by themselves."""
    clock = time.perf_counter_ns
    times = sorted(-clock() + clock() for _ in range(10_000))
    return float(times[len(times) // 2])
