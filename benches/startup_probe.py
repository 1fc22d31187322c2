"""One start of one engine: `python -P benches/startup_probe.py ENGINE RULES` prints nanoseconds as JSON.

A script that imports next to nothing before the clock runs: a module that is already loaded would not
show in the import time of the engine that needs it.
"""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False  # as in `typing`, which would be one more module to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

TEXT = "the quick brown fox jumps over the lazy dog"


def main(engine: str, rule_sets: list[str]) -> int:
    """Import, build, scan once."""
    clock = time.perf_counter_ns
    scan: Callable[[str], Any]
    start = clock()
    if engine in ("sift_fast", "sift_fast_default"):
        import sift_fast

        imported = clock()
        scan = sift_fast.Scanner(rules=rule_sets if engine == "sift_fast" else ["default"]).scan
    elif engine in ("kingfisher", "kingfisher_cold"):
        import kingfisher_sdk

        imported = clock()
        # Without its cache it compiles its rules, as at the very first start on a machine.
        rules = kingfisher_sdk.Rules(cache=engine == "kingfisher")
        scan = kingfisher_sdk.Scanner(rules, base64=False).scan
    elif engine == "detect_secrets":
        from detect_secrets.core.scan import scan_line
        from detect_secrets.settings import default_settings

        imported = clock()
        settings = default_settings()
        settings.__enter__()
        scan = lambda text: list(scan_line(text))  # noqa: E731  # a loop over plugins, not a function to name
    elif engine == "re":
        # -P keeps this script's folder off sys.path; the root goes last, behind the installed wheel.
        sys.path.append(__file__.rpartition("/benches/")[0])
        from benches.engines.rule_documents import exported

        imported = clock()
        patterns = [pattern.compiled for pattern in exported(rule_sets)[0]]
        scan = lambda text: [found for pattern in patterns for found in pattern.finditer(text)]  # noqa: E731
    else:
        print(f"no start-up probe for {engine}", file=sys.stderr)
        return 2
    built = clock()
    scan(TEXT)
    first = clock()
    print(f'{{"import_ns": {imported - start}, "build_ns": {built - imported}, "first_scan_ns": {first - built}}}')
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1], sys.argv[2].split(",")))
    except ModuleNotFoundError as error:
        print(f"engine missing: {error}", file=sys.stderr)
        sys.exit(3)
