"""A proxy for servers of the Model Context Protocol over standard input and output.

One JSON-RPC message a line, both ways. What is no message never gets through: from the client it is answered with an
error, from the server it is dropped.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_fast.guard.protocols.mcp import McpGuard

__all__ = ["Lines", "Proxy"]

_SAID = ("result", "error")
_ASKED = {"sampling/createMessage", "elicitation/create"}
_MAX_WAITING = 10_000


class Lines(Protocol):
    """What messages are read from."""

    async def readline(self) -> bytes:
        """The next line with its end; nothing at the end of all."""
        ...


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
            return _line(message), None
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
        self._waiting[number] = (method, params)
        return _line(message), None

    async def _answer(self, message: dict[str, Any]) -> bytes:
        """What the client answers a server that asked it: a model's words, or a person's."""
        try:
            return _line({**message, **{key: await self._checks.said(message[key]) for key in _SAID if key in message}})
        except Exception:  # noqa: BLE001 -- what could not be checked, or does not go on, does not reach the server
            self.refused += 1
            return _error(message.get("id"), -32603, "the answer is refused by a guard")

    async def from_server(self, line: bytes) -> tuple[bytes | None, bytes | None]:
        """A line of the server: what goes to the client, and what goes back in its place."""
        message = _parse(line)
        if message is None:
            self.refused += 1
            return None, None
        method, number = message.get("method"), message.get("id")
        try:
            if method in _ASKED:
                params = await self._checks.asked(str(method), message.get("params") or {})
                if params is None:
                    self.refused += 1
                    return None, _error(number, -32600, "the request is refused by a guard")
                return _line(message), None
            if method is not None:
                return _line({**message, **await self._told(str(method), message, "params")}), None
            known = self._waiting.pop(number, None) if _is_id(number) else None
            if known is None and number is not None:
                # Nobody asked for it, so nobody knows what it is.
                self.refused += 1
                return None, None
            if known is not None and isinstance(message.get("result"), dict):
                return _line({**message, "result": await self._checks.result(*known, message["result"])}), None
            name = known[0] if known else "error"
            return _line({**message, **await self._told(name, message, "error", "result")}), None
        except Exception:  # noqa: BLE001 -- what cannot be checked does not get through
            self.refused += 1
            return (_error(number, -32603, "the result could not be checked") if method is None else None), None

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
                    forward, back = await self.from_client(line)
                    if back is not None:
                        client_out(back)
                    if forward is not None:
                        server_in.write(forward)
                        await server_in.drain()
            finally:
                # Also where a message was too long to be read: the server ends, and with it the wait for it.
                server_in.close()

        async def server() -> None:
            while line := await _readline(server_out):
                forward, back = await self.from_server(line)
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


async def _readline(reader: Lines) -> bytes:
    while True:
        line = await reader.readline()
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


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def _error(number: Any, code: int, text: str) -> bytes:
    return _line({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": text}})
