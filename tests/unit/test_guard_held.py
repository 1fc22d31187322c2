"""Calls of one answer go out together or not at all: of what is not sent the kernel has its reservation back."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest

import sift_fast as sf
from sift_fast import _core
from sift_fast.guard.protocols.chat import ChatEvents
from sift_fast.guard.protocols.gate import Gate
from sift_fast.guard.protocols.litellm import LiteLlmGuard
from sift_fast.guard.protocols.messages import MessageEvents
from sift_fast.guard.protocols.openai import Blocked, check_answer
from sift_fast.guard.protocols.responses import ResponseEvents

CONTEXT = sf.RequestContext(tenant="acme", role="support", conversation="c1")
IMAGE = "![a](https://collect.example/x)"


class Authorization:
    """An action that is allowed, and its permit once somebody fetches it."""

    decision, reason, status, request_id = "allow", "allowed", "ok", "r-1"

    def __init__(self, kernel: Kernel, lease: str) -> None:
        self.kernel = kernel
        self.lease = lease
        self.permit: bytes | None = None

    def recorded_sync(self) -> str:
        return "receipt"

    def durable_sync(self) -> str:
        if self.lease not in self.kernel.refuses:
            self.permit = b"permit"
            self.kernel.fetched.append(self.lease)
        return "receipt"


class Kernel:
    """Allows everything, and remembers what was fetched and what was given back."""

    audience, remote = "stand", False

    def __init__(self) -> None:
        self.made = 0
        self.fetched: list[str] = []
        self.cancelled: list[str] = []
        self.refuses: set[str] = set()

    def authorize(self, *_: Any) -> Authorization:
        self.made += 1
        return Authorization(self, f"l-{self.made}")

    def cancel(self, lease: str) -> None:
        self.cancelled.append(lease)

    def ended(self) -> tuple[list[str], list[str]]:
        """What was fetched and what was given back, once nothing is left of which neither is true."""
        end = time.monotonic() + 10
        while len({*self.fetched, *self.cancelled}) < self.made and time.monotonic() < end:
            time.sleep(0.001)
        return sorted(set(self.fetched)), sorted(set(self.cancelled))


@pytest.fixture
def secret() -> str:
    return _core.generate("secret.github.token", 11, 1, ["secrets"])[0]


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
def guard(kernel: Kernel) -> sf.Guard:
    tables = {"version": 1, "preset": "agent", "tools": {"pay": {}, "look": {}}, "kernel": {"agent": "bot"}}
    return sf.Guard(tables, kernel=kernel)


def call(name: str, number: str, **args: Any) -> dict[str, Any]:
    return {"id": number, "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}


def chat(*calls: dict[str, Any], content: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": content, "tool_calls": list(calls)}}]}


PAY, LOOK, BAD = call("pay", "a", cents=5), call("look", "b", order="o"), call("rm", "c", path="/")
USE = {"type": "tool_use", "id": "a", "name": "pay", "input": {"cents": 5}}
MADE = {"type": "function_call", "call_id": "a", "name": "pay", "arguments": '{"cents": 5}'}
STOPPED = {
    "its second call": chat(PAY, BAD),
    "its third call": chat(PAY, LOOK, BAD),
    "a text of another choice": {
        "choices": [
            *chat(PAY)["choices"],
            {"index": 1, "message": {"role": "assistant", "content": IMAGE}},
        ]
    },
    "a call of another choice": {"choices": [*chat(PAY)["choices"], *chat(BAD)["choices"]]},
    "a block behind it": {"type": "message", "content": [USE, {"type": "text", "text": IMAGE}]},
    "a call in a block behind it": {"type": "message", "content": [USE, {**USE, "id": "b", "name": "rm"}]},
    "an item behind it": {"output": [MADE, {**MADE, "call_id": "b", "name": "rm"}]},
}


@pytest.mark.parametrize("answer", STOPPED.values(), ids=list(STOPPED))
def test_what_is_stopped_for_something_else_is_given_back(
    answer: dict[str, Any], guard: sf.Guard, kernel: Kernel
) -> None:
    with pytest.raises(Blocked):
        asyncio.run(check_answer(guard, answer, CONTEXT))
    fetched, cancelled = kernel.ended()
    assert (fetched, len(cancelled)) == ([], kernel.made)
    assert kernel.made


def test_what_goes_on_is_fetched(guard: sf.Guard, kernel: Kernel) -> None:
    asyncio.run(check_answer(guard, chat(PAY, LOOK), CONTEXT))
    assert kernel.ended() == (["l-1", "l-2"], [])


def test_a_permit_that_is_not_handed_out_takes_those_behind_it_along(guard: sf.Guard, kernel: Kernel) -> None:
    kernel.refuses = {"l-2"}
    with pytest.raises(Blocked):
        asyncio.run(check_answer(guard, chat(PAY, LOOK, call("pay", "d", cents=6)), CONTEXT))
    # The first was handed out, and nobody can take it back.
    assert kernel.ended() == (["l-1"], ["l-2", "l-3"])


def test_who_goes_in_the_middle_of_an_answer_leaves_nothing_reserved(guard: sf.Guard, kernel: Kernel) -> None:
    asking = threading.Event()

    class Slow:
        async def check(self, text: str, stage: str) -> float:  # noqa: ARG002 -- the protocol's names
            if "wait" in text:
                asking.set()
                await asyncio.sleep(30)
            return 0.0

    tables = {"version": 1, "preset": "agent", "tools": {"pay": {}}, "kernel": {"agent": "bot"}}
    slow = {"kind": "custom", "timeout_ms": 60_000, "stages": ["output"]}
    mine = sf.Guard(
        {**tables, "guardrails": {"slow": slow}, "limits": {"deadline_ms": 60_000}},
        kernel=kernel,
        guardrails={"slow": Slow()},
    )
    answer = {
        "choices": [*chat(PAY)["choices"], {"index": 1, "message": {"role": "assistant", "content": "wait for me"}}]
    }

    async def run() -> None:
        task = asyncio.ensure_future(check_answer(mine, answer, CONTEXT))
        await asyncio.to_thread(asking.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert kernel.ended() == ([], ["l-1"])


def test_through_the_gate_a_block_leaves_nothing_reserved(guard: sf.Guard, kernel: Kernel) -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(chat(PAY, BAD)).encode()})

    body = json.dumps({"messages": [{"role": "user", "content": "Pay, please."}]}).encode()
    sent: list[dict[str, Any]] = []

    async def run() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []}
        await Gate(app, guard, context=lambda _: CONTEXT)(scope, receive, send)

    asyncio.run(run())
    assert sent[0]["status"] == 400
    assert kernel.ended() == ([], ["l-1"])


def sse(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def piece(index: int, number: int, name: str, args: str) -> dict[str, Any]:
    made = {
        "index": number,
        "id": f"call-{index}-{number}",
        "type": "function",
        "function": {"name": name, "arguments": args},
    }
    return {"id": "1", "choices": [{"index": index, "delta": {"tool_calls": [made]}, "finish_reason": None}]}


def end(*indexes: int) -> dict[str, Any]:
    return {"id": "1", "choices": [{"index": index, "delta": {}, "finish_reason": "tool_calls"} for index in indexes]}


def streamed(kind: Any, guard: sf.Guard, data: bytes) -> bytes:
    async def run() -> bytes:
        events = kind(guard, CONTEXT)
        return await events.feed(data) + await events.finish()  # type: ignore[no-any-return]

    return asyncio.run(run())


@pytest.mark.parametrize(
    "data",
    [
        sse(piece(0, 0, "pay", "{}"), piece(0, 1, "rm", "{}"), end(0)),
        # Two choices that end in one event go out in it, or neither does.
        sse(piece(0, 0, "pay", "{}"), piece(1, 0, "rm", "{}"), end(0, 1)),
    ],
    ids=["a call", "a choice"],
)
def test_of_a_piece_of_a_stream_that_is_stopped_nothing_stays_reserved(
    data: bytes, guard: sf.Guard, kernel: Kernel
) -> None:
    out = streamed(ChatEvents, guard, data)
    assert b"pay" not in out
    assert kernel.ended() == ([], ["l-1"])


def test_what_a_stream_has_sent_is_charged(guard: sf.Guard, kernel: Kernel) -> None:
    # Whoever has read the first call may have made it.
    blocks = []
    for index, name in enumerate(("pay", "rm")):
        use = {"type": "tool_use", "id": f"t{index}", "name": name, "input": {}}
        blocks += [
            {"type": "content_block_start", "index": index, "content_block": use},
            {"type": "content_block_stop", "index": index},
        ]
    start = {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "usage": {}}}
    out = streamed(MessageEvents, guard, sse(start, *blocks))
    assert b'"pay"' in out
    assert b'"rm"' not in out
    assert kernel.ended() == (["l-1"], [])


def test_items_that_come_with_the_end_of_a_response_go_together(guard: sf.Guard, kernel: Kernel) -> None:
    output = [MADE, {**MADE, "call_id": "b", "name": "rm"}]
    done = {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": output}}
    out = streamed(ResponseEvents, guard, sse(done))
    assert b'"pay"' not in out
    assert kernel.ended() == ([], ["l-1"])


@pytest.mark.parametrize("edit", [True, False])
def test_calls_that_a_proxy_asks_about_go_together(edit: bool, guard: sf.Guard, kernel: Kernel, secret: str) -> None:
    second = BAD if edit else call("look", "b", note=f"key {secret}")
    with pytest.raises(Blocked):
        asyncio.run(LiteLlmGuard(guard).calls([PAY, second], CONTEXT, edit=edit))
    fetched, cancelled = kernel.ended()
    assert (fetched, len(cancelled)) == ([], kernel.made)
