"""`sift-fast verify`: receipts and ledgers, offline, with public keys alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import click

from sift_fast.cli._output import say
from sift_fast.cli._text import complain, printable
from sift_fast.cli.app import CLEAN, FINDINGS

if TYPE_CHECKING:
    from sift_fast.receipts import Statement

EPILOG = """\b
Examples:
  sift-fast verify refund.tlog-proof --keys keys.toml
  sift-fast verify refund.json --proof refund.tlog-proof --keys keys.toml --require witness
  sift-fast verify refund.json --keys keys.toml --action refund-request.json --opening 3f0a...
  sift-fast verify --ledger governance/state/ledger --keys governance/keys.toml --seen checkpoint-2026-06

\b
Exit codes: 0 everything holds, 1 something does not, 2 error."""

_QUESTIONS = ("signature", "inclusion", "witness")
_MAX_ACTION = 1 << 20
_OTHER = "invalid  the receipt is of another action, or the opening of another receipt"


class Options(TypedDict):
    """What the command is given, besides the receipts."""

    keys: str
    proof: str | None
    action: str | None
    opening: str | None
    opening_key: str | None
    ledger: str | None
    seen: tuple[str, ...]
    origin: str | None
    witnesses: int
    require: str
    format: str


@click.command(epilog=EPILOG)
@click.argument("receipts", nargs=-1, type=click.Path(exists=True, dir_okay=False), metavar="[RECEIPT]...")
@click.option("--keys", required=True, type=click.Path(exists=True, dir_okay=False), help="Public keys, keys.toml.")
@click.option("--proof", type=click.Path(exists=True, dir_okay=False), help="Proof of the one receipt.")
@click.option(
    "--action", type=click.Path(exists=True, dir_okay=False), help="Whether the one receipt is of this action, JSON."
)
@click.option("--opening", metavar="HEX", help="With --action: what `authorize` gave with the receipt.")
@click.option(
    "--opening-key",
    type=click.Path(exists=True, dir_okay=False),
    help="With --action, for the operator: the kernel's private receipt key, instead of --opening.",
)
@click.option("--ledger", type=click.Path(exists=True, file_okay=False), help="Audit the ledger in this folder.")
@click.option(
    "--seen",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="With --ledger: a checkpoint or .tlog-proof kept elsewhere. May be repeated.",
)
@click.option("--origin", metavar="NAME", help="The ledger it must be; any with a key otherwise.")
@click.option(
    "--witnesses", type=click.IntRange(1, 64), default=1, show_default=True, help="How many must have seen it."
)
@click.option(
    "--require",
    type=click.Choice(_QUESTIONS),
    default="signature",
    show_default=True,
    help="How far it must hold: each includes those before it. What is there and wrong fails anyway.",
)
@click.option("--format", type=click.Choice(["text", "jsonl"]), default="text", show_default=True, help="Form.")
def verify(receipts: tuple[str, ...], **options: Unpack[Options]) -> int:
    """Verify receipts or a ledger: signature, inclusion and witnesses, each for itself.

    A RECEIPT is a DSSE envelope, or a .tlog-proof that carries one. Nothing is asked over a network.
    """
    if bool(receipts) == (options["ledger"] is not None):
        raise click.UsageError("give receipts, or --ledger")
    if options["proof"] is not None and len(receipts) != 1:
        raise click.UsageError("--proof goes with one receipt")
    if options["action"] is not None and len(receipts) != 1:
        raise click.UsageError("--action goes with one receipt")
    if (options["opening"] is not None) + (options["opening_key"] is not None) != (options["action"] is not None):
        raise click.UsageError("--action goes with one of --opening and --opening-key")
    if options["seen"] and options["ledger"] is None:
        raise click.UsageError("--seen goes with --ledger")
    return _ledger(options) if options["ledger"] is not None else _receipts(receipts, options)


def _receipts(paths: tuple[str, ...], options: Options) -> int:
    from sift_fast.errors import InvalidReceipt
    from sift_fast.receipts import Keys, Receipt, check_receipt

    keys = Keys.load(options["keys"])
    needed = _QUESTIONS[: _QUESTIONS.index(options["require"]) + 1]
    worst = CLEAN
    for path in paths:
        row: dict[str, Any] = {"receipt": path}
        try:
            receipt = Receipt.load(path, options["proof"])
            seen = check_receipt(receipt, keys, origin=options["origin"], witnesses=options["witnesses"])
        except InvalidReceipt as error:
            row |= {"ok": False, "error": str(error)}
        else:
            checks = {question: getattr(seen, question) for question in _QUESTIONS}
            wrong = any(check.word == "invalid" for check in checks.values())
            row["ok"] = not wrong and all(checks[question].valid for question in needed)
            if options["action"] is not None:
                row["action"] = _is_of(seen.statement, options)
                row["ok"] = row["ok"] and row["action"]
            row |= {name: {"answer": check.word, "detail": check.detail} for name, check in checks.items()}
            row |= {"request_id": seen.statement.request_id, "action_hash": seen.statement.action_hash}
            row |= {"index": seen.index, "statement": dict(seen.statement.predicate)}
        if not row["ok"]:
            worst = FINDINGS
        say(json.dumps(row) + "\n" if options["format"] == "jsonl" else _shown(_text(row)))
    return worst


def _is_of(statement: Statement, options: Options) -> bool:
    """Whether a receipt is of the action that was given."""
    from sift_fast.kernel import ActionRequest
    from sift_fast.receipts import receipt_opening

    with open(options["action"] or "", "rb") as stream:
        action = ActionRequest.from_json(stream.read(_MAX_ACTION))
    opening = options["opening"]
    if opening is None:
        opening = receipt_opening(options["opening_key"] or "", statement, action)
    return statement.is_of(action, opening)


def _shown(lines: list[str]) -> str:
    """Lines as a terminal may have them: names in receipts and ledgers were chosen by others."""
    return "".join(printable(line, escape_backslash=False) + "\n" for line in lines)


def _text(row: dict[str, Any]) -> list[str]:
    lines = [f"{row['receipt']}: {'ok' if row['ok'] else 'FAILED'}"]
    if "error" in row:
        return [*lines, f"  {row['error']}"]
    said = row["statement"]
    shown = {name: str(said.get(name, "")) for name in ("event", "decision", "reason", "tenant", "agent", "tool")}
    lines.append("  statement  " + " ".join(f"{name}={value}" for name, value in shown.items() if value))
    lines += [f"  {name:<9}  {row[name]['answer']:<7}  {row[name]['detail']}" for name in _QUESTIONS]
    if "action" in row:
        lines.append("  action     " + ("valid    the receipt is of it" if row["action"] else _OTHER))
    return lines


def _ledger(options: Options) -> int:
    from sift_fast.errors import InvalidReceipt
    from sift_fast.receipts import Keys, audit_ledger

    seen = []
    for path in options["seen"]:
        with open(path, encoding="utf-8", errors="replace") as stream:
            seen.append(stream.read(1 << 18))
    folder = options["ledger"] or ""
    row: dict[str, Any] = {"ledger": folder}
    try:
        audit = audit_ledger(folder, Keys.load(options["keys"]), seen=seen, origin=options["origin"])
    except InvalidReceipt as error:
        row |= {"ok": False, "error": str(error)}
    else:
        enough = options["require"] != "witness" or len(audit.witnesses) >= options["witnesses"]
        row |= {"ok": audit.invalid == 0 and enough, "size": audit.size, "origin": audit.origin}
        row |= {"log_keys": audit.log_keys, "witnesses": audit.witnesses, "agreeing": audit.agreeing}
        row |= {"valid": audit.valid, "invalid": audit.invalid, "failures": audit.failures}
        if not audit.agreeing:
            complain("no checkpoint kept elsewhere was given: a ledger cut or rewritten with its key looks whole")
    if options["format"] == "jsonl":
        say(json.dumps(row) + "\n")
    else:
        say(_shown(_ledger_text(row)))
    return CLEAN if row["ok"] else FINDINGS


def _ledger_text(row: dict[str, Any]) -> list[str]:
    head = f"{row['ledger']}: {'ok' if row['ok'] else 'FAILED'}"
    if "error" in row:
        return [head, f"  {row['error']}"]
    lines = [
        head,
        f"  entries    {row['size']} in {row['origin']}, hashed and compared with every tile",
        f"  signed     by {', '.join(row['log_keys'])}",
        f"  seen       {row['agreeing']} kept checkpoints agree, {len(row['witnesses'])} witnesses signed",
        f"  receipts   {row['valid']} valid, {row['invalid']} invalid",
    ]
    lines += [f"  entry {place}: {reason}" for place, reason in row["failures"]]
    return lines
