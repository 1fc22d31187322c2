"""The page and the plot of a record: Markdown and SVG, from nothing but the record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from benches.secrets.scanners import OURS
from benches.table import Table, figure

INTRODUCTION = """# Evaluation of the secret rules

<!-- Made by `make eval-secrets ARGS=--record`; do not edit. -->

Third-party cases and clean text, every scanner in the same run on the same bytes.

- **found**: share of the positive cases in which the scanner reports anything; **flagged**: the same for
  negative cases. A negative says "not by that rule": those that hold a secret of another rule are left out
  (`benches/secrets/left_out.toml`, with a reason each).
- **right span**: of the cases whose secret can be located beyond doubt and is touched by a finding, the share
  in which a finding covers the secret and at most one quote on each side of it. Templates put one secret into
  many syntaxes, which tells its bounds; literal cases count when they are one bare value or one assignment.
- **false/MB**: findings in text that holds no secret, per 10^6 bytes."""


def percent(part: float, whole: float) -> str:
    """`97.3`, or a dash for none of none."""
    return f"{100 * part / whole:.1f}" if whole else "-"


def total(scanner: Mapping[str, Any], key: str) -> int:
    """A count over all sources."""
    return sum(source.get(key, 0) for source in scanner["sources"].values())


def false_per_mb(record: Mapping[str, Any], scanner: Mapping[str, Any]) -> float:
    """False findings per MB over all corpora together."""
    size = sum(corpus["bytes"] for corpus in record["corpora"])
    return sum(found["findings"] for found in scanner["corpora"].values()) / (size / 1e6) if size else math.nan


def summary(record: Mapping[str, Any]) -> Table:
    """One line for each scanner: the table of the issue."""
    sources = sorted(next(iter(record["scanners"].values()))["sources"])
    corpora = [corpus["name"] for corpus in record["corpora"]]
    columns = ["scanner", "found %", *(f"{name} %" for name in sources), "flagged %", "right span %"]
    rows = []
    for name, scanner in record["scanners"].items():
        each = [scanner["sources"][source] for source in sources]
        rows.append(
            [
                f"{name} {scanner['version']}",
                percent(total(scanner, "found"), total(scanner, "positives")),
                *(percent(source.get("found", 0), source.get("positives", 0)) for source in each),
                percent(total(scanner, "flagged"), total(scanner, "negatives")),
                percent(total(scanner, "right"), total(scanner, "spans")),
                *(figure(scanner["corpora"][corpus]["per_mb"]) for corpus in corpora),
            ]
        )
    cases = record["cases"]
    sizes = ", ".join(f"{corpus['name']} {corpus['bytes'] / 1e6:.2f} MB" for corpus in record["corpora"])
    notes = [
        f"{cases['positives']:,} positive cases, {cases['negatives'] - len(cases['left_out']):,} negative ones "
        f"({len(cases['left_out'])} left out), {cases['located']:,} secrets located."
        + (f" Clean text: {sizes}." if sizes else "")
    ]
    hit = sum(map(bool, record["rules_hit"].values()))
    notes.append(
        f"Rules {record['rules_version']}: {hit:,} of our {len(record['rules_hit']):,} rules hit a positive case; "
        "why the others are believed in stands in [rules.md](rules.md)."
    )
    if record["missing"]:
        notes.append("Left out: " + "; ".join(f"{name} ({why})" for name, why in sorted(record["missing"].items())))
    return Table("", [*columns, *(f"false/MB {name}" for name in corpora)], rows, notes)


def types(record: Mapping[str, Any]) -> Table:
    """The types of which we miss a case, with what the others find."""
    names = list(record["scanners"])
    each = {name: record["scanners"][name]["types"] for name in names}
    ours = {kind: [int(part) for part in share.split("/")] for kind, share in each[OURS].items()}
    rows = [
        [kind, str(of), *(each[name][kind].split("/")[0] for name in names)]
        for kind, (found, of) in sorted(ours.items(), key=lambda item: (item[1][0] - item[1][1], item[0]))
        if found < of
    ]
    complete = sum(found == of for found, of in ours.values())
    return Table("", ["type", "cases", *names], rows, [f"Of the other {complete:,} types every case is found."])


def alarms(record: Mapping[str, Any]) -> Table:
    """Where ours should have found nothing: negatives flagged, and findings in clean text, by digest."""
    ours = record["scanners"][OURS]
    rows = []
    for entry in ours["flagged"]:
        sha, kind, *rules = entry.split(" ")
        rows.append([f"negative of {kind}", sha[:12], " ".join(rules), "1"])
    for name, found in ours["corpora"].items():
        for entry in found["texts"]:
            sha, number, rule = entry.split(" ", 2)
            rows.append([f"clean text: {name}", sha[:12], rule, number])
    note = "Digests are of the case's text, or of what was found in clean text." if rows else "None."
    return Table("", ["where", "sha256", "our rule", "times"], rows, [note])


def cost(record: Mapping[str, Any]) -> Table | None:
    """The dearest patterns of ours."""
    measured = record.get("cost")
    if not measured:
        return None
    reference = measured["reference_ns_per_byte"]
    rows = [
        [
            row["id"] + (f" (+{row['providers'] - 1})" if row["providers"] > 1 else ""),
            f"{row['ns_per_byte']:.4f}",
            f"{row['ns_per_byte'] / reference:.1f}" if reference > 0 else "-",
            f"{row['hits_per_mb']:.1f}",
        ]
        for row in measured["patterns"][:20]
    ]
    whole = measured["sets"][0]
    note = (
        f"The dearest 20 of {len(measured['patterns'])} patterns; all are in the record. Beside a reference pattern "
        f"(one rare literal) of {reference:.4f} ns/byte; the whole set {whole['ns_per_byte']:.4f} ns/byte."
    )
    return Table("", ["pattern of", "ns/byte", "x reference", "hits/MB"], rows, [note])


def page(record: Mapping[str, Any], plot_name: str) -> str:
    """The whole page."""
    parts = [INTRODUCTION, summary(record).markdown(), f"![Recall against false findings]({plot_name})"]
    parts += ["## Types with misses", types(record).markdown()]
    parts += ["## False alarms of ours", alarms(record).markdown()]
    out = record["cases"]["left_out"]
    if out:
        rows = [[sha[:12], kind, reason] for sha, kind, reason in (entry.split(" ", 2) for entry in out)]
        parts += ["## Negatives left out", Table("", ["case", "of", "reason"], rows).markdown()]
    priced = cost(record)
    if priced is not None:
        parts += ["## Cost per rule", priced.markdown()]
    parts.append(footnote(record))
    return "\n\n".join(parts) + "\n"


def footnote(record: Mapping[str, Any]) -> str:
    """Where, when and how."""
    machine = record["machine"]
    settings = "; ".join(f"{name}: {scanner['settings']}" for name, scanner in record["scanners"].items())
    return (
        f"<sub>{record['date'][:10]}, {machine['cpu']} ({machine['cpu_level']}), Python {machine['python']}, "
        f"commit {machine['commit']}, rules {record['rules_version']} ({record['scanners'][OURS]['rules']} rules). "
        f"{settings}. Cases sha256 {record['cases']['sha256'][:16]}. `{record['command']}`</sub>"
    )


WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 720, 440, 70, 60, 30, 30
TICKS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


def plot(record: Mapping[str, Any]) -> str:
    """Recall against false findings per MB as SVG. The better, the further up and left."""
    points = [
        (name, false_per_mb(record, scanner), 100 * total(scanner, "found") / max(1, total(scanner, "positives")))
        for name, scanner in record["scanners"].items()
    ]
    most = max([1.0, *(x for _, x, _ in points)])
    ticks = [tick for tick in TICKS if tick <= most * 3]
    reach = max(_scale(ticks[-1]), _scale(most))

    def across(value: float) -> float:
        return LEFT + 10 + (WIDTH - LEFT - RIGHT - 20) * _scale(value) / reach

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / 100

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="13">',
        "<title>Recall against false findings per MB</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for tick in ticks:
        x = across(tick)
        lines.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" stroke="#e0e0e0"/>')
        lines.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle" fill="#444">{tick:g}</text>')
    for tick in range(0, 101, 20):
        y = up(tick)
        lines.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#e0e0e0"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#444">{tick}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    lines.append(
        f'<text x="{middle:.1f}" y="{HEIGHT - 14}" text-anchor="middle">false findings per MB of clean text</text>'
    )
    lines.append(
        f'<text x="20" y="{HEIGHT / 2:.1f}" text-anchor="middle" transform="rotate(-90 20 {HEIGHT / 2:.1f})">'
        "positive cases found, %</text>"
    )
    labels: list[float] = []
    for name, x, y in sorted(points, key=lambda point: -point[2]):
        colour = "#c0392b" if name == OURS else "#34495e"
        anchor, shift = ("end", -10) if across(x) > WIDTH - 160 else ("start", 10)
        # Labels go down the plot; one that would touch the last one moves below it.
        height = max(up(y) + 4, labels[-1] + 15) if labels else up(y) + 4
        labels.append(height)
        lines.append(f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="6" fill="{colour}"/>')
        lines.append(
            f'<text x="{across(x) + shift:.1f}" y="{height:.1f}" text-anchor="{anchor}" fill="{colour}">'
            f"{escape(name)}: {y:.1f} % at {figure(x)}</text>"
        )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _scale(value: float) -> float:
    """A logarithm that has a place for zero: most corpora have no finding."""
    return math.log10(1 + 10 * value)


def comparison(record: Mapping[str, Any], before: Mapping[str, Any]) -> Sequence[str]:
    """What changed against an earlier record on the same cases, for our scanner."""
    if record["cases"]["sha256"] != before["cases"]["sha256"]:
        return []
    one, other = record["scanners"][OURS], before["scanners"][OURS]
    lines = []
    for word, key in (("missed", "missed"), ("flagged", "flagged"), ("with a wrong span", "wrong_span")):
        now, then = ({tuple(entry.split(" ")[:2]) for entry in scanner[key]} for scanner in (one, other))
        lines.append(f"{word}: {len(now)} ({len(now - then)} new, {len(then - now)} gone)")
    return lines
