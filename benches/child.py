"""Probes that need a process of their own: memory, open streams, the second engine.

`python -m benches.child PROBE ARGUMENTS` prints one line of JSON. Imports are inside the probes: what
a probe measures must be the first to import it.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: What a model's answer arrives in: a few words.
CHUNK = "and then she opened the "


def resident_bytes() -> int:
    """Resident set of this process, from the kernel."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def memory(engine: str, rules: str, pieces_file: str, scanners: str, threads: str) -> dict[str, Any]:
    """Resident bytes of the engine, of one more scanner, and of one more scanning thread."""
    import gc

    from benches.engines import open_runner

    pieces = json.loads(Path(pieces_file).read_text(encoding="utf-8"))
    sets = json.loads(rules)

    def crowd(count: int, work: Any) -> int:
        """Growth of the resident set while `count` threads are alive that have each done `work`."""
        ready, leave = threading.Barrier(count + 1), threading.Event()

        def body() -> None:
            work()
            ready.wait()
            leave.wait()

        before = resident_bytes()
        crew = [threading.Thread(target=body) for _ in range(count)]
        for thread in crew:
            thread.start()
        ready.wait()
        grown = resident_bytes() - before
        leave.set()
        for thread in crew:
            thread.join()
        return grown

    count = int(threads)
    idle = crowd(count, lambda: [len(piece) for piece in pieces])
    gc.collect()
    start = resident_bytes()
    runner = open_runner(engine, sets)
    for piece in runner.prepare(pieces):
        runner.scan(piece)
    gc.collect()
    first = resident_bytes() - start
    before = resident_bytes()
    more = [open_runner(engine, sets) for _ in range(int(scanners))]
    for other in more:
        for piece in other.prepare(pieces[:20]):
            other.scan(piece)
    gc.collect()
    each = (resident_bytes() - before) / len(more)
    inputs = runner.prepare(pieces)
    busy = crowd(count, lambda: [runner.count(runner.scan(piece)) for piece in inputs])
    return {
        "first_bytes": first,
        "per_scanner_bytes": each,
        "per_thread_bytes": max(0.0, (busy - idle) / count),
        "threads": count,
        "scanners": len(more),
    }


def open_streams(engine: str, rules: str, kind: str, count: str) -> dict[str, Any]:
    """Resident bytes of one open stream that has been fed a few words."""
    import gc

    from benches.engines import open_stream

    streams = open_stream(engine, json.loads(rules))
    streams.feeder(kind)(CHUNK)()
    gc.collect()
    before = resident_bytes()
    kept = []
    for _ in range(int(count)):
        feed = streams.feeder(kind)
        feed(CHUNK)()
        kept.append(feed)
    gc.collect()
    return {"per_stream_bytes": (resident_bytes() - before) / len(kept), "streams": len(kept)}


def second_opinion(request_file: str) -> dict[str, Any]:
    """Findings of the second engine."""
    from benches.engines.sift_fast import second_engine

    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    scan = second_engine(request["rules"], request["entities"], decode=request["decode"])
    return {"count": sum(len(scan(text)) for text in request["texts"])}


PROBES: dict[str, Callable[..., dict[str, Any]]] = {
    "memory": memory,
    "open_streams": open_streams,
    "second_opinion": second_opinion,
}


def main() -> int:
    """Run one probe."""
    from benches.errors import BenchError, EngineMissing
    from benches.processes import MISSING

    try:
        print(json.dumps(PROBES[sys.argv[1]](*sys.argv[2:])))
    except EngineMissing as error:
        print(f"{MISSING}{error}", file=sys.stderr)
        return 3
    except ModuleNotFoundError as error:
        print(f"{MISSING}{error}", file=sys.stderr)
        return 3
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
