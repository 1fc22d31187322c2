"""`sift-fast rules`: list, show, check, cost, test."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Unpack

import click

from sift_fast.cli._options import Selection, rule_options, rule_sets, rule_table
from sift_fast.cli._output import say
from sift_fast.cli._text import complain, count, megabytes, printable, table
from sift_fast.cli.app import CLEAN, ERROR, FINDINGS

EPILOG = """\b
Examples:
  sift-fast rules list --rules secrets
  sift-fast rules show secret.github.token
  sift-fast rules check --rule-file mine.toml
  sift-fast rules cost --corpus ~/src --rule-file mine.toml
  sift-fast rules test mine.toml
  sift-fast rules test cases.toml --rules secrets"""


@click.group(epilog=EPILOG)
def rules() -> None:
    """List, show, check, measure and test rules."""


class ListOptions(Selection):
    """What `rules list` is given."""

    format: str


@rules.command("list")
@rule_options
@click.option(
    "--format", type=click.Choice(["text", "jsonl"]), default="text", show_default=True, help="Form of the list."
)
def list_rules(**options: Unpack[ListOptions]) -> int:
    """List the rules of a selection, sorted by id."""
    rows = rule_table(options)
    if options["format"] == "jsonl":
        for row in rows:
            say(json.dumps(row, ensure_ascii=True) + "\n")
        return CLEAN
    cells = [
        [row["id"], row["entity"], row["tier"], row["severity"], f"{row['score']:.2f}", printable(row["title"])]
        for row in rows
    ]
    say(table(["id", "entity", "tier", "severity", "score", "title"], cells, right=frozenset({4})))
    from sift_fast import _core

    version = _core.build_info()["rules_version"]
    click.echo(
        f"{count(len(rows), 'rule')}, version {version} of the built-in rules, which is not that of the package",
        err=True,
    )
    return CLEAN


class ShowOptions(Selection):
    """What `rules show` is given, besides the id."""

    format: str


@rules.command("show")
@click.argument("rule_id", metavar="ID")
@rule_options
@click.option(
    "--format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Form of the record."
)
def show(rule_id: str, **options: Unpack[ShowOptions]) -> int:
    """Show all fields of one rule, its pattern included; a built-in one of a set that was not named, too."""
    from sift_fast import _core

    selected = rule_table(options)
    row = _named(selected, rule_id)
    if row is None:
        row = _named(_core.rule_table(_core.rule_sets()), rule_id)
        if row is not None:
            sets = [name for name in _core.rule_sets() if _named(_core.rule_table([name]), rule_id) is not None]
            complain(f"the rule `{rule_id}` is not in this selection; sets that have it: {', '.join(sets)}")
    if row is not None:
        say(json.dumps(row, indent=1) + "\n" if options["format"] == "json" else _record(row))
        return CLEAN
    for withdrawn, since, reason in _core.withdrawn_rules():
        if withdrawn == rule_id:
            complain(f"the rule `{rule_id}` was withdrawn in version {since} of the rules: {reason}")
            return ERROR
    complain(f"there is no rule `{rule_id}`, neither in this selection nor built in: see `sift-fast rules list`")
    return ERROR


def _named(rows: Iterable[dict[str, Any]], rule_id: str) -> dict[str, Any] | None:
    """The rule of an id or alias."""
    return next((row for row in rows if row["id"] == rule_id or rule_id in row["aliases"]), None)


def _record(row: Mapping[str, Any]) -> str:
    """Fields one below the other; a field of many lines or values stands indented under its name."""
    width = max(len(name) for name in row)
    lines = []
    for name, value in row.items():
        if value is None or value in ("", [], {}):
            continue
        if isinstance(value, Mapping):
            values = [f"{key}: {item}" for key, item in value.items()]
        elif isinstance(value, list | tuple):
            values = [str(item) for item in value]
        else:
            values = str(value).split("\n")
        values = [printable(item, escape_backslash=False) for item in values]
        lines.append(f"{name:<{width}}  {values[0]}\n")
        lines.extend(f"{'':<{width}}  {item}\n" for item in values[1:])
    return "".join(lines)


@rules.command("check")
@rule_options
def check(**options: Unpack[Selection]) -> int:
    """Check rules: the static lint, and every example, negative and mutant in every engine and mode.

    Prints file, rule and reason of each problem and exits 1 when there is one.
    """
    from sift_fast import _core

    sets, files = rule_sets(options["rules"]), list(options["rule_file"])
    return _problems(_core.check_rules(sets, files), len(rule_table(options)))


def _problems(problems: list[tuple[str, str, str]], rules: int) -> int:
    say(
        "".join(
            f"{printable(file)}: {rule}: {printable(reason, escape_backslash=False)}\n"
            for file, rule, reason in problems
        )
    )
    if problems:
        complain(f"{count(len(problems), 'problem')} in {count(rules, 'rule')}")
        return FINDINGS
    click.echo(f"{count(rules, 'rule')}: no problems", err=True)
    return CLEAN


@rules.command("test")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@rule_options
def test(files: tuple[str, ...], **options: Unpack[Selection]) -> int:
    """Test rules on cases of your own, and rule files of your own on their examples.

    A case (`[[case]]` in TOML, or a line of JSON in a .jsonl file) is a text and the findings it must give;
    docs/cli.md has the keys. It is scanned with the selected rules and those of every rule file named. The examples
    and negatives of the rule files among FILE are run in every engine, whole and byte by byte.

    Prints what failed, never the text; exits 1 when something did, 2 when a file is wrong.
    """
    import sift_fast
    from sift_fast.cli import _cases

    written = [file for file in files if _cases.is_cases(file)]
    documents = [file for file in files if file not in written]
    cases = [case for file in written for case in _cases.read(file)]
    known = [*documents, *(file for file in options["rule_file"] if file not in documents)]
    code = _test_documents(documents) if documents else CLEAN
    if not cases:
        return code
    scanner = sift_fast.Scanner(rules=rule_sets(options["rules"]), rule_files=known)
    failed = 0
    for case in _cases.resolve(scanner, cases):
        wrong = _cases.faults(scanner, case)
        failed += bool(wrong)
        say("".join(f"{printable(case.place)}: {printable(fault, escape_backslash=False)}\n" for fault in wrong))
    if failed:
        complain(f"{failed:,} of {count(len(cases), 'case')} failed")
        return FINDINGS
    click.echo(f"{count(len(cases), 'case')}: all passed", err=True)
    return code


def _test_documents(documents: list[str]) -> int:
    """Run the examples and negatives of rule files: one line for a rule, then the problems."""
    from sift_fast import _core

    rows = _core.rule_table([], list(documents))
    problems: dict[str, list[str]] = defaultdict(list)
    for _file, rule, reason in _core.check_rules([], list(documents)):
        problems[rule].append(reason)
    cells = []
    for row in rows:
        wrong = problems.get(row["id"], [])
        verdict = "failed" if wrong else "passed"
        cells.append([verdict, row["id"], str(len(row["examples"])), str(len(row["negatives"]))])
    say(table(["", "rule", "examples", "negatives"], cells, right=frozenset({2, 3})))
    return _problems(
        [(row["source"], row["id"], reason) for row in rows for reason in problems.get(row["id"], ())], len(rows)
    )


class CostOptions(Selection):
    """What `rules cost` is given."""

    corpus: tuple[str, ...]
    dearest: int
    rounds: int
    megabytes: int
    piece: int
    format: str


@rules.command("cost")
@rule_options
@click.option("--corpus", multiple=True, required=True, metavar="DIR", help="Files to measure on. May be given again.")
@click.option(
    "--dearest", type=click.IntRange(0, 100), default=5, show_default=True, help="Leave-one-out for so many rules."
)
@click.option(
    "--rounds", type=click.IntRange(1, 100), default=5, show_default=True, help="Scans of the corpus; the best counts."
)
@click.option("--megabytes", type=click.IntRange(1, 1024), default=8, show_default=True, help="Read at most so much.")
@click.option(
    "--piece", type=click.IntRange(64, 1 << 20), default=4096, show_default=True, help="Bytes scanned at once."
)
@click.option(
    "--format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Form of the table."
)
def cost(**options: Unpack[CostOptions]) -> int:
    """Measure what each rule costs on your own files.

    Each pattern is compiled alone and scanned beside a reference pattern (one rare literal) in the same run;
    the ratio to the reference is what can be compared between machines. Then the whole set, and the set without
    each of the dearest: single costs overstate rules that share literals, and do not add up.
    """
    from sift_fast import _core

    profile = _core.build_info()["profile"]
    if profile != "release":
        complain(f"this is a {profile} build, its times mean nothing: install a release wheel")
        return ERROR
    answer: dict[str, Any] = _core.rules_cost(
        rule_sets(options["rules"]),
        list(options["rule_file"]),
        list(options["corpus"]),
        max_bytes=options["megabytes"] * 1_000_000,
        piece=options["piece"],
        rounds=options["rounds"],
        dearest=options["dearest"],
    )
    if options["format"] == "json":
        say(json.dumps(answer, indent=1) + "\n")
        return CLEAN
    reference = answer["reference_ns_per_byte"]
    cells = [
        [
            row["id"]
            + (f" (+{row['providers'] - 1})" if row["providers"] > 1 else "")
            + (" [by runs]" if row["shaped"] else ""),
            f"{row['ns_per_byte']:.4f}",
            f"{row['ns_per_byte'] / reference:.1f}" if reference > 0 else "",
            f"{row['hits_per_mb']:.1f}",
        ]
        for row in answer["patterns"]
    ]
    say(table(["pattern of", "ns/byte", "x reference", "hits/MB"], cells, right=frozenset({1, 2, 3})))
    say("\n")
    whole = {row["view"]: row for row in answer["sets"]}
    cells = [
        ["all", row["view"], f"{row['ns_per_byte']:.4f}", f"{1e3 / row['ns_per_byte']:,.0f}", ""]
        for row in answer["sets"]
    ]
    for row in answer["without"]:
        gain = whole[row["view"]]["ns_per_byte"] / row["ns_per_byte"] - 1
        cells.append(
            [
                f"without {row['id']}",
                row["view"],
                f"{row['ns_per_byte']:.4f}",
                f"{1e3 / row['ns_per_byte']:,.0f}",
                f"{gain:+.1%}",
            ]
        )
    say(table(["set", "view", "ns/byte", "MB/s", "gain"], cells, right=frozenset({2, 3, 4})))
    click.echo(
        f"{megabytes(answer['bytes'])} from {count(answer['files'], 'file')} in pieces of {options['piece']:,} bytes, "
        f"reference {reference:.4f} ns/byte, thread time, best of {options['rounds']}, matching only",
        err=True,
    )
    return CLEAN
