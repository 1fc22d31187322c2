"""`sift-fast authorize`: ask a kernel about one action, from the command line."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click

from sift_fast.cli._output import say
from sift_fast.cli.app import CLEAN, FINDINGS

EPILOG = """\b
Examples:
  sift-fast authorize governance --agent support-bot --conversation c1 --tool refund \\
      --args '{"order": "o-1", "cents": 500}'
  sift-fast authorize governance ... --approval ID --receipt receipt.tlog-proof --permit permit.json"""


@click.command(epilog=EPILOG)
@click.argument("folder", metavar="DIR")
@click.option("--tenant", metavar="NAME", help="[default: that of the key in keys.toml]")
@click.option("--agent", required=True, metavar="NAME", help="The agent that asks.")
@click.option("--role", metavar="NAME", help="[default: the first of the key in keys.toml]")
@click.option("--tool", required=True, metavar="NAME", help="The tool that is to be called.")
@click.option(
    "--args", "arguments", default="{}", metavar="JSON", help="Its arguments; `-` reads them from standard input."
)
@click.option("--conversation", metavar="NAME")
@click.option("--estimate", multiple=True, metavar="UNIT=N", help="Expected cost. May be given again.")
@click.option("--key", "key_file", metavar="FILE", help="Private key of the agent.  [default: DIR/keys/AGENT.key]")
@click.option("--key-id", metavar="NAME", help="Its id.  [default: the only one of the agent in keys.toml]")
@click.option("--approval", metavar="ID", help="An approval that is to be used.")
@click.option("--permit", "permit_file", metavar="FILE", help="Write the permit here.")
@click.option("--receipt", "receipt_file", metavar="FILE", help="Write the receipt with its proof here.")
@click.option("--cancel", is_flag=True, help="Give the reservation back at once: ask without acting.")
def authorize(folder: str, arguments: str, estimate: tuple[str, ...], **options: str | bool | None) -> int:
    """Ask for one action and show the answer as JSON. Exits 0 when it is allowed, 1 when not.

    The reservation is settled as reserved, or given back with --cancel.
    """
    from sift_fast import kernel as k
    from sift_fast.errors import ConfigError

    key_id, known = _key(folder, str(options["agent"]), options["key_id"])
    args = _arguments(sys.stdin.read() if arguments == "-" else arguments)
    units = {}
    for pair in estimate:
        unit, equals, number = pair.partition("=")
        if not equals or not number.isdecimal():
            raise click.UsageError(f"`{unit}` is no estimate: write UNIT=N")
        units[unit] = int(number)
    request = k.ActionRequest(
        tenant=str(options["tenant"] or known["tenant"]),
        agent=str(options["agent"]),
        role=str(options["role"] or known["roles"][0]),
        tool=str(options["tool"]),
        args=args,
        conversation=None if options["conversation"] is None else str(options["conversation"]),
        estimate=units or None,
    )
    with k.Kernel.open(folder) as kernel:
        file = options["key_file"] or os.path.join(folder, "keys", f"{options['agent']}.key")
        key = k.SigningKey.load(str(file), key_id, kernel.audience)
        request, credential = k.sign_request(request, key)
        auth = kernel.authorize(request, credential, options["approval"])  # type: ignore[arg-type]
        outcome = None
        if auth.lease is not None and options["cancel"]:
            # Before the permit is handed out: afterwards it would be charged.
            outcome = kernel.cancel(auth.lease)
        auth.durable_sync()
        if auth.lease is not None and outcome is None:
            outcome = kernel.settle(auth.lease)
        if options["permit_file"] and auth.permit is not None:
            _write(str(options["permit_file"]), auth.permit)
        if options["receipt_file"]:
            if auth.receipt is None:
                raise ConfigError("there is no receipt: none is written for callers who did not prove who they are")
            _write(str(options["receipt_file"]), kernel.receipt(auth).to_bytes())
        answer = {
            "decision": auth.decision,
            "reason": auth.reason,
            "message": auth.message,
            "status": auth.status,
            "rule_ids": list(auth.rule_ids),
            "policy_hash": auth.policy_hash,
            "request_id": auth.request_id,
            "opening": auth.opening,
            "approval": auth.approval,
            "lease": None if outcome is None else outcome.state,
        }
        say(json.dumps(answer, indent=1) + "\n")
        return CLEAN if auth.allowed else FINDINGS


def _arguments(text: str) -> dict[str, Any]:
    """The arguments, read strictly: what two readers could read as two things is an error.

    Numbers beyond 2^53 - 1 and lone surrogates are left to the request, which refuses them.
    """
    from sift_fast._json import once
    from sift_fast.errors import ConfigError

    def no_number(_word: str) -> Any:
        raise ValueError("no number")

    try:
        args = json.loads(text, object_pairs_hook=once, parse_constant=no_number)
    except (ValueError, RecursionError):
        # What was read stays unsaid: arguments may hold anything.
        raise ConfigError(
            "`--args` is no JSON object whose names are there once and whose numbers are finite"
        ) from None
    if not isinstance(args, dict):
        raise ConfigError("`--args` is no JSON object")
    return args


def _key(folder: str, agent: str, wanted: str | bool | None) -> tuple[str, dict[str, list[str]]]:
    """The id and the entry of an agent's key. The kernel reads the file again, strictly."""
    import tomllib

    from sift_fast.errors import ConfigError

    try:
        with open(os.path.join(folder, "keys.toml"), "rb") as stream:
            entries = tomllib.load(stream).get("key", [])
    except FileNotFoundError:
        raise ConfigError(f"`{folder}/keys.toml` is not there: make the folder with `sift-fast init`") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"`{folder}/keys.toml`: {error}") from None
    found = [
        entry
        for entry in entries
        if entry.get("purpose") == "agent" and entry.get("agent") == agent and wanted in {None, entry.get("id")}
    ]
    if len(found) != 1:
        raise ConfigError(f"keys.toml has {len(found)} keys of agent `{agent}` that fit: name one with --key-id")
    return found[0]["id"], found[0]


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as stream:
        stream.write(data)
