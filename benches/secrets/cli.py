"""The command line of the evaluation."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benches import HERE, ROOT, machine
from benches import record as records
from benches.engines import sift_fast as ours
from benches.errors import BenchError, EngineMissing
from benches.secrets import cases as case_files
from benches.secrets import measure, report, scanners
from benches.secrets.span import locate
from benches.secrets.texts import load_corpora

FOLDER = HERE / "record" / "secrets"
PAGE = ROOT / "docs" / "eval-secrets.md"
PLOT = ROOT / "docs" / "eval-secrets.svg"


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    top = argparse.ArgumentParser(prog="python -m benches.secrets", description=__doc__)
    top.add_argument("--cases", type=Path, metavar="FILE", help="JSONL.gz: source, rule_id, text, expect, kind")
    top.add_argument("--corpora", type=Path, metavar="DIR", help="clean text, NAME.jsonl.gz with the field text")
    top.add_argument("--rules", default="secrets", metavar="SETS", help="our rule sets, `none` for no built-in rule")
    top.add_argument("--rule-file", type=Path, action="append", default=[], metavar="FILE", help="rules beside them")
    top.add_argument("--scanners", metavar="A,B", help=f"besides ours, of {', '.join(scanners.RIVALS)}; `none`")
    top.add_argument("--no-cost", action="store_true", help="leave out the cost of each rule")
    top.add_argument("--details", action="store_true", help="list misses, flagged negatives and false findings")
    top.add_argument("--failed", type=Path, metavar="FILE", help="write our failed cases WITH THEIR TEXT as JSON lines")
    top.add_argument("--unseen-rules", action="store_true", help="only: our rules by the number of cases they hit")
    top.add_argument("--record", action="store_true", help="write the record, docs/eval-secrets.md and its plot")
    top.add_argument("--report", action="store_true", help="only: write page and plot from the newest record")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say. 0 fine, 2 an error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    try:
        if options.report:
            write_page(newest())
            return 0
        if options.cases is None:
            raise BenchError("name a file of cases: --cases FILE (make eval-secrets CASES=FILE CORPORA=DIR)")
        if options.unseen_rules:
            return _unseen(options)
        _check(options)
        made = evaluate(options, given)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report.summary(made).markdown())
    if options.details:
        _details(made)
    if options.failed:
        _failed(made, options)
    if options.record:
        _record(made)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse what could only fail after minutes."""
    if options.failed and options.failed.resolve().is_relative_to(ROOT):
        raise BenchError("--failed writes texts of the cases: name a file outside the repository")
    if options.record and (options.rule_file or options.rules != "secrets"):
        raise BenchError("only the built-in secret rules are recorded: leave out --rules and --rule-file")


def evaluate(options: argparse.Namespace, given: Sequence[str]) -> dict[str, Any]:
    """Everything that is measured, as a record."""
    cases = case_files.load(options.cases)
    out = case_files.left_out(cases)
    described = machine.describe()
    corpora = load_corpora(options.corpora) if options.corpora else {}
    rules, files = _selection(options)
    chosen, missing = _open(options, rules, files)
    located = locate(cases)
    measured: dict[str, Any] = {}
    for scanner in chosen:
        print(f"{scanner.name} {scanner.version} ...", file=sys.stderr, flush=True)
        measured[scanner.name] = {
            "version": scanner.version,
            "settings": scanner.settings,
            "rules": scanner.rules,
            **measure.on_cases(scanner, cases, located, out),
            "corpora": measure.on_corpora(scanner, corpora),
        }
        if scanner.name != scanners.OURS:
            # Whose misses they are is told by the types.
            del measured[scanner.name]["missed"]
    build = ours.build()
    priced = None
    if corpora and not options.no_cost and build["engine"] == "hyperscan":
        print("cost of each rule ...", file=sys.stderr, flush=True)
        priced = measure.cost(rules, files, corpora)
    return {
        "version": records.VERSION,
        "name": "secrets",
        "date": machine.now(),
        "command": machine.command_line(given).replace("-m benches", "-m benches.secrets", 1),
        "build": build,
        "rules_version": build["rules_version"],
        "machine": {**described, "load_at_end": [round(load, 2) for load in os.getloadavg()]},
        "missing": missing,
        "cases": measure.cases_record(options.cases, cases, located, out),
        "corpora": measure.corpora_record(corpora),
        "scanners": measured,
        "rules_hit": measure.rules_hit(rules, files, cases),
        "cost": priced,
    }


