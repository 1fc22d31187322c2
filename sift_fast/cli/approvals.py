"""`sift-fast approvals`: what waits for people, and what they say."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import click

from sift_fast.cli._output import say
from sift_fast.cli._text import table
from sift_fast.cli.app import CLEAN

if TYPE_CHECKING:
    from sift_fast.kernel import Approval, Kernel, SigningKey

EPILOG = """\b
Examples:
  sift-fast approvals governance list
  sift-fast approvals governance show ID --key approver-1.key --key-id approver-1
  sift-fast approvals governance approve ID --key approver-1.key --key-id approver-1"""


@click.command(epilog=EPILOG)
@click.argument("folder", metavar="DIR")
@click.argument("step", type=click.Choice(["list", "show", "approve", "reject"]))
@click.argument("approval", required=False, metavar="[ID]")
@click.option("--key", "key_file", metavar="FILE", help="Private key of the approver.")
@click.option("--key-id", metavar="NAME", help="Its id in keys.toml.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def approvals(folder: str, step: str, approval: str | None, key_file: str | None, key_id: str | None, form: str) -> int:
    """List what waits, show an action with an approver's key, approve it or reject it.

    Works with the folder itself, so no other process may have it open, or with the process that serves it.
    """
    from sift_fast import kernel as k
    from sift_fast.errors import ConfigError

    with k.Kernel.open(folder) as kernel:
        if step == "list":
            rows = [_row(one) for one in kernel.approvals.pending()]
            if form == "json":
                say(json.dumps(rows, indent=1) + "\n")
            else:
                say(_table(rows))
            return CLEAN
        if approval is None or key_file is None or key_id is None:
            raise click.UsageError(f"`{step}` needs an ID, --key and --key-id")
        found = kernel.approvals.get(approval)
        if found is None:
            raise ConfigError("the approval is not known")
        key = k.SigningKey.load(os.path.expanduser(key_file), key_id, kernel.audience)
        if step == "show":
            say(json.dumps(found.open(key), indent=1, ensure_ascii=False) + "\n")
        else:
            state = _say(kernel, found, key, reject=step == "reject")
            say(f"{state}\n")
    return CLEAN


def _say(kernel: Kernel, approval: Approval, key: SigningKey, *, reject: bool) -> str:
    signature = approval.sign(key, reject=reject)
    if reject:
        return kernel.approvals.reject(approval.id, signature)
    return kernel.approvals.approve(approval.id, signature)


def _row(approval: Approval) -> dict[str, Any]:
    return {
        "id": approval.id,
        "tenant": approval.tenant,
        "agent": approval.agent,
        "tool": approval.tool,
        "rule": approval.rule,
        "approvers": approval.approvers,
        "required": approval.required,
        "expires_at": approval.expires_at,
    }


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "nothing waits\n"
    now = time.time() * 1_000
    cells = [
        [
            row["id"],
            f"{row['tenant']}/{row['agent']}",
            row["tool"],
            row["rule"],
            f"{len(row['approvers'])}/{row['required']}",
            f"{max(0, round((row['expires_at'] - now) / 1_000))} s",
        ]
        for row in rows
    ]
    return table(["id", "agent", "tool", "rule", "signed", "left"], cells)
