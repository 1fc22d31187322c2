"""The commands of `python -m benches.guard`.

python -m benches.guard                     latency of a turn
python -m benches.guard --loop              the longest step that a call makes the event loop do
python -m benches.guard --streams 2000      many streams on one core
python -m benches.guard --rivals            beside guardrails of others, in one run
python -m benches.guard --all --record      everything, into benches/record/guard/ and docs/eval-guard.md
python -m benches.guard --page              write the page from the newest records; --check only compares
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from benches import machine
from benches import record as records
from benches.guard import latency, loop, page, streams

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Measure what was asked for, and print or record it."""
    parser = argparse.ArgumentParser(
        prog="python -m benches.guard", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, metavar="N", help="latency of N turns (5,000)")
    parser.add_argument("--loop", action="store_true", help="what one call keeps the event loop from")
    parser.add_argument("--streams", type=int, metavar="N", help="N streams at once on one core")
    parser.add_argument("--rivals", action="store_true", help="beside guardrails of others")
    parser.add_argument("--rounds", type=int, default=30, help="of --loop and --rivals")
    parser.add_argument("--all", action="store_true", help="all of it, with the usual sizes")
    parser.add_argument("--record", action="store_true", help="keep the results and write docs/eval-guard.md")
    parser.add_argument("--page", action="store_true", help="write docs/eval-guard.md from the records")
    parser.add_argument("--check", action="store_true", help="exit 1 where docs/eval-guard.md is another")
    options = parser.parse_args(arguments)
    if options.page or options.check:
        sys.exit(page.write(check=options.check))
    wanted = _wanted(options)
    for name, measure in wanted.items():
        result = measure()
        sys.stdout.write(page.SECTIONS[name](result) + "\n")
        if options.record:
            kept = {
                "version": records.VERSION,
                "name": name,
                "date": machine.now(),
                "command": machine.command_line(arguments if arguments is not None else sys.argv[1:]).replace(
                    "-m benches", "-m benches.guard"
                ),
                "machine": machine.describe(),
                **result,
            }
            records.write(kept, page.FOLDER)
    if options.record:
        page.write(check=False)


def _wanted(options: argparse.Namespace) -> dict[str, Callable[[], dict[str, Any]]]:
    every: dict[str, Callable[[], dict[str, Any]]] = {
        "turns": lambda: latency.measure(options.turns or 5_000),
        "loop": lambda: loop.measure(options.rounds),
        "streams": lambda: streams.measure(options.streams or 2_000),
        "rivals": lambda: _rivals(options.rounds),
    }
    asked = [
        name
        for name, given in (
            ("turns", options.turns is not None),
            ("loop", options.loop),
            ("streams", options.streams is not None),
            ("rivals", options.rivals),
        )
        if given or options.all
    ]
    return {name: every[name] for name in asked or ["turns"]}


def _rivals(rounds: int) -> dict[str, Any]:
    # Others are imported where they are asked for.
    from benches.guard import rivals

    return rivals.measure(rounds)
