"""The public API as a program uses it, for the type checker: it must pass `mypy --strict` as it stands.

Not run; `assert_type` fails the check where a type is wider or narrower than it should be. A line that must
not pass has an ignore, and an ignore that is not needed fails the check as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import sift_fast as sf
from sift_fast.types import Category, EncodingName, IncompleteName, Severity, Unit


def scanning(text: str, raw: bytes, buffer: bytearray, view: memoryview) -> None:
    scanner = sf.Scanner()
    sf.Scanner("secrets", decode=True)
    sf.Scanner(decode="hex")
    sf.Scanner(
        ["secrets", "leak"],
        rule_files=["mine.toml"],
        entities=["GITHUB_TOKEN"],
        exclude=("secret.generic.password",),
        min_score=0.5,
        decode=["base64", "gzip"],
        allow_list=["value", b"value"],
        limits=sf.Limits(text_bytes=1000, time_ms=None),
        engine="automata",
    )
    found = scanner.scan(text)
    assert_type(found, sf.Findings)
    for one in (raw, buffer, view):
        scanner.scan(one)
    assert_type(found[0], sf.Finding)
    assert_type(found[1:], sf.Findings)
    assert_type(iter(found), Iterator[sf.Finding])
    as_sequence: Sequence[sf.Finding] = found
    assert_type(as_sequence.index(found[0]), int)
    finding = found[0]
    assert_type(finding.rule_id, str)
    assert_type(finding.category, Category)
    assert_type(finding.severity, Severity)
    assert_type(finding.start, int)
    assert_type(finding.score, float)
    assert_type(finding.decoded, tuple[EncodingName, ...])
    assert_type(found.incomplete, tuple[IncompleteName, ...])
    assert_type(found.unit, Unit)
    assert_type(found.columns()["start"], npt.NDArray[np.uint32])
    assert_type(scanner.rules["secret.github.token"].title, str)
    assert_type([rule.id for rule in scanner.rules], list[str])
    assert_type(scanner.explain(text), list[sf.Explanation])
    assert_type(sf.build_info()["version"], str)
    scanner.scan(3)  # type: ignore[arg-type]
    sf.Scanner(engine="vectorscan")  # type: ignore[arg-type]
    sf.Limits(1000)  # type: ignore[call-arg]
    finding.start = 3  # type: ignore[misc]


def redacting(scanner: sf.Scanner, text: str) -> None:
    red = scanner.redact(text, operators={"GITHUB_TOKEN": sf.Mask(keep_last=4), "default": sf.Replace()})
    scanner.redact(text, sf.Remove())
    assert_type(red, sf.Redaction)
    assert_type(red.items, tuple[sf.Item, ...])
    assert_type(red.findings, sf.Findings)
    scanner.redact(text, {"default": "mask"})  # type: ignore[dict-item]
    scanner.redact(text, vault=3)  # type: ignore[arg-type]


def streaming(scanner: sf.Scanner, pieces: Sequence[str], chunks: Sequence[bytes]) -> None:
    with scanner.stream(operators=sf.Replace("[gone]")) as stream:
        assert_type(stream, sf.Stream)
        for piece in pieces:
            assert_type(stream.feed(piece), str)
        for chunk in chunks:
            assert_type(stream.feed(chunk), bytes)
        stream.finish()
    assert_type(stream.held, int)


async def answering(scanner: sf.Scanner, source: AsyncIterator[str], chunks: list[bytes]) -> None:
    assert_type(await scanner.scan_async("text"), sf.Findings)
    async for piece in scanner.redact_stream(source):
        assert_type(piece, str)
    async for chunk in scanner.redact_stream(chunks):
        assert_type(chunk, bytes)


def batching(scanner: sf.Scanner, column: Any) -> None:
    batch = scanner.scan_batch(["a", None, "b"], threads=2)
    assert_type(batch, sf.Batch)
    assert_type(batch[0], sf.Findings)
    assert_type(batch.columns()["doc"], npt.NDArray[np.int64])
    scanner.scan_batch([b"a", memoryview(b"b")])
    scanner.scan_batch(column)
    scanner.scan_batch([1, 2])  # type: ignore[list-item]


def failing(scanner: sf.Scanner) -> str:
    try:
        return str(scanner.redact("text").text)
    except sf.LimitExceeded as error:
        return str(error)
    except sf.SiftError:
        raise
