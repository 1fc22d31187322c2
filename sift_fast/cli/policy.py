"""`sift-fast policy`: check, test, explain, replay, import."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sift_fast.cli._output import say
from sift_fast.cli._text import complain, count, printable
from sift_fast.cli.app import CLEAN, FINDINGS
from sift_fast.errors import ConfigError

if TYPE_CHECKING:
    from sift_fast._core import PolicySet

EPILOG = """\b
Examples:
  sift-fast policy check governance
  sift-fast policy test governance
  sift-fast policy explain governance request.json
  sift-fast policy replay governance decisions.jsonl
  sift-fast policy import mcp-tools.json > governance/tools.toml

\b
Exit codes: 0 clean, 1 warnings, failed cases, a denial or differences, 2 error."""

#: Requests and records are small; anything larger is a mistake.
MAX_BYTES = 64 << 20

_folder = click.argument("folder", type=click.Path(exists=True, file_okay=False))
_form = click.option(
    "--format", "form", type=click.Choice(["text", "jsonl"]), default="text", show_default=True, help="Form."
)


@click.group(epilog=EPILOG)
def policy() -> None:
    """Check, test, explain and replay policies of actions."""


def _load(path: str) -> PolicySet:
    from sift_fast._core import PolicySet

    return PolicySet.load(path)


def _read(path: str) -> str:
    try:
        data = sys.stdin.buffer.read(MAX_BYTES + 1) if path == "-" else Path(path).read_bytes()
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{printable(path)} is larger than {MAX_BYTES >> 20} MiB")
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{printable(path)} is not UTF-8 at byte {error.start}") from None


@policy.command()
@_folder
@_form
@click.option("--schema", is_flag=True, help="Print the Cedar schema that the manifest gives, and no remarks.")
def check(folder: str, form: str, schema: bool) -> int:
    """Load tools.toml and policy/*.cedar, and say what is odd about them.

    Whatever does not fit the manifest is an error; rules that cannot decide anything, permits without limits on
    arguments and tools that are not fully declared are warnings.
    """
    loaded = _load(folder)
    if schema:
        say(loaded.schema)
        return CLEAN
    remarks = loaded.lint()
    for level, code, subject, text in remarks:
        if form == "jsonl":
            say(json.dumps({"level": level, "code": code, "subject": subject, "text": text}) + "\n")
        else:
            say(f"{level}: {printable(subject)}: {code}: {printable(text, escape_backslash=False)}\n")
    warnings = sum(level == "warning" for level, *_ in remarks)
    complain(
        f"{count(len(loaded.rules), 'policy', 'policies')}, {count(len(loaded.tools), 'tool')}, "
        f"{count(warnings, 'warning')}; hash {loaded.hash}"
    )
    return FINDINGS if warnings else CLEAN


@policy.command()
@_folder
@click.argument("cases", nargs=-1, type=click.Path(exists=True, dir_okay=False), metavar="[CASES]...")
def test(folder: str, cases: tuple[str, ...]) -> int:
    """Run test cases; without CASES those in tests/*.toml of the folder.

    A case names a request and the expected decision, and may name reason, rules and approval.
    """
    loaded = _load(folder)
    paths = list(cases) or sorted(str(path) for path in (Path(folder) / "tests").glob("*.toml"))
    if not paths:
        raise ConfigError(f"there are no cases: give files, or put them into {printable(folder)}/tests/*.toml")
    ran = failed = 0
    for path in paths:
        try:
            results = loaded.test(_read(path))
        except ConfigError as error:
            # The reader of TOML says where on a line of its own.
            raise ConfigError(f"{printable(path)}: {' '.join(str(error).split())}") from None
        for name, differences in results:
            ran += 1
            failed += bool(differences)
            for difference in differences:
                say(f"{printable(path)}: {printable(name)}: {printable(difference)}\n")
    complain(f"{count(ran, 'case')}, {failed} failed")
    return FINDINGS if failed else CLEAN


@policy.command()
@_folder
@click.argument("request", type=click.Path(dir_okay=False, allow_dash=True), default="-")
@_form
def explain(folder: str, request: str, form: str) -> int:
    """Decide one request and say why.

    REQUEST is JSON with tenant, agent, role, tool and args (default: standard input). For a default deny the nearest
    permits are listed with the first condition that failed.
    """
    answer: dict[str, Any] = json.loads(_load(folder).explain(_read(request)))
    if form == "jsonl":
        say(json.dumps(answer) + "\n")
    else:
        rules = ", ".join(answer["rule_ids"]) or "no policy"
        lines = [f"{answer['decision']}: {answer['reason']} ({rules})"]
        lines += [f"  message   {answer['message']}"] if answer["message"] else []
        lines += [f"  approval  {answer['approval']}"] if answer["approval"] else []
        lines += [f"  charges   {c['amount']} {c['unit']} of {c['budget']}" for c in answer["charges"]]
        for near in answer["near"]:
            verb = "could not be evaluated" if near["error"] else "does not hold"
            held = near["conditions"] - near["failures"]
            lines.append(f"  nearest   {near['rule_id']}, {held} of {near['conditions']} hold: {near['failed']} {verb}")
        lines += [
            f"  shadow    {s['rule_id']}: {s['result']}{', would change the decision' if s['would_change'] else ''}"
            for s in answer["shadow"]
        ]
        say("".join(f"{printable(line, escape_backslash=False)}\n" for line in lines))
    return CLEAN if answer["decision"] == "allow" else FINDINGS


@policy.command()
@_folder
@click.argument("records", type=click.Path(dir_okay=False, allow_dash=True), default="-")
def replay(folder: str, records: str) -> int:
    """Decide recorded requests again and print those that are decided otherwise.

    RECORDS is JSON lines: request_id, request, decision, reason, rule_ids (default: standard input).
    """
    loaded = _load(folder)
    read = differing = 0
    for number, line in enumerate(_read(records).split("\n"), 1):
        if not line.strip():
            continue
        try:
            difference = loaded.replay(line)
        except ConfigError as error:
            raise ConfigError(f"{printable(records)}, line {number}: {error}") from None
        read += 1
        if difference is not None:
            differing += 1
            say(difference + "\n")
    complain(f"{count(read, 'decision')}, {differing} decided otherwise")
    return FINDINGS if differing else CLEAN


@policy.command("import")
@click.argument("definitions", type=click.Path(dir_okay=False, allow_dash=True), default="-")
def import_(definitions: str) -> int:
    """Draft tools.toml from MCP tool definitions or OpenAI tool schemas.

    Risk, reversibility, exports and charges are left for a person to declare: until then every call is denied.
    """
    from sift_fast._core import import_tools

    say(import_tools(_read(definitions)))
    return CLEAN
