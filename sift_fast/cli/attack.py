"""`sift-fast attack`: known attacks and their benign twins against a configuration of yours."""

from __future__ import annotations

import json
from collections import defaultdict

import click

from sift_fast.cli.app import CLEAN, FINDINGS

__all__ = ["attack"]


@click.command()
@click.argument("path", default="sift.toml")
@click.option("--verbose", is_flag=True, help="Every attack, not only those that get through.")
@click.option("--tenant", default="acme", show_default=True, help="The tenant as whom they are played.")
@click.option(
    "--role", default="", help="The role as which they are played. [default: support, or one that a tool names]"
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
def attack(path: str, verbose: bool, tenant: str, role: str, as_json: bool) -> int:
    """Play attacks and incidents against the configuration PATH (default: sift.toml); exit 1 if one gets through.

    Nothing outside is reached: judges behind HTTP, guardrails of your own and a kernel are not asked, the classifier
    that the configuration names is. Overrides apply as they do for the tenant and the role.
    """
    from sift_fast.guard.attacks import INCIDENT, REMEDIES, RISKS, play
    from sift_fast.guard.config import GuardConfig
    from sift_fast.guard.escalation import Desk
    from sift_fast.guard.guard import Guard

    loaded = GuardConfig.load(path)
    guard = Guard(loaded.offline(), desk=Desk(None))
    played = list(play(guard, tenant=tenant, role=role))
    incidents = list(play(guard, tenant=tenant, role=role, incidents=True))
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for one in (*played, *incidents):
        row = counts[one.risk]
        row[0] += one.stopped is True
        row[1] += one.stopped is not None
        row[2] += one.passed is True
        row[3] += one.passed is not None
        bad = one.stopped is False or one.passed is False
        if as_json:
            click.echo(json.dumps(one._asdict()))
        elif bad or verbose:
            state = "GETS THROUGH" if one.stopped is False else "TWIN REFUSED" if one.passed is False else "stopped"
            click.echo(f"  {one.id}  {state:12}  {one.reason:18}  {one.title}")
    if not as_json:
        whole = counts.pop(INCIDENT)
        for risk, (stopped, attacks, passed, twins) in [*counts.items(), (INCIDENT, whole)]:
            title = f"{risk} {RISKS.get(risk, 'each of several steps')}"
            click.echo(f"{title:40} stopped {stopped}/{attacks}  twins passed {passed}/{twins}")
        through = sum(attacks - stopped for stopped, attacks, _, _ in counts.values())
        click.echo(f"{through} of {len(played)} attacks get through" + (", against which there is:" if through else ""))
        for risk, (stopped, attacks, _, _) in counts.items():
            if stopped < attacks:
                click.echo(f"  {risk}  {REMEDIES[risk]}")
        if loaded.mode == "monitor":
            click.echo('  nothing is enforced with `mode = "monitor"`, or the preset monitor-only')
    return FINDINGS if any(one.stopped is False for one in (*played, *incidents)) else CLEAN
