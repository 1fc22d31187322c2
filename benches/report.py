"""Rewrites the tables of a Markdown file from the newest records.

A table stands between ``<!-- bench:NAME -->`` and ``<!-- /bench -->``, where NAME is a benchmark,
``targets`` (what must be reached), or ``losses`` (where we lose). Everything else in the file is left
alone. Nothing in a table is typed by hand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benches import models, targets
from benches.errors import BenchError

MARKER = re.compile(r"(<!-- bench:([a-z0-9_-]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)

Records = Mapping[str, Mapping[str, Any]]


def rewrite(text: str, records: Records) -> tuple[str, list[str]]:
    """The text with its tables made new, and the names of the markers for which there is no record."""
    absent: list[str] = []

    def fill(found: re.Match[str]) -> str:
        start, name, end = found.group(1), found.group(2), found.group(3)
        body = section(name, records)
        if body is None:
            absent.append(name)
            return found.group(0)
        return f"{start}\n{body}\n\n{end}"

    return MARKER.sub(fill, text), absent


def section(name: str, records: Records) -> str | None:
    """The Markdown of one marker; None when there is no record for it."""
    if name == "targets":
        return targets.table(records).markdown() if records else None
    if name == "losses":
        return losses(records) if records else None
    record = records.get(name)
    if record is None:
        return None
    tables = models.get(record["definition"]["model"]).tables(record)
    return "\n\n".join([*(table.markdown() for table in tables), footnote(record)])


def footnote(record: Mapping[str, Any]) -> str:
    """Where, when and how the numbers above were made, and what would make them not worth quoting."""
    machine = record["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    parts = [
        f"{record['date'][:10]}, {machine['cpu']} ({machine['cpu_level']}"
        f"{', virtual' if machine['virtual'] else ''}), {machine['cores_available']} cores, "
        f"Linux {machine['kernel']}, Python {machine['python']}, {versions}.",
        f"`{record['command']}`",
    ]
    if busy(machine):
        parts.append(
            f"**Somebody else used the machine (load {machine['load_at_start'][0]:g} before, "
            f"{machine['load_at_end'][0]:g} after): ratios only.**"
        )
    if record["quick"]:
        parts.append("**A quick run on small samples: for orientation only.**")
    if any(cell["input"].get("synthetic") for cell in record["cells"]):
        parts.append("**Synthetic texts: not to be quoted.**")
    if unverified(record):
        parts.append("The number of findings on these texts has not been verified by the second engine.")
    if record["missing"]:
        parts.append(f"Not installed and left out: {', '.join(sorted(record['missing']))}.")
    return "<sub>" + " ".join(parts) + "</sub>"


def busy(machine: Mapping[str, Any]) -> bool:
    """Whether the load tells of other work: more than half a core before the run, or much above ours after."""
    return bool(machine["load_at_start"][0] > 0.5 or machine["load_at_end"][0] > 1.75)


def unverified(record: Mapping[str, Any]) -> bool:
    """Whether a count of ours in this record had no expected value to meet."""
    return any(
        engine.get("expected") == "unverified"
        for cell in record["cells"]
        for engine in cell["engines"].values()
        if isinstance(engine, Mapping)
    )


def losses(records: Records) -> str:
    """Every comparison that a rival wins and every target that is missed, or a sentence that says none."""
    lines = [f"- target missed: {line}." for line in targets.missed(records)]
    for name in sorted(records):
        record = records[name]
        lines += [f"- {line}." for line in models.get(record["definition"]["model"]).losses(record)]
    if not lines:
        return f"In these records ({', '.join(sorted(records))}) no rival wins a comparison and no target is missed."
    return "\n".join(lines)


def rewrite_file(path: Path, records: Records, check: bool) -> tuple[bool, list[str]]:
    """Rewrite `path` in place; with `check` only say whether it would change."""
    try:
        before = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BenchError(f"cannot read `{path.name}`: {error.strerror}") from error
    after, absent = rewrite(before, records)
    if after != before and not check:
        path.write_text(after, encoding="utf-8")
    return after != before, absent
