"""The command line of the evaluation of personal data."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benches import HERE, ROOT, machine
from benches import cli as benchmarks
from benches import record as records
from benches.engines import sift_fast as ours
from benches.errors import BenchError
from benches.pii import cases as case_files
from benches.pii import measure, report
from benches.secrets.measure import corpora_record, cost
from benches.secrets.texts import load_corpora

FOLDER = HERE / "record" / "pii"
PAGE = ROOT / "docs" / "eval-pii.md"


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    top = argparse.ArgumentParser(prog="python -m benches.pii", description=__doc__)
    top.add_argument("--cases", type=Path, metavar="DIR", help=f"holds {case_files.RECOGNIZERS} and its like")
    top.add_argument("--corpora", type=Path, metavar="DIR", help="clean text, NAME.jsonl.gz with the field text")
    top.add_argument("--no-speed", action="store_true", help="leave out the benchmarks pii-*")
    top.add_argument("--quick", action="store_true", help="benchmarks on small samples: does it work at all")
    top.add_argument("--update-expected", action="store_true", help="the second engine verifies the counts of pii-*")
    top.add_argument("--details", type=Path, metavar="FILE", help="write failed cases WITH THEIR TEXT as JSON lines")
    top.add_argument("--record", action="store_true", help="write the records and docs/eval-pii.md")
    top.add_argument("--report", action="store_true", help="only: write the page from the newest records")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say. 0 fine, 2 an error; a failed case is a number and no error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    try:
        if options.report:
            write_page()
            return 0
        _check(options)
        cases = case_files.load(options.cases)
        made = evaluate(options, cases, given)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for table in report.tables(made):
        print(table.markdown(), end="\n\n")
    if options.details:
        _details(made, cases, options.details)
    if options.record:
        path = records.write(made, FOLDER)
        print(f"recorded: {path.relative_to(ROOT)}", file=sys.stderr)
    done = 0 if options.no_speed else benchmarks.main(_speed(options))
    if options.record and done == 0:
        write_page()
    return done


def _check(options: argparse.Namespace) -> None:
    """Refuse what could only fail after minutes."""
    if options.cases is None:
        raise BenchError("name a folder of cases: --cases DIR (make eval-pii CASES=DIR CORPORA=DIR)")
    if options.details and options.details.resolve().is_relative_to(ROOT):
        raise BenchError("--details writes texts of the cases: name a file outside the repository")
    if options.record and (options.corpora is None or options.no_speed or options.quick):
        raise BenchError("only a whole run is recorded: name --corpora, leave out --no-speed and --quick")


def _speed(options: argparse.Namespace) -> list[str]:
    """The arguments of the benchmarks of personal data, on the same corpora."""
    given = ["pii-*"]
    if options.corpora:
        given += ["--corpus", str(options.corpora)]
    for name in ("quick", "update_expected", "record"):
        given += [f"--{name.replace('_', '-')}"] if getattr(options, name) else []
    return given


def evaluate(options: argparse.Namespace, cases: case_files.Cases, given: Sequence[str]) -> dict[str, Any]:
    """Everything that is counted, as a record."""
    described = machine.describe()
    build = ours.build()
    corpora = load_corpora(options.corpora) if options.corpora else {}
    scanners = measure.Scanners()
    return {
        "version": records.VERSION,
        "name": "pii",
        "date": machine.now(),
        "command": machine.command_line(given).replace("-m benches", "-m benches.pii", 1),
        "build": build,
        "machine": {**described, "load_at_end": [round(load, 2) for load in os.getloadavg()]},
        "cases": dict(cases.sha256),
        "corpora": corpora_record(corpora),
        "recognizers": measure.on_recognizers(cases.recognizers, scanners),
        "validators": measure.on_validators(cases.validators, measure.entities_of(cases.recognizers), scanners),
        "anonymizer": measure.on_anonymizers(cases.anonymizers),
        "findings": measure.on_corpora(corpora),
        "calls": measure.calls(corpora),
        # The second engine has no costs that anybody pays.
        "cost": cost(["pii"], [], corpora) if corpora and build["engine"] == "hyperscan" else None,
    }


def _details(made: Mapping[str, Any], cases: case_files.Cases, path: Path) -> None:
    """The only output that holds texts: for whoever works on the rules, outside the repository."""
    texts = {
        "recognizers": {case.number: case.text for case in cases.recognizers},
        "validators": {case.number: case.text for case in cases.validators},
        "anonymizer": {case.number: case.row["text"] for case in cases.anonymizers},
    }
    with path.open("w", encoding="utf-8") as stream:
        for part, known in texts.items():
            for failure in made[part].get("failed", []):
                stream.write(json.dumps({"part": part, **failure, "text": known[failure["case"]]}) + "\n")


def newest() -> dict[str, Any]:
    """The newest record of the cases."""
    found = records.newest(FOLDER) if FOLDER.is_dir() else {}
    if "pii" not in found:
        raise BenchError("there is no record of the evaluation; run it with --record first")
    return found["pii"]


def write_page() -> None:
    """Write docs/eval-pii.md from the newest records."""
    PAGE.write_text(report.page(newest(), records.newest()), encoding="utf-8")
