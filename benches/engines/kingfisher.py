"""kingfisher-secret-scanner (import `kingfisher_sdk`): 488 rules over Hyperscan's sibling, native, in process.

The nearest rival: same idea, same language below. Twice: `base64=False`, which does what we do with
decoding off; and as its users get it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benches.engines.base import Runner, require, version_of

PACKAGE = "kingfisher-secret-scanner"


def _count(findings: list[Any]) -> int:
    # Invisible findings are helpers of composite rules: kingfisher itself says to leave them out of reports.
    return sum(1 for finding in findings if finding.visible)


def _read(findings: list[Any]) -> int:
    seen = 0
    for finding in findings:
        if finding.visible:
            location = finding.location
            _ = finding.rule_id, location["start_offset"], location["end_offset"]
            seen += 1
    return seen


def _runner(name: str, settings: str, **options: Any) -> Runner:
    sdk = require("kingfisher_sdk", PACKAGE)
    rules = sdk.Rules()
    scanner = sdk.Scanner(rules, **options)

    def many(texts: Sequence[str], threads: int) -> int:
        # It has no batch call; threads over `scan` are what a user would write.
        if threads == 1:
            return sum(_count(scanner.scan(text)) for text in texts)
        shares = [texts[index::threads] for index in range(threads)]
        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(lambda share: sum(_count(scanner.scan(text)) for text in share), shares))

    return Runner(
        name=name,
        version=version_of(PACKAGE),
        settings=settings,
        scan=scanner.scan,
        count=_count,
        read=_read,
        batch=many,
        facts={"rules": len(rules)},
    )


def runner_plain(rules: Sequence[str]) -> Runner:
    """Its built-in rules, decoding off: like for like with our `secrets`."""
    del rules
    return _runner("kingfisher", "built-in rules, base64=False", base64=False)


def runner_defaults(rules: Sequence[str]) -> Runner:
    """Its built-in rules, its defaults (one layer of base64)."""
    del rules
    return _runner("kingfisher_defaults", "built-in rules, defaults (base64=True)")
