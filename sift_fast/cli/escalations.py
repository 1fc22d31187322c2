"""`sift-fast escalations`: what the guard put before people, and what they decide."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from sift_fast.cli._text import printable
from sift_fast.cli.app import CLEAN

if TYPE_CHECKING:
    from sift_fast.guard.escalation import Desk

__all__ = ["escalations"]

_FILE = click.option("--file", "path", required=True, help="SQLite file, `[escalation] file` of the configuration.")


@click.group()
def escalations() -> None:
    """List and decide what waits for a person."""


@escalations.command("list")
@_FILE
@click.option("--owner", help="Only those of this owner.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
def list_(path: str, owner: str | None, as_json: bool) -> int:
    """List open records, the oldest first."""
    for record in _desk(path).pending(owner=owner):
        if as_json:
            click.echo(json.dumps(record._asdict()))
        else:
            click.echo(
                f"{record.id}  {record.decision:9} {record.stage:11} {record.reason:26} {printable(record.tenant)}"
            )
    return CLEAN


@escalations.command()
@_FILE
@click.argument("record")
def show(path: str, record: str) -> int:
    """Show one RECORD and what was done with it."""
    desk = _desk(path)
    found = desk.get(record)
    if found is None:
        raise click.UsageError("there is no such record")
    for name, value in found._asdict().items():
        click.echo(f"{name:15} {'' if value is None else printable(str(value))}")
    for at, action, actor, note in desk.audit(record):
        click.echo("  ".join(printable(str(part)) for part in (at, action, actor, note)))
    return CLEAN


@escalations.command()
@_FILE
@click.argument("record")
@click.option("--actor", required=True, help="Who decides; kept in the audit table.")
@click.option("--note", default="", help="Why.")
def approve(path: str, record: str, actor: str, note: str) -> int:
    """Approve a RECORD: what waits may pass, once, when the same caller asks for the very same again.

    It may until the record expires, and not where another guardrail stops it. A block stays one.
    """
    return _decide(path, record, actor, note, approve=True)


@escalations.command()
@_FILE
@click.argument("record")
@click.option("--actor", required=True, help="Who decides; kept in the audit table.")
@click.option("--note", default="", help="Why.")
def reject(path: str, record: str, actor: str, note: str) -> int:
    """Reject a RECORD: the same is blocked until the record expires."""
    return _decide(path, record, actor, note, approve=False)


def _decide(path: str, record: str, actor: str, note: str, *, approve: bool) -> int:
    decided = _desk(path).decide(record, approve=approve, actor=actor, note=note)
    click.echo(f"{decided.id} {decided.outcome}")
    return CLEAN


def _desk(path: str) -> Desk:
    from sift_fast.guard.escalation import Desk

    if not os.path.exists(path):
        raise click.UsageError("there is no such file of records")
    return Desk(path)
