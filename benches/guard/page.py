"""Results as Markdown: on the screen, and together as docs/eval-guard.md."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from benches import ROOT
from benches import record as records

__all__ = ["FOLDER", "SECTIONS", "write"]

FOLDER = records.FOLDER / "guard"
PAGE = ROOT / "docs" / "eval-guard.md"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _us(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def turns(result: Mapping[str, Any]) -> str:
    """What the guard adds to a turn."""
    rows = [(name, *(_us(row[part]) for part in ("p50", "p95", "p99", "mean"))) for name, row in result["rows"].items()]
    prints = result["fingerprints"]
    return (
        "## A turn\n\n"
        f"Microseconds that the guard adds to a turn: an input of 500 characters and an answer of 1,000, checked in an "
        f"event loop as a service would; {result['turns']:,} turns in 50 conversations, in {result['rounds']} rounds "
        "in turn, of which each row shows its quietest, the one with the least median. `agent` and `strict` have the "
        "classifier on. All five layers, nothing left out.\n\n"
        + _table(("", "P50", "P95", "P99", "mean"), rows)
        + f"\n\nFingerprints of provenance: {_us(prints['take in'])} us a KiB taken in, "
        f"{_us(prints['one argument'])} us to look an argument up.\n"
    )


def loop(result: Mapping[str, Any]) -> str:
    """The longest step of the event loop."""
    rows = [
        (name, _us(row["cpu_median"]), _us(row["cpu_max"]), _us(row["wall_median"]))
        for name, row in result["rows"].items()
    ]
    return (
        "## The event loop\n\n"
        "The longest step that a call makes the event loop do, microseconds: what everybody else waits. `agent`, "
        f"with events in a file and in a transparency log, records on disk; {result['rounds']} rounds. Longer texts "
        "are read on a thread. Processor time of the loop's thread, and by the clock, which shows what else the "
        "machine did, and threads that hold the interpreter.\n\n"
        + _table(("", "median", "longest", "median by the clock"), rows)
        + "\n"
    )


def streams(result: Mapping[str, Any]) -> str:
    """Many streams on one core."""
    flat, paced = result["flat_out"], result["paced"]
    memory = flat["memory_per_stream_bytes"]
    rows = [
        ("flat out", *_stream_row(flat), f"{flat['fairness']:.4f}", "-"),
        (f"a piece each {paced['pace_s']} s", *_stream_row(paced), "-", _us(paced["late_us"]["p99"])),
    ]
    grown = ""
    if len(memory) == 2:
        grown = (
            f"Memory of a stream: {memory[0] / 1_024:.1f} KiB when three tenths of its answer are through, "
            f"{memory[1] / 1_024:.1f} KiB at nine tenths, its texts and tasks here included: it does not grow with "
            "the answer. "
        )
    return (
        "## Many streams\n\n"
        f"{result['streams']:,} answers at once on one core, in pieces of 16 characters, with the preset `agent`; a "
        "hundredth of them sends 16,000 characters of nothing but numbers at a time. `work` is processor time of the "
        f"guard for one piece. {grown}The last answer ended {flat['slowest_end_to_fastest']:.2f} times as late as the "
        "first.\n\n"
        + _table(
            (
                "",
                "pieces a second of processor",
                "work P50",
                "P95",
                "P99",
                "longest",
                "fairness (Jain)",
                "late P99, us",
            ),
            rows,
        )
        + "\n"
    )


def _stream_row(run: Mapping[str, Any]) -> tuple[str, ...]:
    work = run["work_us"]
    return f"{run['pieces_per_cpu_s']:,.0f}", *(_us(work[part]) for part in ("p50", "p95", "p99", "max"))


def rivals(result: Mapping[str, Any]) -> str:
    """Beside guardrails of others."""
    out = [
        "## Beside guardrails of others\n",
        "The same turn through products that others make for these checks, one after the other, and through the guard. "
        "A scripted model answers at once, so what is shown is what the checks add, in microseconds: by the clock, and "
        "processor time, from which the ratio is taken. Both sides run in turns in one process, "
        f"{result['rounds']} rounds. Both had to give the expected answer to every case first. `usual` has for every "
        "check the product that is known for it, `lean` the leanest that makes it at all; products that need weights "
        "of a model are left out. The guard reads with all its rules, so it makes more of each check than the other "
        "side: [eval-secrets.md](eval-secrets.md), [eval-injection.md](eval-injection.md).\n",
    ]
    for name, side in result["compositions"].items():
        cases = ", ".join(f"{case['name']}: {case['expected']}" for case in side["cases"])
        rows = []
        for case, both in side["added_us"].items():
            theirs, ours = both["theirs"], both["ours"]
            figures = [theirs["p50"], theirs["p95"], theirs["cpu_p50"], ours["p50"], ours["p95"], ours["cpu_p50"]]
            rows.append((case, *map(_us, figures), f"{side['ratio'][case]:,.0f}"))
        steps = [(step["stage"], step["checks"], step["product"], _us(step["cpu_p50"])) for step in side["steps"]]
        head = ("turn", "theirs P50", "P95", "processor", "ours P50", "P95", "processor", "times")
        out += [
            f"### `{name}`\n",
            f"Expected and given by both: {cases}.\n",
            _table(head, rows) + "\n",
            _table(("stage", "check", "their product", "processor"), steps) + "\n",
        ]
    out += ["Left out: " + "; ".join(result["missing"]) + ".\n"]
    return "\n".join(out)


#: What is no time: what must be reached, and the command that shows it.
_HELD = (
    (
        "every guardrail made to raise, hang or answer rubbish, every store down: blocked, and the model not called",
        "all",
        "pytest tests/unit/test_guard_failures.py",
    ),
    (
        "the same attack through each integration: same decision, same text",
        "all",
        "make hosts ARGS='-k same'",
    ),
    (
        "attacks of the incidents stopped, twins passed, preset `agent`",
        "95 %, 98 %",
        "pytest tests/scenarios tests/owasp",
    ),
)


def targets(found: Mapping[str, Mapping[str, Any]]) -> str:
    """What must be reached, beside what was measured last."""
    turn, steps = found["turns"]["rows"], found["loop"]["rows"].values()
    least = {name: min(side["ratio"].values()) for name, side in found["rivals"]["compositions"].items()}
    chat, scored, first = turn["chat, clean"], turn["agent, clean"], turn["chat, first piece of a stream"]
    measured: list[tuple[str, tuple[float, ...], tuple[float, ...]]] = [
        ("a turn by rules alone, `chat`: P50, P95", (40, 120), (chat["p50"], chat["p95"])),
        ("a turn with the classifier, `agent`: P95, mean", (12_000, 1_000), (scored["p95"], scored["mean"])),
        ("first piece of a stream: P99", (1_000,), (first["p99"],)),
        ("longest step of the event loop, processor time", (1_000,), (max(row["cpu_max"] for row in steps),)),
    ]
    rows = [
        (what, ", ".join(map(_us, must)), ", ".join(map(_us, got)), _met(all(map(float.__le__, map(float, got), must))))
        for what, must, got in measured
    ]
    times = ", ".join(f"{value:,.0f} (`{name}`)" for name, value in least.items())
    rows.append(
        ("guardrails of others in a row: times the processor time", "100", times, _met(min(least.values()) >= 100))
    )
    flat = found["streams"]["flat_out"]
    rows.append(
        (
            f"{found['streams']['streams']:,} streams on one core: pieces a second of processor, fairness",
            "stated",
            f"{flat['pieces_per_cpu_s']:,.0f}, {flat['fairness']:.4f}",
            "yes",
        )
    )
    rows += [(what, must, f"`{command}`", "test") for what, must, command in _HELD]
    return (
        "## What must be reached\n\n"
        "Microseconds where nothing else is said. The sections below say how each was measured.\n\n"
        + _table(("", "must", "measured", "met"), rows)
        + "\n\nThe attacks of the last row were written with the rules at hand, and all of them are stopped; of a "
        "second set, written without, [owasp.md](owasp.md) tells what is not.\n"
    )


def _met(met: bool) -> str:
    return "yes" if met else "**no**"


SECTIONS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "turns": turns,
    "loop": loop,
    "streams": streams,
    "rivals": rivals,
}


def write(*, check: bool) -> int:
    """Write the page from the newest records; with `check` only compare. Returns what to exit with."""
    found = records.newest(FOLDER)
    parts = [
        "# The guard: latency, event loop, streams, and beside others\n",
        "Generated by `python -m benches.guard --page`; do not edit.\n",
    ]
    if set(SECTIONS) <= set(found):
        parts.append(targets(found))
    for name, section in SECTIONS.items():
        if name not in found:
            continue
        kept = found[name]
        where = kept["machine"]
        load = ", ".join(f"{value:g}" for value in where["load_at_start"])
        parts += [
            section(kept),
            f"`{kept['command']}`, {kept['date'][:10]}, {where['cpu']}, {where['cores_available']} cores, Python "
            f"{where['python']}, load {load}.\n",
        ]
    text = "\n".join(parts)
    if check:
        same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        if not same:
            sys.stderr.write("docs/eval-guard.md is not what the records say: python -m benches.guard --page\n")
        return 0 if same else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0
