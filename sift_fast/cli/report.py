"""`sift-fast report`: how often each guardrail acts, who is refused most, what is slow."""

from __future__ import annotations

import json

import click

from sift_fast.cli._text import printable
from sift_fast.cli.app import CLEAN

__all__ = ["report"]


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON.")
def report(path: str, as_json: bool) -> int:
    """Summarise the event file PATH, `[events] file` of the configuration; `-` reads standard input."""
    from sift_fast.guard.report import report as summarise

    with click.open_file(path, encoding="utf-8") as file:
        summary = summarise(file)
    if as_json:
        click.echo(json.dumps(summary, indent=2))
        return CLEAN
    click.echo(f"{summary['events']} events, {summary['broken']} broken lines")
    for title in ("decisions", "statuses", "stages", "tenants"):
        if summary[title]:
            click.echo(
                f"{title:10} " + ", ".join(f"{printable(name)} {count}" for name, count in summary[title].items())
            )
    if summary["dropped"]:
        click.echo(f"{'dropped':10} {summary['dropped']} documents")
    for name, counts in summary["guardrails"].items():
        click.echo(
            f"  {printable(name):16} " + ", ".join(f"{printable(what)} {count}" for what, count in counts.items())
        )
    for title in ("latency_us", "waited_us"):
        for stage, row in summary[title].items():
            click.echo(f"  {printable(stage):16} " + ", ".join(f"{name} {value:g} us" for name, value in row.items()))
    return CLEAN
