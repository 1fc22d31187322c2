"""The three forms of a report: text for people, JSONL for programs, SARIF 2.1.0 for code scanning services.

All are in one stable order (path, then start), and none holds a byte of what was found.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote_from_bytes

import click

from sift_fast.cli._output import Writer
from sift_fast.cli._text import SEVERITY_COLOURS, printable

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
HOME = "https://github.com/sift-fast/sift-fast"

#: SARIF levels, and the numbers that code scanning services sort by (CVSS-like, 0 to 10).
LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
SECURITY_SEVERITY = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0"}
#: How sure a rule's shape alone is.
PRECISION = {"specific": "very-high", "family": "high", "generic": "medium"}


@dataclass(frozen=True)
class Shown:
    """One finding in a report."""

    path: bytes
    #: A row of `scanner.rules`, and its position there.
    rule: Any
    index: int
    #: A finding of `FileScan`: where, how sure, and the masked preview.
    finding: Any


@dataclass(frozen=True)
class Run:
    """What a report is about."""

    version: str
    rules: Sequence[Any]
    findings: Sequence[Shown]
    #: (path, reason) of what could not be read.
    unreadable: Sequence[tuple[bytes, str]]
    #: (path, names of limits) of what was not read to the end.
    incomplete: Sequence[tuple[bytes, str]]
    exit_code: int
    started: datetime
    ended: datetime
    #: Whether fingerprints are keyed with a salt that lasts, that of a baseline.
    keyed: bool


def write_text(run: Run, out: Writer, *, colour: bool) -> None:
    """`path:line:column  severity  rule id  entity  score  preview`, one line for a finding.

    What was encoded has its encodings behind the preview, the outermost first.
    """
    for shown in run.findings:
        finding = shown.finding
        severity, rule_id = f"{shown.rule.severity:<8}", shown.rule.id
        place = f"{printable(shown.path)}:{finding.line}:{finding.column}"
        if colour:
            place = click.style(place, bold=True)
            severity = click.style(severity, fg=SEVERITY_COLOURS[shown.rule.severity])
            rule_id = click.style(rule_id, fg="blue")
        line = f"{place}  {severity}  {rule_id}  {shown.rule.entity_type}  {finding.score:.2f}  {finding.preview}"
        if finding.decoded:
            line += f"  {' > '.join(finding.decoded)}"
        out.write(line.encode("utf-8", "backslashreplace") + b"\n")


def write_jsonl(run: Run, out: Writer) -> None:
    """One object a line; the keys are documented in docs/cli.md. ASCII only, so no name can break a line."""
    for shown in run.findings:
        finding = shown.finding
        row: dict[str, Any] = {
            "path": shown.path.decode("utf-8", "replace"),
            "line": finding.line,
            "column": finding.column,
            "end_line": finding.end_line,
            "end_column": finding.end_column,
            "start": finding.start,
            "end": finding.end,
            "rule_id": shown.rule.id,
            "category": shown.rule.category,
            "entity_type": shown.rule.entity_type,
            "severity": shown.rule.severity,
            "score": round(finding.score, 4),
            "preview": finding.preview,
            "decoded": list(finding.decoded),
        }
        if not _is_utf8(shown.path):
            row["path_hex"] = shown.path.hex()
        if run.keyed:
            row["fingerprint"] = finding.fingerprint.hex()
        out.write(json.dumps(row, ensure_ascii=True).encode("ascii") + b"\n")


def _is_utf8(path: bytes) -> bool:
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def write_sarif(run: Run, out: Writer) -> None:
    """A SARIF 2.1.0 log with one run."""
    notifications = [_notification(path, f"could not be read: {reason}", "error") for path, reason in run.unreadable]
    notifications += [
        _notification(path, f"was not scanned to the end, limits were hit: {limits}", "warning")
        for path, limits in run.incomplete
    ]
    invocation: dict[str, Any] = {
        "executionSuccessful": run.exit_code != 2,
        "exitCode": run.exit_code,
        "startTimeUtc": _utc(run.started),
        "endTimeUtc": _utc(run.ended),
        "toolExecutionNotifications": notifications,
    }
    log = {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "sift-fast",
                        "version": run.version,
                        "semanticVersion": run.version,
                        "informationUri": HOME,
                        "rules": [_sarif_rule(rule) for rule in run.rules],
                    }
                },
                "columnKind": "utf16CodeUnits",
                "invocations": [invocation],
                "results": list(_sarif_results(run)),
            }
        ],
    }
    out.write(json.dumps(log, ensure_ascii=True, indent=1).encode("ascii") + b"\n")


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _sarif_rule(rule: Any) -> dict[str, Any]:
    title = printable(rule.title, escape_backslash=False)
    descriptor: dict[str, Any] = {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.entity_type.split("_")),
        "shortDescription": {"text": title},
        "fullDescription": {"text": f"{title}, found by the rule {rule.id}."},
        "help": {"text": _advice(rule.category)},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {
            "tags": ["security", rule.category, *rule.threat],
            "precision": PRECISION[rule.tier],
            "security-severity": SECURITY_SEVERITY[rule.severity],
            "entityType": rule.entity_type,
            "severity": rule.severity,
            "tier": rule.tier,
            "score": round(rule.score, 4),
        },
    }
    # A user's rule may cite anything; SARIF wants a URI.
    uris = [uri for uri in rule.references if uri.startswith(("https://", "http://"))]
    if uris:
        descriptor["helpUri"] = quote_from_bytes(uris[0].encode("utf-8"), safe=":/?#[]@!$&'()*+,;=%~")
    return descriptor


def _advice(category: str) -> str:
    if category == "injection":
        return "A text that speaks to the model instead of about its subject: do not hand it to a model as it is."
    if category == "leak":
        return "A text that gives away instructions or internals: find out how it came out."
    return "Revoke the credential, replace it, and move it out of the text; deleting the line does not undo a leak."


def _sarif_results(run: Run) -> Iterator[dict[str, Any]]:
    nth: Counter[tuple[bytes, str]] = Counter()
    for shown in run.findings:
        finding, rule_id = shown.finding, shown.rule.id
        name = os.path.relpath(shown.path) if shown.path != STANDARD_INPUT else shown.path
        # No content: the place among its like in the file stays when lines move, and says nothing of the value.
        place = hashlib.sha256(b"\0".join([name, rule_id.encode(), b"%d" % nth[(name, rule_id)]])).hexdigest()
        nth[(name, rule_id)] += 1
        fingerprints = {"siftFastPlace/v1": place}
        if run.keyed:
            fingerprints["siftFastKeyed/v1"] = finding.fingerprint.hex()
        yield {
            "ruleId": rule_id,
            "ruleIndex": shown.index,
            "level": LEVELS[shown.rule.severity],
            "rank": round(finding.score * 100, 1),
            "message": {"text": _message(shown)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": artifact(shown.path),
                        "region": {
                            "startLine": finding.line,
                            "startColumn": finding.utf16_column,
                            "endLine": finding.end_line,
                            "endColumn": finding.utf16_end_column,
                        },
                    }
                }
            ],
            "partialFingerprints": fingerprints,
            "properties": {"decoded": list(finding.decoded)},
        }


def _message(shown: Shown) -> str:
    text = f"{printable(shown.rule.title, escape_backslash=False)}: {shown.finding.preview}"
    # Whoever looks at the place sees no credential there.
    return f"{text} (in {' > '.join(shown.finding.decoded)})" if shown.finding.decoded else text


def _notification(path: bytes, what: str, level: str) -> dict[str, Any]:
    return {
        "level": level,
        "message": {"text": f"{printable(path)} {what}"},
        "locations": [{"physicalLocation": {"artifactLocation": artifact(path)}}],
    }


#: The name of standard input in reports.
STANDARD_INPUT = b"<stdin>"


def artifact(path: bytes) -> dict[str, str]:
    """Where a file is, as a URI: relative to the working folder if it lies in it, else absolute.

    Every byte but unreserved ASCII and `/` is percent-encoded, so any name is a URI.
    """
    if path == STANDARD_INPUT:
        return {"uri": quote_from_bytes(path)}
    relative = os.path.relpath(path)
    if relative == b".." or relative.startswith(b"../"):
        return {"uri": "file://" + quote_from_bytes(os.path.abspath(path))}
    # RFC 3986 §4.2: quoting leaves no colon in the first segment that could be read as a scheme.
    return {"uri": quote_from_bytes(relative), "uriBaseId": "%SRCROOT%"}