def _selection(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    sets = [name for name in options.rules.split(",") if name and name != "none"]
    return sets, [str(path) for path in options.rule_file]


def _open(
    options: argparse.Namespace, rules: Sequence[str], files: Sequence[str]
) -> tuple[list[scanners.Scanner], dict[str, str]]:
    chosen, missing = [scanners.sift_fast(rules, files)], {}
    wanted = list(scanners.RIVALS) if options.scanners is None else options.scanners.split(",")
    for name in wanted:
        if name in ("", "none"):
            continue
        if name not in scanners.RIVALS:
            raise BenchError(f"no scanner is called `{name}`; there are {', '.join(scanners.RIVALS)}")
        try:
            chosen.append(scanners.RIVALS[name]())
        except EngineMissing as error:
            missing[name] = str(error)
            print(f"left out: {error}", file=sys.stderr)
    return chosen, missing


def _unseen(options: argparse.Namespace) -> int:
    rules, files = _selection(options)
    hit = measure.rules_hit(rules, files, case_files.load(options.cases))
    for rule, number in sorted(hit.items(), key=lambda item: (-item[1], item[0])):
        print(f"{number:6}  {rule}")
    print(f"{sum(map(bool, hit.values()))} of {len(hit)} rules hit a case", file=sys.stderr)
    return 0


def _details(made: Mapping[str, Any]) -> None:
    scanner = made["scanners"][scanners.OURS]
    for word in ("missed", "flagged", "wrong_span"):
        for entry in scanner[word]:
            print(word, entry, sep="\t")
    for name, found in scanner["corpora"].items():
        for entry in found["texts"]:
            print("false", name, entry, sep="\t")


def _failed(made: Mapping[str, Any], options: argparse.Namespace) -> None:
    """The only output that holds texts: for whoever works on the rules, outside the repository."""
    wrong: dict[tuple[str, str], dict[str, Any]] = {}
    for word in ("missed", "flagged", "wrong_span"):
        for entry in made["scanners"][scanners.OURS][word]:
            sha, kind, *rules = entry.split(" ")
            wrong[sha, kind] = {"why": word, "rules": rules}
    with options.failed.open("w", encoding="utf-8") as stream:
        for case in case_files.load(options.cases):
            why = wrong.get((case.digest, case.type))
            if why is not None:
                stream.write(json.dumps({**why, "type": case.type, "kind": case.kind, "text": case.text}) + "\n")


def _record(made: Mapping[str, Any]) -> None:
    before = newest(required=False)
    path = records.write(made, FOLDER)
    print(f"recorded: {path.relative_to(ROOT)}", file=sys.stderr)
    write_page(newest())
    for line in report.comparison(made, before) if before else ():
        print(line, file=sys.stderr)


def newest(*, required: bool = True) -> dict[str, Any]:
    """The newest record."""
    found = records.newest(FOLDER) if FOLDER.is_dir() else {}
    if not found and required:
        raise BenchError("there is no record of the evaluation; run it with --record first")
    return found.get("secrets", {})


def write_page(record: Mapping[str, Any]) -> None:
    """Write docs/eval-secrets.md and its plot."""
    PAGE.write_text(report.page(record, PLOT.name), encoding="utf-8")
    PLOT.write_text(report.plot(record), encoding="utf-8")
