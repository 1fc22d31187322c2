"""A proxy for servers of the Model Context Protocol over standard input and output.

One JSON-RPC message a line, both ways. A message is written anew from the keys that its sort has; what is no message
never gets through: from the client it is answered with an error, from the server it is dropped.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sift_fast.guard.protocols.mcp import McpGuard

__all__ = ["BoundedLines", "Lines", "Proxy", "TooLong"]

_SAID = ("result", "error")
_ASKED = {"sampling/createMessage", "elicitation/create"}
_MAX_WAITING = 10_000
#: What of a request is looked at again when its result comes.
_KEPT = ("name", "uri")
#: Results of tools that come later would be nobody's: their calls are refused.
_TASKS = "tasks/result"
#: Bytes that are read at a time, and those of a line that is too long in which its id is looked for.
_READ = 64 << 10
_HEAD = 4 << 10
_METHOD = re.compile(r"[A-Za-z0-9_$./-]{1,128}")
_ID = re.compile(rb'"id"\s{0,8}:\s{0,8}(\d{1,15}|"[^"\\]{1,128}")')


class TooLong(Exception):
    """A line that was skipped. The next one can be read.

    Attributes:
        number: the id that seems to stand in it; None for none.
    """

    def __init__(self, head: bytes) -> None:
        super().__init__("a message is too long")
        found = _ID.search(head)
        self.number: int | str | None = None if found is None else json.loads(found.group(1))


class Lines(Protocol):
    """What messages are read from."""

    async def readline(self) -> bytes:
        """The next line with its end; nothing at the end of all.

        Raises:
            TooLong: it was longer than is read.
        """
        ...


class BoundedLines:
    """Lines of a stream, those that are too long skipped.

    Args:
        read: reads at most so many bytes; nothing at the end.
        most: most bytes of a line.
    """

    def __init__(self, read: Callable[[int], Awaitable[bytes]], most: int) -> None:
        self._read = read
        self._most = most
        self._rest = bytearray()

    async def readline(self) -> bytes:
        """As `Lines` says."""
        head, at = b"", 0
        while True:
            end = self._rest.find(b"\n", at)
            if end < 0 and len(self._rest) > self._most:
                head = head or bytes(self._rest[:_HEAD])
                self._rest.clear()
            if end >= 0:
                line = bytes(self._rest[: end + 1])
                del self._rest[: end + 1]
                if head or len(line) > self._most + 1:
                    raise TooLong(head or line[:_HEAD])
                return line
            at = len(self._rest)
            piece = await self._read(_READ)
            if not piece:
                line = bytes(self._rest)
                self._rest.clear()
                if head:
                    raise TooLong(head)
                return line
            self._rest += piece


class Proxy:
    """Messages of one connection on their way through a guard.

    Args:
        checks: the guard of this connection.

    Attributes:
        refused: messages that did not get through.
    """

    def __init__(self, checks: McpGuard) -> None:
        self._checks = checks
        #: Method and parameters of requests that wait for their result.
        self._waiting: dict[Any, tuple[str, dict[str, Any]]] = {}
        self.refused = 0

    async def from_client(self, line: bytes) -> tuple[bytes | None, bytes | None]:
        """A line of the client: what goes to the server, and what goes back in its place."""
        message = _parse(line)
        if message is None:
            self.refused += 1
            return None, _error(None, -32700, "the message cannot be read")
        method, number = message.get("method"), message.get("id")
        if method is None:
            return await self._answer(message), None
        if "id" not in message and isinstance(method, str) and method.startswith("notifications/"):
            return (
                _line(_made(message, "method", "params")) if self._checks.sends(message.get("params")) else None
            ), None
        if not isinstance(method, str) or "id" not in message:
            # A call without an id would be made by a server that does not look for one.
            self.refused += 1
            return None, _error(None, -32600, "the request has no id or no method")
        params = message.get("params") or {}
        if not isinstance(params, dict) or not _is_id(number) or len(self._waiting) >= _MAX_WAITING:
            self.refused += 1
            text = "the request has no id or no parameters, or too many wait"
            return None, _error(number if _is_id(number) else None, -32600, text)
        if method == "tools/call":
            params, refusal = await self._checks.call(params)
            if refusal is not None:
                self.refused += 1
                return None, _line({"jsonrpc": "2.0", "id": number, "result": refusal})
            message = {**message, "params": params}
        elif method == _TASKS or not self._checks.sends(params):
            self.refused += 1
            return None, _error(number, -32600, "the request is refused by a guard")
        self._waiting[number] = (method, {key: params[key] for key in _KEPT if key in params})
        return _line(_made(message, "id", "method", "params")), None

    async def _answer(self, message: dict[str, Any]) -> bytes | None:
        """What the client answers a server that asked it: a model's words, or a person's."""
        said = [key for key in _SAID if key in message]
        if len(said) != 1 or not _is_id(message.get("id")):
            self.refused += 1
            return None
        try:
            return _line({**_made(message, "id"), said[0]: await self._checks.said(message[said[0]])})
        except Exception:  # noqa: BLE001 -- what could not be checked, or does not go on, does not reach the server
            self.refused += 1
            return _error(message.get("id"), -32603, "the answer is refused by a guard")

    async def from_server(self, line: bytes) -> tuple[bytes | None, bytes | None]:
        """A line of the server: what goes to the client, and what goes back in its place."""
        message = _parse(line)
        said = [key for key in _SAID if message is not None and key in message]
        if message is None or len(said) != (message.get("method") is None):
            # A request with a result in it would be one to some clients and the other to others.
            self.refused += 1
            return None, None
        method, number = message.get("method"), message.get("id")
        try:
            if method is not None:
                return await self._asked(message)
            known = self._waiting.pop(number, None) if _is_id(number) else None
            if known is None and (number is not None or said == ["result"]):
                # Nobody asked for it, so nobody knows what it is.
                self.refused += 1
                return None, None
            if known is not None and isinstance(message.get("result"), dict):
                return _line(
                    {**_made(message, "id"), "result": await self._checks.result(*known, message["result"])}
                ), None
            name = known[0] if known else "error"
            return _line({**_made(message, "id"), **await self._told(name, message, *said)}), None
        except Exception:  # noqa: BLE001 -- what cannot be checked does not get through
            self.refused += 1
            return (_error(number, -32603, "the result could not be checked") if method is None else None), None

    async def _asked(self, message: dict[str, Any]) -> tuple[bytes | None, bytes | None]:
        """What a server asks of the client, or tells it."""
        method, number = message["method"], message.get("id")
        if not isinstance(method, str) or ("id" in message and not _is_id(number)):
            self.refused += 1
            return None, None
        if method in _ASKED:
            params = await self._checks.asked(method, message.get("params") or {})
            if params is None:
                self.refused += 1
                return None, _error(number, -32600, "the request is refused by a guard")
            return _line(_made(message, "id", "method", "params")), None
        # The name of a method is one: what is longer is text.
        if not _METHOD.fullmatch(method):
            self.refused += 1
            return None, None
        return _line({**_made(message, "id", "method"), **await self._told(method, message, "params")}), None

    async def _client_line(self, line: bytes | TooLong) -> tuple[bytes | None, bytes | None]:
        if isinstance(line, bytes):
            return await self.from_client(line)
        self.refused += 1
        return None, _error(line.number, -32600, "the message is too large")

    async def _server_line(self, line: bytes | TooLong) -> tuple[bytes | None, bytes | None]:
        if isinstance(line, bytes):
            return await self.from_server(line)
        self.refused += 1
        known = self._waiting.pop(line.number, None) if line.number is not None else None
        # Whoever waits for it is told.
        return (None if known is None else _error(line.number, -32603, "the result is too large")), None

    async def _told(self, method: str, message: dict[str, Any], *keys: str) -> dict[str, Any]:
        return {key: await self._checks.told(method, message[key]) for key in keys if key in message}

    async def run(
        self,
        client_in: Lines,
        client_out: Callable[[bytes], None],
        server_in: asyncio.StreamWriter,
        server_out: Lines,
    ) -> None:
        """Carry messages until either side ends."""

        async def client() -> None:
            try:
                while line := await _readline(client_in):
                    forward, back = await self._client_line(line)
                    if back is not None:
                        client_out(back)
                    if forward is not None:
                        server_in.write(forward)
                        await server_in.drain()
            finally:
                # The server ends, and with it the wait for it.
                server_in.close()

        async def server() -> None:
            while line := await _readline(server_out):
                forward, back = await self._server_line(line)
                if forward is not None:
                    client_out(forward)
                if back is not None:
                    server_in.write(back)
                    await server_in.drain()

        # A server that has ended has nothing more to say; a client that has ended may still be answered.
        incoming = asyncio.ensure_future(client())
        try:
            await server()
        finally:
            incoming.cancel()
            await asyncio.gather(incoming, return_exceptions=True)


async def _readline(reader: Lines) -> bytes | TooLong:
    while True:
        try:
            line = await reader.readline()
        except TooLong as skipped:
            return skipped
        if not line or line.strip():
            return line


def _is_id(number: Any) -> bool:
    # `True` would be the same as 1.
    return isinstance(number, int | str) and not isinstance(number, bool)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    # Batches are no longer part of the protocol.
    return message if isinstance(message, dict) else None


def _made(message: dict[str, Any], *keys: str) -> dict[str, Any]:
    """A message with the keys that its sort has, and no others."""
    return {"jsonrpc": "2.0", **{key: message[key] for key in keys if key in message}}


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def _error(number: Any, code: int, text: str) -> bytes:
    return _line({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": text}})
