"""`sift-fast explain`: every candidate in a text, and the check that kept or dropped it.

For the question "why was this found, and why was that not". Places and reasons are shown, never the text.
"""

from __future__ import annotations

import json
import re
import sys
from bisect import bisect_right
from typing import Any, Unpack

import click

from sift_fast.cli._options import ScannerArguments, make_scanner, scanner_options
from sift_fast.cli._output import say
from sift_fast.cli._text import table
from sift_fast.cli._wide import as_utf8
from sift_fast.cli.app import CLEAN, FINDINGS

EPILOG = """\b
Examples:
  sift-fast explain config.yml
  sift-fast explain --text 'token: ...' --format json
  pbpaste | sift-fast explain --rules secrets"""


class Options(ScannerArguments):
    """What the command is given, besides the file."""

    text: str | None
    format: str


@click.command(epilog=EPILOG)
@click.argument("file", required=False, default=None, metavar="[FILE|-]")
@click.option(
    "--text", metavar="T", help="Explain this text instead of a file. Other users see it in the process list."
)
@scanner_options
@click.option(
    "--format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Form of the table."
)
def explain(file: str | None, **options: Unpack[Options]) -> int:
    """Show every candidate in a text: rule, place, view, what became of it and why.

    Spans count bytes. Exits 1 when something is found, 0 when every candidate was dropped.
    """
    if options["text"] is not None:
        if file is not None:
            raise click.UsageError("a file and --text are two texts: give one")
        text = options["text"].encode("utf-8", "surrogateescape")
    elif file is None or file == "-":
        text = as_utf8(sys.stdin.buffer.read(), "<stdin>")
    else:
        with open(file, "rb") as stream:
            text = as_utf8(stream.read(), file)
    scanner = make_scanner(options)
    rows = [_row(line) for line in scanner.explain(text)]
    if options["format"] == "json":
        say(json.dumps(rows, indent=1) + "\n")
    elif rows:
        say(_table(rows, text))
    else:
        click.echo("no candidates: no rule's pattern occurs in this text", err=True)
    return FINDINGS if any(row["outcome"] == "found" for row in rows) else CLEAN


def _row(line: Any) -> dict[str, Any]:
    return {
        "rule_id": line.rule_id,
        "start": line.start,
        "end": line.end,
        "view": line.view,
        "decoded": list(line.decoded),
        "outcome": line.outcome,
        "reason": line.reason,
        "score": round(line.score, 4),
    }


def _table(rows: list[dict[str, Any]], text: bytes) -> str:
    starts = [0, *(feed.end() for feed in re.finditer(b"\n", text))]
    cells = []
    for row in rows:
        line = bisect_right(starts, row["start"])
        # Columns count characters, as in the reports of `scan`.
        column = len(text[starts[line - 1] : row["start"]].decode("utf-8", "replace")) + 1
        score = f"{row['score']:.2f}" if row["score"] else ""
        span = f"{row['start']}-{row['end']}"
        cells.append(
            [
                f"{line}:{column}",
                span,
                row["rule_id"],
                ">".join([*row["decoded"], row["view"]]),
                row["outcome"],
                row["reason"] or "",
                score,
            ]
        )
    return table(["place", "bytes", "rule", "view", "outcome", "reason", "score"], cells, right=frozenset({6}))
