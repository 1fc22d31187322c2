"""What the kernel and its ledger cost without Python: the Rust programs that measure, run and kept.

    python -m benches.kernel.native FOLDER [--record]

FOLDER is on the disk to measure. `authorize_speed` and `ledger_speed` say what they count. Needs cargo and builds both
as releases.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path
from typing import Any

from benches import ROOT
from benches.kernel import keep, report

#: A line of `authorize_speed` with three quantiles, and the one that may follow it.
_TIMES = re.compile(r"(\S.*?) +P50 +([\d.]+) us +P95 +([\d.]+) us +P99 +([\d.]+) us")
_RATE = re.compile(r" +(?:(\d+) a second, )?(\d+) us of processor time each")
#: Lines of `ledger_speed`.
_DURABLE = re.compile(r"durable, (\w+) +(\d+) callers, +(\d+) on their way each: +(\d+) receipts/s, ([\d.]+) us .*")
_VERIFIED = re.compile(r"verified, (\w+) +tree of \d+: (\d+) receipts .*: ([\d.]+) s a million .*")


def times(text: str) -> list[dict[str, Any]]:
    """What `authorize_speed` said: names with P50, P95 and P99, some with a rate and processor time.

    Args:
        text: its output.
    """
    rows: list[dict[str, Any]] = []
    for line in text.splitlines():
        if found := _TIMES.fullmatch(line):
            name, *figures = found.groups()
            rows.append({"name": name, **dict(zip(("p50", "p95", "p99"), map(float, figures), strict=True))})
        elif (found := _RATE.fullmatch(line)) and rows:
            rows[-1] |= {"per_second": int(found[1])} if found[1] else {}
            rows[-1] |= {"processor_us": int(found[2])}
    return rows


def ledger(text: str) -> list[dict[str, Any]]:
    """What `ledger_speed` said: durable receipts a second, and seconds of one core to verify a million.

    Args:
        text: its output.
    """
    rows: list[dict[str, Any]] = []
    for line in text.splitlines():
        if found := _DURABLE.fullmatch(line):
            callers, ahead, rate = map(int, found.group(2, 3, 4))
            many = {"callers": callers, "ahead": ahead, "per_second": rate, "processor_us": float(found[5])}
            rows.append({"what": "durable", "receipts": found[1], **many})
        elif found := _VERIFIED.fullmatch(line):
            some = {"count": int(found[2]), "seconds_a_million": float(found[3])}
            rows.append({"what": "verified", "receipts": found[1], **some})
    return rows


def _run(package: str, example: str, *words: str) -> str:
    command = ["cargo", "run", "--quiet", "--release", "--package", package, "--example", example, "--", *words]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Run both, show what they say, and keep it when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where state is written")
    parser.add_argument("--actions", type=int, default=300, help="durable permits of each of the 32 callers (300)")
    parser.add_argument("--receipts", type=int, default=200_000, help="durable receipts (200000)")
    parser.add_argument("--verified", type=int, default=1_000_000, help="receipts that are verified (1000000)")
    parser.add_argument("--record", action="store_true", help="keep the result")
    chosen = parser.parse_args()
    record = keep.begun("native")
    said = _run("sift-kernel", "authorize_speed", str(chosen.folder), str(chosen.actions))
    print(said, end="")
    record["authorize"] = times(said)
    folder = chosen.folder / "sift-ledger-speed"
    said = _run("sift-ledger", "ledger_speed", str(folder), "32", str(chosen.receipts), str(chosen.verified))
    print(said, end="")
    record["ledger"] = ledger(said)
    if chosen.record:
        print(keep.keep(record))
        report.write()


if __name__ == "__main__":
    main()
