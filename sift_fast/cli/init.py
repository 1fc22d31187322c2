"""`sift-fast init`: a folder of governance that works, with fresh keys."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import click

from sift_fast.cli._output import say
from sift_fast.cli._templates import IGNORED, KERNEL, TEMPLATES
from sift_fast.cli.app import CLEAN

if TYPE_CHECKING:
    from sift_fast._core import SigningKey

EPILOG = """\b
Examples:
  sift-fast init governance --template support --tenant acme
  sift-fast authorize governance --agent support-bot --conversation c1 --tool refund \\
      --args '{"order": "o-1", "cents": 500}'"""


_APPROVERS = ("approver-1", "approver-2")


@click.command(epilog=EPILOG)
@click.argument("folder", metavar="DIR")
@click.option(
    "--template",
    type=click.Choice(sorted(TEMPLATES)),
    default="support",
    show_default=True,
    help="; ".join(f"{name}: {template.about}" for name, template in sorted(TEMPLATES.items())) + ".",
)
@click.option("--tenant", default="acme", show_default=True, metavar="NAME", help="The tenant of the agent.")
@click.option("--audience", metavar="NAME", help="Name of this kernel.  [default: kernel.TENANT]")
@click.option(
    "--origin", metavar="NAME", help="Name of its ledger, such as example.com/actions.  [default: TENANT/actions]"
)
def init(folder: str, template: str, tenant: str, audience: str | None, origin: str | None) -> int:
    """Write a governance folder: settings, manifest, budgets, policies, their test cases and keys.

    Private keys lie in DIR/keys, are readable for you alone, and git passes over them. Give the agent its own and the
    approvers theirs, and remove them here.
    """
    from sift_fast import _core
    from sift_fast.errors import ConfigError

    chosen = TEMPLATES[template]
    audience = audience or f"kernel.{tenant}"
    origin = origin or f"{tenant}/actions"
    os.makedirs(folder, exist_ok=True)
    if os.listdir(folder):
        raise ConfigError(f"`{folder}` is not empty: name a new folder")
    for name in ("policy", "tests"):
        os.makedirs(os.path.join(folder, name))
    os.makedirs(os.path.join(folder, "keys"), mode=0o700)
    entries: list[tuple[str, str, str, dict[str, object]]] = [
        ("receipt-1", "receipt", "receipt", {}),
        ("log-1", "log", "log", {"name": origin}),
        (
            f"{chosen.agent}-1",
            chosen.agent,
            "agent",
            {"name": "owner", "tenant": tenant, "agent": chosen.agent, "roles": [chosen.role]},
        ),
    ]
    entries += [(name, name, "approver", {"name": name, "groups": [chosen.group]}) for name in _APPROVERS]
    lines = [
        "# Public keys: who may sign what. Private halves are in files that only their owners read.\n"
        "# `name` is the person behind a key: write in who it is. Nobody approves what an agent of his own asks for.\n"
    ]
    for key_id, file, purpose, fields in entries:
        key = _core.SigningKey.generate(key_id, audience)
        key.save(os.path.join(folder, "keys", f"{file}.key"))
        lines.append(entry(key, purpose, fields))
    for name, text in {
        ".gitignore": IGNORED,
        "kernel.toml": KERNEL.format(audience=audience, origin=origin, group=chosen.group),
        "keys.toml": "\n".join(lines),
        "budgets.toml": chosen.budgets,
        "tools.toml": chosen.tools,
        os.path.join("policy", f"{template}.cedar"): chosen.policy,
        os.path.join("tests", f"{template}.toml"): chosen.cases.replace("{tenant}", tenant),
    }.items():
        with open(os.path.join(folder, name), "x", encoding="utf-8") as stream:
            stream.write(text)
    place = shlex.quote(folder)
    say(
        f"wrote `{folder}`: template {template}, tenant {tenant}, agent {chosen.agent}, kernel {audience}\n"
        f"next: sift-fast policy test {place}\n"
        f"      sift-fast authorize {place} --agent {chosen.agent} --conversation c1 --tool {chosen.tool} "
        f"--args '{chosen.args}'\n"
    )
    return CLEAN


def entry(key: SigningKey, purpose: str, fields: dict[str, object]) -> str:
    """One `[[key]]` of `keys.toml`."""
    import json

    # A JSON string or list of strings is one of TOML as well.
    rows = {"id": key.id, "purpose": purpose, "algorithm": "ed25519", "public": key.public, **fields}
    return "[[key]]\n" + "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in rows.items())
