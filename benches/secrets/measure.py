"""Runs scanners over cases and corpora and counts. No text leaves this module: cases and findings are digests."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benches.engines.sift_fast import module
from benches.errors import BenchError
from benches.secrets import cases as case_files
from benches.secrets.cases import Case
from benches.secrets.scanners import Hit, Scanner
from benches.secrets.span import Span, is_right
from benches.secrets.texts import Corpora, digest, size


def on_cases(scanner: Scanner, cases: Sequence[Case], located: Mapping[int, Span], out: Mapping[str, str]) -> Any:
    """Recall by source and type, negatives flagged, and right spans, of one scanner."""
    answers = scanner.scan([case.named for case in cases])
    if len(answers) != len(cases):
        raise BenchError(f"`{scanner.name}` answered {len(answers)} of {len(cases)} cases")
    sources: dict[str, Counter[str]] = {}
    types: dict[str, Counter[str]] = {}
    missed, flagged, wrong = [], [], []
    for at, (case, hits) in enumerate(zip(cases, answers, strict=True)):
        source, kind = sources.setdefault(case.source, Counter()), types.setdefault(case.type, Counter())
        if case.positive:
            source["positives"] += 1
            kind["positives"] += 1
            source["found"] += bool(hits)
            kind["found"] += bool(hits)
            if not hits:
                missed.append(_named(case))
            secret = located.get(at)
            touching = [hit for hit in hits if secret and hit.span and _overlap(hit.span, secret)]
            if secret and touching:
                right = any(is_right(case.text, secret, hit.span) for hit in touching if hit.span)
                source["spans"] += 1
                source["right"] += right
                if not right:
                    wrong.append(_named(case, touching))
        elif case.digest in out:
            source["left_out"] += 1
            source["left_out_flagged"] += bool(hits)
        else:
            source["negatives"] += 1
            source["flagged"] += bool(hits)
            if hits:
                flagged.append(_named(case, hits))
    return {
        "sources": {name: dict(counts) for name, counts in sorted(sources.items())},
        # Found, of so many: one line each.
        "types": {
            name: f"{counts['found']}/{counts['positives']}"
            for name, counts in sorted(types.items())
            if counts["positives"]
        },
        "missed": missed,
        "flagged": flagged,
        "wrong_span": wrong,
    }


def _named(case: Case, hits: Sequence[Hit] = ()) -> str:
    """A case in one word each: digest of its text, type, and what was found. One line of a record."""
    return " ".join([case.digest, case.type, *sorted({hit.rule.replace(" ", "_") for hit in hits})])


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def on_corpora(scanner: Scanner, corpora: Corpora) -> dict[str, Any]:
    """Findings in clean text, all of them false: count, count per MB, and digest and rule of each."""
    answer = {}
    for name, texts in corpora.items():
        found: Counter[tuple[str, str]] = Counter()
        for item, hits in zip(texts, scanner.scan(texts), strict=True):
            found.update((_finding(item.text, hit), hit.rule) for hit in hits)
        answer[name] = {
            "findings": sum(found.values()),
            "per_mb": sum(found.values()) / (size(texts) / 1e6),
            "texts": [f"{sha} {count} {rule}" for (sha, rule), count in sorted(found.items())],
        }
    return answer


def _finding(text: str, hit: Hit) -> str:
    """Digest of what was found; of nothing, when the scanner does not say where it was."""
    return digest(text[hit.span[0] : hit.span[1]] if hit.span else "")


def corpora_record(corpora: Corpora) -> list[dict[str, Any]]:
    """What was scanned, without its text."""
    return [
        {
            "name": name,
            "documents": len(texts),
            "bytes": size(texts),
            "sha256": digest("".join(digest(item.text) for item in texts)),
        }
        for name, texts in corpora.items()
    ]


def cases_record(path: Path, cases: Sequence[Case], located: Mapping[int, Span], out: Mapping[str, str]) -> Any:
    """How many cases there are of which kind; the digest ties the record to exactly these."""
    negatives = [case for case in cases if not case.positive]
    return {
        "sha256": case_files.file_digest(path),
        "positives": len(cases) - len(negatives),
        "negatives": len(negatives),
        "left_out": [f"{_named(case)} {out[case.digest]}" for case in negatives if case.digest in out],
        "unique_texts": len({case.text for case in cases}),
        "located": len(located),
    }


def rules_hit(rules: Sequence[str], rule_files: Sequence[str], cases: Sequence[Case]) -> dict[str, int]:
    """Our rules that hit a positive case, with the number of cases: accepted, whether or not another rule won."""
    scanner = module().Scanner(rules=list(rules), rule_files=list(rule_files))
    found = {rule.id: 0 for rule in scanner.rules}
    for case in cases:
        if case.positive:
            accepted = {item.rule_id for item in scanner.explain(case.text) if item.outcome != "dropped"}
            for rule in accepted:
                found[rule] += 1
    return found


def cost(rules: Sequence[str], rule_files: Sequence[str], corpora: Corpora) -> dict[str, Any]:
    """What each of our patterns costs on the corpora: the figures of `sift-fast rules cost`."""
    from sift_fast import _core

    with tempfile.TemporaryDirectory() as folder:
        for name, texts in corpora.items():
            Path(folder, f"{name}.txt").write_bytes(b"\n".join(item.data for item in texts))
        answer: dict[str, Any] = _core.rules_cost(
            list(rules), list(rule_files), [folder], max_bytes=8_000_000, piece=4096, rounds=3, dearest=3
        )
    return answer
