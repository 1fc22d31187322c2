"""What a socket adds to a kernel: the same requests to one in this process and to one behind a socket, in turn.

    python -m benches.kernel_socket [--requests 5000] [--rounds 10] [--record]

Each line gives P50 and P99 of one call from Python, in microseconds, and the difference of the medians. Requests are
signed beforehand; the two kernels are asked in turn, so that a busy moment of the machine meets both. All kinds take
turns in rounds, since a busy minute would meet one of them alone: each line is that of its quietest round, the one
whose two medians are least together, and the differences of all are kept beside it. Requests of a `session` carry a
MAC, `signed` ones an Ed25519 signature; `durable` is a call and the wait for its permit.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import sift_fast as sf
from benches.kernel import keep, report

#: What both kernels are asked for: a read that charges one call, and a refund whose arguments are scanned.
TOOLS = {"read_order": {"order": "o-1"}, "refund": {"order": "o-1", "cents": 1}}


def sift(*words: str) -> list[str]:
    """The command line of the package that is measured, and not of the sources here."""
    return [sys.executable, "-P", "-m", "sift_fast.cli", *words]


def folder(place: Path, *, mode: str) -> Path:
    """A governance folder with room for many calls."""
    subprocess.run(sift("init", str(place)), check=True, stdout=subprocess.DEVNULL)
    settings = place / "kernel.toml"
    settings.write_text(f'mode = "{mode}"\n{settings.read_text()}')
    budgets = place / "budgets.toml"
    budgets.write_text(budgets.read_text().replace("cap = 2_000\n", "cap = 200_000_000\n"))
    return place


class Asked:
    """A kernel, its agent's key and a session."""

    def __init__(self, kernel: sf.Kernel, place: Path) -> None:
        self.kernel = kernel
        self.key = sf.SigningKey.load(place / "keys" / "support-bot.key", "support-bot-1", kernel.audience)
        grant = sf.SessionGrant(tenant="acme", agent="support-bot", roles=["support"])
        self.session = kernel.open_session(sf.sign_grant(grant, self.key))

    def request(self, tool: str, kind: str) -> tuple[sf.ActionRequest, sf.Credential]:
        """One that was not asked before."""
        request = sf.ActionRequest(
            tenant="acme",
            agent="support-bot",
            role="support",
            tool=tool,
            args=TOOLS[tool],
            session=self.session.id if kind == "session" else None,
            conversation="c1",
        )
        if kind == "session":
            return request, self.session.mac(request)
        return sf.sign_request(request, self.key)


def measure(both: list[Asked], tool: str, kind: str, count: int, work: Callable[..., None]) -> list[list[float]]:
    """Ask in turn, and say what it took: P50 and P99 in the process and behind the socket, in microseconds."""
    times = np.zeros((2, count))
    for number in range(count):
        for place, asked in enumerate(both):
            pair = asked.request(tool, kind)
            begin = time.perf_counter_ns()
            work(asked.kernel, *pair)
            times[place, number] = time.perf_counter_ns() - begin
    # The first tenth warms up.
    figures = np.percentile(times[:, count // 10 :] / 1_000, [50, 99], axis=1)
    return [[round(float(figure), 1) for figure in way] for way in figures.T]


def quietest(name: str, rounds: list[list[list[float]]]) -> dict[str, Any]:
    """Show and return the round whose two medians are least together, and by how much they differ in each."""
    own, socket = min(rounds, key=lambda ways: sum(way[0] for way in ways))
    more = [round(there[0] - here[0], 1) for here, there in rounds]
    print(
        f"{name:<28} in-process {own[0]:8.1f} {own[1]:8.1f}   socket {socket[0]:8.1f} {socket[1]:8.1f}"
        f"   P50 {socket[0] - own[0]:+.1f} us   all rounds {min(more):+.1f} to {max(more):+.1f}"
    )
    return {"name": name, "in_process": own, "socket": socket, "rounds": more}


def authorize(kernel: sf.Kernel, request: sf.ActionRequest, credential: sf.Credential) -> None:
    """The decision alone."""
    if not kernel.authorize(request, credential).allowed:
        raise SystemExit("a request of the benchmark was denied")


def durable(kernel: sf.Kernel, request: sf.ActionRequest, credential: sf.Credential) -> None:
    """The decision and its permit."""
    auth = kernel.authorize(request, credential)
    auth.durable_sync()
    if auth.permit is None:
        raise SystemExit("a request of the benchmark was denied")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=5_000, help="of each kind (default: 5000)")
    parser.add_argument("--rounds", type=int, default=10, help="in which they are asked (default: 10)")
    parser.add_argument("--record", action="store_true", help="keep the result")
    chosen = parser.parse_args()
    count, rounds = chosen.requests, chosen.rounds
    record = keep.begun("socket") | {"requests": count, "in_rounds": rounds, "rows": []}
    with tempfile.TemporaryDirectory() as base:
        own, served = folder(Path(base) / "own", mode="single"), folder(Path(base) / "served", mode="socket")
        server = subprocess.Popen(sift("serve", "--kernel", str(served)), stdout=subprocess.PIPE)
        try:
            if server.stdout is None or not server.stdout.readline():
                raise SystemExit("the kernel could not be served")
            with sf.Kernel.open(own) as here, sf.Kernel.open(served) as there:
                both = [Asked(here, own), Asked(there, served)]
                print(f"{os.cpu_count()} cores, {count} requests of each kind in {rounds} rounds, P50 and P99 in us")
                rows = [(tool, kind, count, authorize) for kind in ("session", "signed") for tool in TOOLS]
                rows.append(("read_order", "session", count // 10, durable))
                found: list[list[list[list[float]]]] = [[] for _ in rows]
                for _ in range(rounds):
                    for kept, (tool, kind, many, work) in zip(found, rows, strict=True):
                        kept.append(measure(both, tool, kind, max(many // rounds, 10), work))
                for kept, (tool, kind, _, work) in zip(found, rows, strict=True):
                    record["rows"].append(quietest(f"{work.__name__} {tool} {kind}", kept))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
    if chosen.record:
        print(keep.keep(record))
        report.write()


if __name__ == "__main__":
    main()
