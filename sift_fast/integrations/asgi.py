"""Pure ASGI middleware for services that speak OpenAI's or Anthropic's API: a guard before and behind the model.

    app.add_middleware(SiftMiddleware, guard=Guard.open("sift.toml"), context=context_of)

It reads the bodies of the paths it is told, answers what is blocked itself, in the form of the API, and lets everything
else through untouched. Streamed chat completions are checked while they pass; other streams are checked when complete.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from sift_fast.errors import LimitExceeded
from sift_fast.guard import RequestContext
from sift_fast.guard.protocols.openai import Blocked, check_answer, check_request
from sift_fast.guard.protocols.sse import ChatEvents, HeldEvents

if TYPE_CHECKING:
    from sift_fast.guard import Guard, Verdict

__all__ = ["SiftMiddleware"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PATHS = ("/chat/completions", "/completions", "/responses", "/messages")


def _context(_scope: Message) -> RequestContext:
    return RequestContext()


class SiftMiddleware:
    """A guard around an ASGI application.

    Args:
        app: the application.
        guard: decides.
        context: who asks, from the ASGI scope: take it from what the service has authenticated, never from the body.
        paths: ends of the paths that are guarded.
        max_body: most bytes of a request or of an answer that is not streamed.
    """

    def __init__(
        self,
        app: Any,
        guard: Guard,
        *,
        context: Callable[[Message], RequestContext] = _context,
        paths: tuple[str, ...] = _PATHS,
        max_body: int = 16 << 20,
    ) -> None:
        self._app = app
        self._guard = guard
        self._context = context
        self._paths = paths
        self._most = max_body

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith(self._paths):
            await self._app(scope, receive, send)
            return
        try:
            context = self._context(scope)
            body = await self._read(receive)
            document = json.loads(body)
            if not isinstance(document, dict):
                raise ValueError  # noqa: TRY004 -- one handler for all that is no request
            document = await check_request(self._guard, document, context)
        except Blocked as blocked:
            await _refuse(send, blocked.verdict)
            return
        except (ValueError, RecursionError):
            await _answer(send, 400, {"error": {"message": "the body is no request", "code": "invalid_request"}})
            return
        except Exception:  # noqa: BLE001 -- what could not be checked does not reach the model
            await _answer(send, 503, {"error": {"message": "not checked", "code": "guardrail_unavailable"}})
            return
        data = json.dumps(document).encode()
        inner = dict(scope)
        # Compressed answers could not be read.
        kept = [pair for pair in scope["headers"] if pair[0].lower() not in {b"content-length", b"accept-encoding"}]
        inner["headers"] = [*kept, (b"content-length", str(len(data)).encode())]
        chat = scope["path"].endswith("/chat/completions")
        answer = _Answer(self._guard, context, send, self._most, ChatEvents if chat else HeldEvents)
        await self._app(inner, _replay(data, receive), answer.send)

    async def _read(self, receive: Receive) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError("the client went away")
            body += message.get("body", b"")
            if len(body) > self._most:
                raise ValueError("the body is too large")
            if not message.get("more_body", False):
                return bytes(body)


class _Answer:
    """What the application sends, on its way through the guard."""

    def __init__(
        self,
        guard: Guard,
        context: RequestContext,
        send: Send,
        most: int,
        events: type[ChatEvents | HeldEvents],
    ) -> None:
        self._guard, self._context, self._send, self._most = guard, context, send, most
        self._kind = events
        self._start: Message = {}
        self._body = b""
        self._events: ChatEvents | HeldEvents | None = None
        self._done = False

    async def send(self, message: Message) -> None:
        """Take one message of the application."""
        if self._done:
            return
        if message["type"] == "http.response.start":
            self._start = message
            headers = {name.lower(): value for name, value in message["headers"]}
            if headers.get(b"content-type", b"").startswith(b"text/event-stream") and message["status"] == 200:
                self._events = self._kind(self._guard, self._context)
                await self._begin()
            return
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        last = not message.get("more_body", False)
        if self._events is not None:
            await self._stream(message.get("body", b""), last=last)
        else:
            self._body += message.get("body", b"")
            if len(self._body) > self._most:
                raise LimitExceeded("the answer is larger than the guard reads")
            if last:
                await self._whole()

    async def _begin(self, size: int | None = None) -> None:
        headers = [(name, value) for name, value in self._start["headers"] if name.lower() != b"content-length"]
        if size is not None:
            headers.append((b"content-length", str(size).encode()))
        await self._send({**self._start, "headers": headers})

    async def _stream(self, data: bytes, *, last: bool) -> None:
        events = self._events
        assert events is not None  # noqa: S101 -- set with the first message
        try:
            out = await events.feed(data)
            if last and not events.stopped:
                out += await events.finish()
        except Exception:  # noqa: BLE001 -- an event that cannot be read is not passed on, nor is what follows
            out, last = b'data: {"error":{"code":"guardrail_unavailable"}}\n\n', True
        self._done = last or events.stopped
        if events.stopped and isinstance(events, ChatEvents):
            out += b"data: [DONE]\n\n"
        if out or self._done:
            await self._send({"type": "http.response.body", "body": out, "more_body": not self._done})

    async def _whole(self) -> None:
        self._done = True
        data = self._body
        if self._start["status"] == 200:
            try:
                data = json.dumps(await check_answer(self._guard, json.loads(data), self._context)).encode()
            except Blocked as blocked:
                await _refuse(self._send, blocked.verdict)
                return
            except Exception:  # noqa: BLE001 -- an answer that cannot be read is not passed on
                await _answer(self._send, 503, {"error": {"message": "not checked", "code": "guardrail_unavailable"}})
                return
        await self._begin(len(data))
        await self._send({"type": "http.response.body", "body": data})


def _replay(data: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": data, "more_body": False}

    return replay


async def _refuse(send: Send, verdict: Verdict) -> None:
    failed = verdict.status in {"error", "timeout"}
    code = "guardrail_unavailable" if failed else "guardrail_blocked"
    error: dict[str, Any] = {"message": verdict.message, "type": "guardrail", "code": code, "param": verdict.stage}
    if verdict.escalation:
        error["escalation"] = verdict.escalation
    await _answer(send, 503 if failed else 400, {"error": error})


async def _answer(send: Send, status: int, document: dict[str, Any]) -> None:
    data = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})
