"""`sift-fast config`: begin or check a configuration of the guard, and print its schema and its reference."""

from __future__ import annotations

import json

import click

from sift_fast.cli.app import CLEAN

__all__ = ["config"]

#: What `config init` writes. Tables that need an answer of the user's are there to be filled in.
_START = """\
# The guard's configuration, begun by `sift-fast config init`. Every key: `sift-fast config reference`.
# An unknown key is an error; `sift-fast config check` reads the file as the guard would.

version = 1
preset = "{preset}"
policy_id = "{preset}"             # names this configuration in verdicts and events

[guardrails.prompt_leak]
canaries = ["{canary}"]   # write it into your system prompt: an answer that holds it is stopped
# prompt_file = "prompt.txt"    # the system prompt: an answer that repeats a run of its words is stopped

[guardrails.links]
hosts = []                      # hosts whose images an answer may show

# [guardrails.grounding]        # numbers, dates and quotes of an answer must stand in what was retrieved
# on_violation = "block"

# [tools.lookup]                # a table for each tool; with the guardrail `tools`, what is not listed is refused

# [events]
# file = "events.jsonl"         # what was decided, never what was read
"""


@click.group()
def config() -> None:
    """Begin or check the guard's configuration; its schema and reference."""


@config.command()
@click.argument("path", default="sift.toml")
@click.option(
    "--preset",
    type=click.Choice(["chat", "rag", "agent", "strict", "monitor-only"]),
    default="agent",
    show_default=True,
    help="What the configuration begins with.",
)
def init(path: str, preset: str) -> int:
    """Write a configuration to PATH (default: sift.toml), to be filled in. A file that is there is left alone."""
    import secrets

    from sift_fast.errors import ConfigError

    text = _START.format(preset=preset, canary=f"canary-{secrets.token_hex(8)}")
    try:
        with open(path, "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise ConfigError(f"`{path}` is there already: name another file, or remove it") from None
    click.echo(f"wrote `{path}`: preset {preset}; next: sift-fast attack {path}")
    return CLEAN


@config.command()
@click.argument("path", default="sift.toml")
def check(path: str) -> int:
    """Load PATH (default: sift.toml) as the guard would, and say what is in force.

    Guardrails of your own and the classifier are given by the application; their tables are checked, they are not.
    """
    from sift_fast.guard._plan import Plans, Stuff
    from sift_fast.guard._rules import make_scanner
    from sift_fast.guard._slow import make_slow
    from sift_fast.guard.attacks import state_of
    from sift_fast.guard.config import GuardConfig

    loaded = GuardConfig.load(path)
    scanner, owners = make_scanner(loaded)
    stand = _Stand()
    # Everything a guard is made of, but no file is opened that it would write.
    Plans(Stuff(loaded, scanner, owners, lambda name, table: make_slow(name, table, {name: stand})))
    click.echo(f"{path}: policy `{loaded.policy_id}`, mode {loaded.mode}, hash {loaded.hash[:12]}")
    for name, table in loaded.guardrails.items():
        state = state_of(table, loaded)
        click.echo(f"  {name:16} {state:9} {table.on_violation:9} at {', '.join(table.stages)}")
    for number, override in enumerate(loaded.override, 1):
        mine = loaded.guardrails_for(override.tenant or "", override.role or "")
        who = ", ".join(
            f"{key} {value}" for key, value in (("tenant", override.tenant), ("role", override.role)) if value
        )
        said = ", ".join(f"{name} {state_of(mine[name], loaded)}" for name in override.guardrails)
        click.echo(f"  override {number:<7} {who or 'everybody'}: {said}")
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
