"""Streams of every protocol: exact at every cut, stopped as the protocol says, and nothing that is held gets out."""

from __future__ import annotations

import asyncio
import json

import pytest
from guard_streams import MAKE, Read, encode, pieces

from sift_fast.errors import LimitExceeded
from sift_fast.guard import Guard, RequestContext
from sift_fast.guard.protocols.chat import ChatEvents
from sift_fast.guard.protocols.messages import MessageEvents
from sift_fast.guard.protocols.responses import ResponseEvents
from sift_fast.guard.protocols.sse import Frames

KINDS = {"chat": ChatEvents, "completions": ChatEvents, "messages": MessageEvents, "responses": ResponseEvents}
STOPPED = {
    "chat": "content_filter",
    "completions": "content_filter",
    "messages": "refusal",
    "responses": "content_filter",
}
FINE = {"chat": "stop", "completions": "stop", "messages": "end_turn", "responses": "completed"}
PROTOCOLS = list(MAKE)
CALLERS = [name for name in PROTOCOLS if name != "completions"]


def play(protocol, data, guard, context, *, size=11, finish=True):
    async def main():
        events = KINDS[protocol](guard, context)
        out = []
        for piece in pieces(data, size):
            if not events.stopped:
                out.append(await events.feed(piece))
        if finish:
            out.append(await events.finish())
        return out, events

    return asyncio.run(main())


def read(protocol, data, guard, context, **more):
    return Read(protocol, b"".join(play(protocol, data, guard, context, **more)[0]))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("size", [1, 2, 5, 17, 1000])
