"""`sift-fast assess`: which of the five layers and of the OWASP risks a configuration covers."""

from __future__ import annotations

import json

import click

from sift_fast.cli.app import CLEAN, FINDINGS

__all__ = ["assess"]

_LACKING = {"missing", "in part"}


@click.command()
@click.argument("path", default="sift.toml")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def assess(path: str, as_json: bool) -> int:
    """Say what the configuration PATH (default: sift.toml) enforces or only watches; exit 1 if something is missing.

    The layers are read from the configuration, with its overrides. A risk is enforced against where more than half of
    the attacks of `sift-fast attack` are stopped, for every caller that an override names; else it is so in part.
    """
    from sift_fast.guard.attacks import REMEDIES, RISKS
    from sift_fast.guard.attacks import assess as read
    from sift_fast.guard.config import GuardConfig

    covered = read(GuardConfig.load(path))
    if as_json:
        click.echo(json.dumps(covered, indent=2))
    else:
        for name, state in covered["layers"].items():
            click.echo(f"{name:42} {state}")
        for risk, state in covered["risks"].items():
            remedy = f"; there is {REMEDIES[risk]}" if state in _LACKING else ""
            click.echo(f"{risk} {RISKS[risk]:36} {state}{remedy}")
    return FINDINGS if any(_LACKING & set(part.values()) for part in covered.values()) else CLEAN
