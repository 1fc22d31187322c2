"""`sift-fast config`: check a configuration of the guard, and print its schema, its reference and presets."""

from __future__ import annotations

import json

import click

from sift_fast.cli.app import CLEAN

__all__ = ["config"]


@click.group()
def config() -> None:
    """Check the guard's configuration; its schema and reference."""


@config.command()
@click.argument("path", default="sift.toml")
def check(path: str) -> int:
    """Load PATH (default: sift.toml) as the guard would, and say what is in force.

    Guardrails of your own and the classifier are given by the application; their tables are checked, they are not.
    """
    from sift_fast.guard._plan import Plans, Stuff
    from sift_fast.guard._rules import make_scanner
    from sift_fast.guard._slow import make_slow
    from sift_fast.guard.config import GuardConfig

    loaded = GuardConfig.load(path)
    scanner, owners = make_scanner(loaded)
    stand = _Stand()
    # Everything a guard is made of, but no file is opened that it would write.
    Plans(Stuff(loaded, scanner, owners, lambda name, table: make_slow(name, table, {name: stand})))
    click.echo(f"{path}: policy `{loaded.policy_id}`, mode {loaded.mode}, hash {loaded.hash[:12]}")
    for name, table in loaded.guardrails.items():
        state = "off" if not table.enabled else "watches" if "monitor" in {table.mode, loaded.mode} else "enforces"
        click.echo(f"  {name:16} {state:9} {table.on_violation:9} at {', '.join(table.stages)}")
    place = loaded.kernel.folder or loaded.kernel.socket
    click.echo(f"  {'kernel':16} {'asked' if place else 'none':9} {place or ''}".rstrip())
    kept = [name for name in (loaded.events.file, loaded.events.ledger) if name]
    click.echo(f"  {'events':16} {'written' if kept else 'nowhere':9} {', '.join(kept)}".rstrip())
    click.echo(f"  {len(loaded.tools)} tools, {len(loaded.override)} overrides, {len(scanner.rules)} rules")
    return CLEAN


@config.command()
def schema() -> int:
    """Print the JSON Schema of `sift.toml`, for editors."""
    from sift_fast.guard.config import config_schema

    click.echo(json.dumps(config_schema(), indent=2))
    return CLEAN


@config.command()
def reference() -> int:
    """Print the reference of `sift.toml`, in Markdown."""
    from sift_fast.guard.config import reference as text

    click.echo(text(), nl=False)
    return CLEAN


class _Stand:
    """Stands for what only the application has."""

    @staticmethod
    def score(_text: str) -> float:
        return 0.0

    @staticmethod
    def check(_text: str, _stage: str) -> float:
        return 0.0
