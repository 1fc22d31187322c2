"""Options that several commands share, and the scanner they make."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click

if TYPE_CHECKING:
    import sift_fast

Command = TypeVar("Command", bound=Callable[..., Any])


class Selection(TypedDict):
    """What the options below collect."""

    rules: tuple[str, ...]
    rule_file: tuple[str, ...]


class ScannerArguments(Selection):
    """All of a scanner's options."""

    entities: tuple[str, ...]
    exclude: tuple[str, ...]
    min_score: float
    engine: str | None
    decode: bool


def split(values: tuple[str, ...]) -> list[str]:
    """`("a,b", "c")` as `["a", "b", "c"]`."""
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


def rule_options(command: Command) -> Command:
    """`--rules` and `--rule-file`."""
    command = click.option(
        "--rule-file",
        multiple=True,
        metavar="FILE",
        help="Add the rules of a TOML document. May be given again.",
    )(command)
    return click.option(
        "--rules",
        multiple=True,
        metavar="NAMES",
        help="Rule sets, separated by commas: default (secrets, injection, leak), pii (personal data), pii-us and "
        "other regions, pii-all; `none` for those of --rule-file only.  [default: default]",
    )(command)


def scanner_options(command: Command) -> Command:
    """Everything that makes a scanner."""
    command = click.option(
        "--decode/--no-decode",
        default=True,
        show_default=True,
        help="Read what is written in base64, hex, escapes or disguised characters.",
    )(command)
    command = click.option(
        "--engine",
        type=click.Choice(["hyperscan", "automata"]),
        default=None,
        help="Pattern engine.  [default: hyperscan where it is built in]",
    )(command)
    command = click.option(
        "--min-score",
        type=click.FloatRange(0.0, 1.0),
        default=0.0,
        metavar="X",
        help="Drop findings that score below, 0 to 1.",
    )(command)
    command = click.option(
        "--exclude",
        multiple=True,
        metavar="NAMES",
        help="Not these entity types or rule ids, separated by commas.",
    )(command)
    command = click.option(
        "--entities",
        multiple=True,
        metavar="NAMES",
        help="Only these entity types, separated by commas.",
    )(command)
    return rule_options(command)


def rule_sets(rules: tuple[str, ...]) -> list[str]:
    """Names of rule sets; `none` is no set, nothing said is the default set."""
    names = split(rules)
    if not names:
        return ["default"]
    return [name for name in names if name != "none"]


def make_scanner(options: ScannerArguments) -> sift_fast.Scanner:
    """The scanner that the options describe. Raises RuleError and ConfigError."""
    import sift_fast

    more: dict[str, Any] = {} if options["engine"] is None else {"engine": options["engine"]}
    return sift_fast.Scanner(
        rules=rule_sets(options["rules"]),
        rule_files=list(options["rule_file"]),
        entities=split(options["entities"]) or None,
        exclude=split(options["exclude"]),
        min_score=options["min_score"],
        decode=options["decode"],
        **more,
    )


def rule_table(options: Selection) -> list[dict[str, Any]]:
    """All about each rule, in the order in which findings number them."""
    from sift_fast import _core

    table: list[dict[str, Any]] = _core.rule_table(rule_sets(options["rules"]), list(options["rule_file"]))
    return table
