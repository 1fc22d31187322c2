"""The public API as a program uses it, for the type checker: it must pass `mypy --strict` as it stands.

Not run; `assert_type` fails the check where a type is wider or narrower than it should be. A line that must
not pass has an ignore, and an ignore that is not needed fails the check as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Literal, assert_type

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


async def acting(kernel: sf.Kernel, key: sf.SigningKey, keys: sf.Keys) -> None:
    request = sf.ActionRequest(tenant="acme", agent="bot", role="support", tool="refund", args={"cents": 5})
    request, credential = sf.sign_request(request, key)
    auth = kernel.authorize(request, credential)
    assert_type(auth.decision, Literal["allow", "escalate", "deny"])
    assert_type(auth.permit, bytes | None)
    assert_type(await auth.durable(), sf.Receipt | None)
    assert_type(await kernel.authorize_async(request, credential, approval=None), sf.Authorization)
    async with kernel.action(request, credential) as permit:
        assert_type(permit, sf.HeldPermit)
        assert_type(sf.verify_permit(permit, request, keys), sf.Permit)
    if auth.lease is not None:
        assert_type(kernel.settle(auth.lease, {"usd_micros": 5}), sf.LeaseOutcome)
    session = kernel.open_session(sf.sign_grant(sf.SessionGrant(tenant="acme", agent="bot", roles=["r"]), key))
    assert_type(session.mac(request), sf.Credential)
    for approval in kernel.approvals.pending():
        kernel.approvals.approve(approval.id, approval.sign(key))
    kernel.revoke(tenant="acme", agent="bot")
    kernel.authorize("refund", credential)  # type: ignore[arg-type]

    def sign(tool: str, args: dict[str, Any]) -> tuple[sf.ActionRequest, sf.Credential]:
        return sf.sign_request(sf.ActionRequest(tenant="acme", agent="bot", role="r", tool=tool, args=args), key)

    @kernel.tool("refund", sign=sign)
    def refund(order: str, cents: int) -> bool:
        return bool(order) and cents > 0

    assert_type(refund("o-1", cents=5), bool)


def receipts(data: bytes) -> None:
    keys = sf.Keys.load("keys.toml")
    seen = sf.check_receipt(data, keys, now=0)
    assert_type(seen, sf.Verified)
    assert_type(seen.signature.valid, bool)
    assert_type(seen.index, int | None)
    assert_type(sf.verify_receipt(sf.Receipt(data), keys, inclusion=True, witnesses=1), sf.Statement)
    assert_type(sf.audit_ledger("ledger", keys, seen=["checkpoint"]).failures, tuple[tuple[int, str], ...])
    sf.verify_receipt("path", keys)  # type: ignore[arg-type]


def failing(scanner: sf.Scanner) -> str:
    try:
        return str(scanner.redact("text").text)
    except sf.LimitExceeded as error:
        return str(error)
    except sf.SiftError:
        raise


def guarding(guard: sf.Guard, text: str) -> str:
    verdict = guard.check_input_sync(text, sf.RequestContext(tenant="acme"))
    assert_type(verdict.text, str | None)
    assert_type(verdict.message, str)
    return verdict.require()
