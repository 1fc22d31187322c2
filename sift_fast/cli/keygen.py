"""`sift-fast keygen`: a private key in a file, and the entry for `keys.toml`."""

from __future__ import annotations

import click

from sift_fast.cli._output import say
from sift_fast.cli.app import CLEAN
from sift_fast.cli.init import entry

EPILOG = """\b
Examples:
  sift-fast keygen ann.key --id ann --purpose approver --name ann --group finance >> keys.toml
  sift-fast keygen bot.key --id bot-1 --purpose agent --name olga --tenant acme --agent bot \\
      --role support"""


@click.command(epilog=EPILOG)
@click.argument("file")
@click.option("--id", "key_id", required=True, metavar="NAME", help="Its name in keys.toml.")
@click.option("--purpose", required=True, type=click.Choice(["agent", "approver", "receipt", "log", "witness"]))
@click.option("--tenant", metavar="NAME", help="Agent, approver: for whom it may speak.")
@click.option("--agent", metavar="NAME", help="Agent: which one.")
@click.option("--role", multiple=True, metavar="NAME", help="Agent: a role it may act in. May be given again.")
@click.option("--group", multiple=True, metavar="NAME", help="Approver: a group. May be given again.")
@click.option(
    "--name", metavar="NAME", help="Log, witness: its name in signed notes. Agent, approver: the person behind it."
)
def keygen(
    file: str,
    key_id: str,
    purpose: str,
    tenant: str | None,
    agent: str | None,
    role: tuple[str, ...],
    group: tuple[str, ...],
    name: str | None,
) -> int:
    """Make an Ed25519 key: the private half into FILE (mode 0600, never replaced), the entry for keys.toml on
    standard output.
    """
    from sift_fast import _core

    if purpose in {"agent", "approver"} and not name:
        raise click.UsageError(f"the key of an {purpose} needs `--name`: the person behind it")
    key = _core.SigningKey.generate(key_id, "")
    key.save(file)
    fields = {"name": name, "tenant": tenant, "agent": agent, "roles": list(role), "groups": list(group)}
    say(entry(key, purpose, {field: value for field, value in fields.items() if value}))
    return CLEAN
