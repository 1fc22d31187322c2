"""`docs/eval-kernel.md` from a record of `python -m benches.kernel`."""

from __future__ import annotations

from typing import Any

from benches import ROOT

PAGE = ROOT / "docs" / "eval-kernel.md"


def _table(rows: list[dict[str, Any]], against: dict[str, Any]) -> list[str]:
    lines = [
        "| | P50 us | P95 us | P99 us | to the first line | checks and proves |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        figures = [row["p50"], row["p95"], row["p99"], row["p50"] / against["p50"]]
        lines.append(f"| {row['name']} | {' | '.join(f'{figure:,.1f}' for figure in figures)} | {row['checks']} |")
    return lines


def _loaded(about: dict[str, Any]) -> list[str]:
    """A warning where other work ran beside."""
    if about["load_at_start"][0] <= about["cores_available"]:
        return []
    return [
        "**The machine was busy with other work.** Calls of a millisecond and more were interrupted, short ones "
        "seldom: the ratios to slow rivals are too high, and times of the disk say little.",
        "",
    ]


def page(record: dict[str, Any], source: str) -> str:
    """The page as Markdown.

    Args:
        record: what `benches.kernel` measured.
        source: what the page says it was made from.
    """
    about = record["machine"]
    load = about["load_at_start"][0]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        "# The action kernel from Python, beside its rivals",
        "",
        f"Made by `python -m benches.kernel --record` from {source}; do not edit.",
        "",
        f"{about['cpu']}, {about['cores_available']} cores, Python {about['python']}, load {load} at the start, commit "
        f"{about['commit']}. {versions}. {record['rounds']} rounds in which all take turns; three requests in turn, "
        "one allowed and two denied, and whoever answers one of them wrongly ends the run.",
        "",
        *_loaded(about),
        "## Decision by policies",
        "",
        "50 tools, 20 roles, 10 tenants. Policies are parsed before, requests are made before.",
        "",
    ]
    for count, rows in record["decide"].items():
        lines += [f"### {int(count):,} policies", "", *_table(rows, rows[0]), ""]
    lines += [
        "## Action signed off",
        "",
        "The same 1,000 policies. What each does beside deciding differs, so the last column is part of the figure.",
        "",
        *_table(record["authorize"], record["authorize"][0]),
        "",
        "## Durable permits",
        "",
        "32 tasks of one event loop, each with one request on its way: from the request to the permit, which is there "
        "when the receipt is on the disk. No rival makes its evidence durable before it answers.",
        "",
        "| receipts | P50 us | P95 us | P99 us | a second |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['receipts']} | {row['p50']:,.0f} | {row['p95']:,.0f} | {row['p99']:,.0f} | {row['per_second']:,} |"
        for row in record["durable"]
    ]
    return "\n".join(lines) + "\n"


def link(source: str) -> str:
    """The name of a record's file, as a link from the page."""
    return f"[{source}](../benches/record/kernel/{source})"


def write(record: dict[str, Any], source: str) -> None:
    """Write the page.

    Args:
        record: what was measured.
        source: name of the file of the record.
    """
    PAGE.write_text(page(record, link(source)), encoding="utf-8")