def test_a_stream_gives_what_the_whole_would(protocol, size, guard, context, secret):
    text = f"The key is {secret}, dear friend; write to joe.miller@gmail.com."
    whole = guard.check_output_sync(text, context).text
    for cut in (1, 7, 64, 1 << 20):
        seen = read(protocol, MAKE[protocol](text, size=size), guard, context, size=cut)
        assert (seen.text, seen.reason) == (whole, FINE[protocol])
        assert seen.done
    assert secret not in whole


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_waits_that_need_not(protocol, guard, context):
    """One hold-back: a plain text comes out as it comes in, but for its last words."""
    text = "It is a nice day, and the birds sing. " * 8
    data = MAKE[protocol](text, size=8)
    out, _ = play(protocol, data, guard, context, size=len(data) // 2)
    half = out[0].decode()
    assert half.count("birds sing") + half.count("birds") + half.count("sing") >= 3


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("cut", [1, 13, 1 << 20])
def test_a_stopped_answer_ends_as_the_protocol_says(protocol, cut, guard, context):
    text = "First of all, this is about project falcon, which is secret."
    out, events = play(protocol, MAKE[protocol](text), guard, context, size=cut)
    body = b"".join(out)
    seen = Read(protocol, body)
    assert (seen.reason, seen.done, events.stopped) == (STOPPED[protocol], True, True)
    assert b"falcon" not in body
    verdict = guard.check_output_sync(text, context)
    assert seen.text.endswith(verdict.message)
    assert text.startswith(seen.text.removesuffix(verdict.message))


@pytest.mark.parametrize("protocol", CALLERS)
def test_calls_wait_for_their_verdict(protocol, guard, context):
    fine = [("send", '{"to": "x"}'), ("web", "{}")]
    seen = read(protocol, MAKE[protocol]("I send it.", fine), guard, context)
    assert (seen.text, seen.calls) == ("I send it.", fine)
    for bad in (("rm", "{}"), ("send", "[1]"), ("send", '{"to')):
        body = b"".join(play(protocol, MAKE[protocol]("I do it.", [fine[0], bad]), guard, context)[0])
        assert b'"rm"' not in body
        assert Read(protocol, body).text.startswith("I do it.")


@pytest.mark.parametrize("protocol", CALLERS)
def test_no_piece_of_a_call_comes_before_it_is_complete(protocol, guard, context):
    data = MAKE[protocol]("", [("send", '{"to": "somebody"}')])
    # Before its last event: a call that was not said to be complete.
    cut = max(
        data.rindex(word)
        for word in (b'"finish_reason": "t', b"content_block_stop", b"response.output_item.done")
        if word in data
    )
    out, _ = play(protocol, data[: data.rindex(b"\n\n", 0, cut) + 2], guard, context)
    assert b"send" not in b"".join(out)
    assert b"some" not in b"".join(out)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_held_is_lost_when_the_source_breaks(protocol, guard, context, secret):
    text = f"The key is {secret}"
    data = MAKE[protocol](text, size=4)
    for end in (b"data: {not json\n\n", b"data: [1]\n\n", b"data: \xff\xfe\n\n"):
        cut = data.index(b"\n\n", len(data) // 3) + 2
        out, events = play(protocol, data[:cut] + end + data[cut:], guard, context)
        body = b"".join(out)
        assert events.stopped
        assert secret[:8].encode() not in body
        last = json.loads(body.decode().rstrip("\n").rpartition("data: ")[2])
        assert "not be checked" in json.dumps(last)
    # And when it stops in the middle of an event, or is left.
    out, events = play(protocol, data[:cut], guard, context, finish=False)
    events.abort()
    assert secret[:8].encode() not in b"".join(out)
    assert asyncio.run(events.finish()) == b""


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_was_decided_is_on_record_when_nobody_listens(protocol, context, secret):
    class Sink:
        def __init__(self):
            self.seen = []

        def write(self, event):
            self.seen.append(event)

    sink = Sink()
    guard = Guard({"version": 1, "preset": "agent"}, sinks=[sink])
    data = MAKE[protocol](f"The key is {secret}, dear friend, and so on and on. " + "More words. " * 9)
    _, events = play(protocol, data[: len(data) * 2 // 3], guard, context, finish=False)
    assert sink.seen == []
    events.abort()
    assert [event["decision"] for event in sink.seen] == ["redact"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_personal_data_comes_back(protocol, guard, context):
    shown = guard.check_input_sync("I am joe.miller@gmail.com", context).text
    assert "joe" not in shown
    seen = read(protocol, MAKE[protocol](f"Hello, {shown[5:]}!", size=2), guard, context)
    assert seen.text == "Hello, joe.miller@gmail.com!"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_guardrail_that_must_see_the_whole_makes_it_wait(protocol, context):
    guard = Guard({"version": 1, "guardrails": {"schema": {"schema": {"type": "object"}}}})
    seen = read(protocol, MAKE[protocol]('{"a": 1}'), guard, context)
    assert (seen.text, seen.reason) == ('{"a": 1}', FINE[protocol])
    seen = read(protocol, MAKE[protocol]("no json at all"), guard, context)
    assert "json" not in seen.text
    assert seen.reason == STOPPED[protocol]


def test_choices_are_texts_of_their_own(guard, context, secret):
    def chunk(*deltas, reason=None):
        return {"choices": [{"index": at, "delta": delta, "finish_reason": reason} for at, delta in enumerate(deltas)]}

    documents = [
        chunk({"content": one, "reasoning_content": two}, {"content": two})
        for one, two in zip(pieces(secret, 2), pieces("x" * len(secret), 2), strict=True)
    ]
    body = b"".join(play("chat", encode([*documents, chunk({}, {}, reason="stop")], done=True), guard, context)[0])
    texts = {}
    for event in body.decode().split("\n\n")[:-2]:
        for choice in json.loads(event[6:])["choices"]:
            for key, piece in choice["delta"].items():
                texts[choice["index"], key] = texts.get((choice["index"], key), "") + piece
    long = "x" * len(secret)
    assert texts == {(0, "content"): "<GITHUB_TOKEN>", (0, "reasoning_content"): long, (1, "content"): long}


def test_a_stop_ends_every_choice(guard, context):
    first = {"choices": [{"index": at, "delta": {"content": "so "}, "finish_reason": None} for at in (0, 1)]}
    second = {"choices": [{"index": 1, "delta": {"content": "project falcon now"}, "finish_reason": None}]}
    body = b"".join(play("chat", encode([first, second, first], done=True), guard, context)[0])
    ends = [
        (choice["index"], choice["finish_reason"])
        for event in body.decode().split("\n\n")[:-2]
        for choice in json.loads(event[6:])["choices"]
        if choice["finish_reason"]
    ]
    assert sorted(ends) == [(0, "content_filter"), (1, "content_filter")]


def test_thoughts_and_signatures(guard, context, secret):
    data = encode(
        [
            {"type": "message_start", "message": {"id": "m", "content": []}},
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "thinking", "thinking": "", "signature": ""},
            },
            *(
                {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": piece}}
                for piece in pieces(f"use {secret}", 3)
            ),
            {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
            {"type": "content_block_stop", "index": 0},
        ]
    )
    out = b"".join(play("messages", data, guard, context)[0]).decode()
    thought = "".join(
        json.loads(event.split("data: ")[1])["delta"].get("thinking", "")
        for event in out.split("\n\n")
        if '_delta"' in event
    )
    assert thought == "use <GITHUB_TOKEN>"
    assert out.index("GITHUB_TOKEN") < out.index("c2ln")


def test_a_text_that_was_never_said_in_pieces_is_read(guard, context, secret):
    data = MAKE["responses"](f"key {secret}")
    kept = [event for event in data.split(b"\n\n") if b".delta" not in event]
    body = b"".join(play("responses", b"\n\n".join(kept), guard, context)[0])
    assert secret.encode() not in body
    assert body.count(b"key <GITHUB_TOKEN>") == 4


def test_items_that_act_are_read_whatever_their_kind(guard, context):
    item = {"id": "i", "type": "local_shell_call", "action": {"type": "exec", "command": ["rm"]}, "status": "completed"}
    data = encode(
        [
            {"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": []}},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
        ]
    )
    body = b"".join(play("responses", data, guard, context)[0])
    assert b"exec" not in body
    assert b"content_filter" in body


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_frames(end, size):
    lines = [b": ping", b"", b"event: a", b"data: 1", b"data: 2", b"", b"", b"id: 7", b"data:3", b"", b"x"]
    data = b"\xef\xbb\xbf" + end.join(lines)
    frames = Frames()
    events = [event for piece in pieces(data, size) for event in frames.feed(piece)]
    assert events == [[b": ping"], [b"event: a", b"data: 1", b"data: 2"], [b"id: 7", b"data:3"]]


def test_an_event_without_end_is_refused(guard, context):
    frames = Frames()
    with pytest.raises(LimitExceeded):
        for _ in range(5):
            frames.feed(b"x" * (1 << 20))
    with pytest.raises(LimitExceeded):
        for _ in range(5):
            frames.feed(b"data: " + b"x" * (1 << 20) + b"\n")
    out, events = play("chat", b"x" * (5 << 20), guard, context, size=1 << 20)
    assert events.stopped
    assert b"guardrail_unavailable" in b"".join(out)


def test_two_spellings_of_an_event_are_one(guard, context):
    """What the guard read is what the client reads: keys that come twice, fields that are none, marks at the start."""
    data = b'\xef\xbb\xbf data: {"x":1}\ndata: {"choices":[{"index":0,"delta":{"content":"project falcon"}}],"choices":[]}\n\n'
    body = b"".join(play("chat", data, guard, RequestContext())[0])
    assert body == b'data: {"choices":[]}\n\n'
