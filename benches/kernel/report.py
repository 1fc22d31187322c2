"""`docs/eval-kernel.md` from the newest records of the kernel's benchmarks."""

from __future__ import annotations

import json
from typing import Any

from benches import ROOT
from benches.kernel import keep
from benches.kernel.world import ASKS

PAGE = ROOT / "docs" / "eval-kernel.md"
#: Benchmarks whose records the page is made from, and the commands that make them.
SOURCES = {
    "kernel": "python -m benches.kernel --record",
    "native": "python -m benches.kernel.native FOLDER --record",
    "socket": "python -m benches.kernel_socket --record",
    "observe": "python -m benches.kernel.observe --record",
}


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| | P50 us | P95 us | P99 us | to the first line | checks and proves |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        figures = [row["p50"], row["p95"], row["p99"], row["p50"] / rows[0]["p50"]]
        lines.append(f"| {row['name']} | {' | '.join(f'{figure:,.1f}' for figure in figures)} | {row['checks']} |")
    return lines


def _apart(rows: list[dict[str, Any]]) -> list[str]:
    """A table for each request: an action that is allowed reserves and is given a lease, one that is denied is not."""
    lines = []
    for ask in ASKS:
        answer = "allowed" if ask.allowed else f"denied: {ask.name}"
        lines += [
            f"### {answer[0].upper()}{answer[1:]}",
            "",
            *_table([row | row["by_request"][ask.name] for row in rows]),
            "",
        ]
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


def page(records: dict[str, dict[str, Any]], sources: dict[str, str]) -> str:
    """The page as Markdown.

    Args:
        records: what the benchmarks of `SOURCES` measured, by name; those but `kernel` may be missing.
        sources: what the page says each was made from.
    """
    lines = _rivals(records["kernel"], sources["kernel"])
    for name, title, section in (
        ("native", "Without Python", _native),
        ("socket", "A process of its own", _socket),
        ("observe", "What came into a conversation", _observe),
    ):
        if name in records:
            record = records[name]
            command = f"Made by `{SOURCES[name]}` from {sources[name]}, {_where(record['machine'])}."
            lines += ["", f"## {title}", "", command, "", *_loaded(record["machine"]), *section(record)]
    return "\n".join(lines) + "\n"


def _where(about: dict[str, Any]) -> str:
    return f"load {about['load_at_start'][0]} at the start, commit {about['commit']}"


def _native(record: dict[str, Any]) -> list[str]:
    lines = [
        "1,001 policies; arguments are not scanned. `authorize` one by one, then permits for 32 callers.",
        "",
        "| | P50 us | P95 us | P99 us | a second | processor us each |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in record["authorize"]:
        more = [f"{row[name]:,}" if name in row else "" for name in ("per_second", "processor_us")]
        figures = [f"{row[name]:,.1f}" for name in ("p50", "p95", "p99")]
        lines.append(f"| {row['name']} | {' | '.join(figures + more)} |")
    lines += ["", "| ledger | |", "|---|---:|"]
    for row in record["ledger"]:
        if row["what"] == "durable":
            who = f"{row['callers']} callers with {row['ahead']} on their way each"
            lines.append(f"| {row['receipts']}: durable receipts a second, {who} | {row['per_second']:,} |")
        else:
            what = "verified offline with proof, seconds of one core a million"
            lines.append(f"| {row['receipts']}: {what} | {row['seconds_a_million']:.1f} |")
    return lines


def _socket(record: dict[str, Any]) -> list[str]:
    asked = (
        f"{record['requests']:,} requests of each kind, to a kernel in the process and to one behind a socket in turn"
    )
    if "in_rounds" in record:
        asked += (
            f"; in {record['in_rounds']} rounds in turn, of which each row shows its quietest, the one whose two "
            "medians are least together"
        )
    lines = [
        f"{asked}. Arguments of `refund` are scanned.",
        "",
        "| | in the process, P50 us | P99 us | behind a socket, P50 us | P99 us | P50 more, us |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in record["rows"]:
        own, there = row["in_process"], row["socket"]
        figures = [*own, *there, there[0] - own[0]]
        lines.append(f"| {row['name']} | {' | '.join(f'{figure:,.1f}' for figure in figures)} |")
    return lines


def _observe(record: dict[str, Any]) -> list[str]:
    lines = ["Processor time of `observe`, new random words each time.", "", "| text | us a KiB |", "|---|---:|"]
    return lines + [f"| {row['kib']} KiB | {row['us_a_kib']:.2f} |" for row in record["rows"]]


def _rivals(record: dict[str, Any], source: str) -> list[str]:
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
        lines += [f"### {int(count):,} policies", "", *_table(rows), ""]
    lines += [
        "## Action signed off",
        "",
        "The same 1,000 policies. What each does beside deciding differs, so the last column is part of the figure. "
        "Arguments are scanned for secrets and personal data where the name says so.",
        "",
        *_apart(record["authorize"]),
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
    return lines


def made() -> str:
    """The page from the newest records."""
    found = {name: record for name in SOURCES if (record := keep.newest(name)) is not None}
    records = {name: json.loads(record.read_text(encoding="utf-8")) for name, record in found.items()}
    links = {name: f"[{record.name}](../benches/record/kernel/{record.name})" for name, record in found.items()}
    return page(records, links)


def write() -> None:
    """Write the page."""
    PAGE.write_text(made(), encoding="utf-8")
