"""What an application behind a guard sends, on its way to the client: the life of one answer, whatever it holds.

An answer is a stream of events or one body. A body is collected within a bound and read whole; what cannot be read ends
it. `done` is set when the answer is out and not before: an application that is told that nobody listens any more stops,
and with it the reading of its answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

__all__ = ["Answer", "Message", "Receive", "Send", "answer_json"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_STREAM = b"text/event-stream"


class Answer:
    """One answer; the base of one class for each protocol.

    Args:
        send: to the client.
        most: most bytes of an answer that is no stream.

    Attributes:
        done: set once nothing more is wanted from the application.
    """

    def __init__(self, send: Send, most: int) -> None:
        self._send = send
        self._most = most
        self._start: Message = {}
        self._parts: list[bytes] = []
        self._size = 0
        self._streams = False
        #: Nothing is taken any more.
        self._over = False
        self.done = asyncio.Event()

    async def send(self, message: Message) -> None:
        """Take one message of the application."""
        if self._over:
            return
        if message["type"] == "http.response.start":
            self._start = message
            headers = {name.lower(): value for name, value in message["headers"]}
            if headers.get(b"content-encoding", b"identity") != b"identity":
                await self._unread()
            elif self._reads() and headers.get(b"content-type", b"").lower().startswith(_STREAM):
                self._streams = True
                await self._begin()
        elif message["type"] == "http.response.body":
            data, last = message.get("body", b""), not message.get("more_body", False)
            if self._streams:
                await self._stream(data, last=last)
            else:
                await self._collect(data, last=last)

    # --- what a protocol says ---------------------------------------------------------------------------------------

    def _reads(self) -> bool:
        """Whether a stream with this status is read event by event."""
        return True

    async def _events(self, data: bytes, *, last: bool) -> tuple[bytes, bool]:
        """Bytes of a stream: those that may go out, and whether nothing comes behind them."""
        raise NotImplementedError

    async def _whole(self, data: bytes) -> None:
        """A body that has come."""
        raise NotImplementedError

    def _failed(self) -> dict[str, Any]:
        """What is answered where an answer cannot be read."""
        raise NotImplementedError

    # --- what they share --------------------------------------------------------------------------------------------

    async def _begin(self, size: int | None = None) -> None:
        headers = [(name, value) for name, value in self._start["headers"] if name.lower() != b"content-length"]
        if size is not None:
            headers.append((b"content-length", str(size).encode()))
        await self._send({**self._start, "headers": headers})

    async def _pass(self, data: bytes) -> None:
        """Send a body as the application's own."""
        await self._begin(len(data))
        await self._send({"type": "http.response.body", "body": data})

    async def _stream(self, data: bytes, *, last: bool) -> None:
        out, last = await self._events(data, last=last)
        self._over = last
        if out or last:
            await self._send({"type": "http.response.body", "body": out, "more_body": not last})
        if last:
            self.done.set()

    async def _collect(self, data: bytes, *, last: bool) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > self._most:
            await self._unread()
        elif last:
            self._over = True
            await self._whole(b"".join(self._parts))
            self.done.set()

    async def _unread(self) -> None:
        self._over = True
        self._parts.clear()
        await answer_json(self._send, 503, self._failed())
        self.done.set()


async def answer_json(send: Send, status: int, document: dict[str, Any]) -> None:
    """Answer a request with a JSON document.

    Args:
        send: to the client.
        status: of HTTP.
        document: the body.
    """
    data = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})
