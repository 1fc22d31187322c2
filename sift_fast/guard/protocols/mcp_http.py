"""A proxy for servers of the Model Context Protocol over streamable HTTP: a guard around an ASGI application.

A message is one POST, answered by a message or by a stream of them; GET opens a stream of the server's own; a header
names the session. Messages are read and rewritten as in `mcp_stdio`, whichever way they come.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sift_fast.guard.protocols.answer import Answer, answer_json
from sift_fast.guard.protocols.gate import TooLarge, behind, read_body, replay
from sift_fast.guard.protocols.mcp import McpGuard, unseen
from sift_fast.guard.protocols.mcp_stdio import Proxy
from sift_fast.guard.protocols.sse import Frames, heads

if TYPE_CHECKING:
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.protocols.answer import Message, Receive, Send
    from sift_fast.guard.verdict import RequestContext

__all__ = ["McpGate"]

_SESSION = b"mcp-session-id"
_MAX_SESSIONS = 10_000
#: States of a conversation in one session.
_MAX_STATES = 16
#: Tenant, role and user.
_Who = tuple[str, str, str | None]


class McpGate:
    """A guard around an ASGI application that is a server of the protocol.

    Args:
        app: the application.
        guard: decides.
        context: on whose behalf a client calls, from the ASGI scope.
        pins: hashes of tool definitions, as for `McpGuard`.
        learn: as for `McpGuard`.
        save: called with the pins when there are new ones.
        max_body: most bytes of a message.
        body_timeout_s: seconds within which a request must have come.
    """

    def __init__(
        self,
        app: Any,
        guard: Guard,
        *,
        context: Callable[[Message], RequestContext],
        pins: dict[str, str] | None = None,
        learn: bool = True,
        save: Callable[[dict[str, str]], None] | None = None,
        max_body: int = 16 << 20,
        body_timeout_s: float = 60.0,
    ) -> None:
        self._app = app
        self._guard = guard
        self._context = context
        self._pins = {} if pins is None else pins
        self._learn = learn
        self._save = save
        self._most = max_body
        self._patience = body_timeout_s
        self._dropped = unseen(self._pins)
        #: Whose a session is, and what is known of it in each state of the conversation.
        self._sessions: OrderedDict[str, tuple[_Who, dict[str, Proxy]]] = OrderedDict()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["method"] in {"GET", "DELETE"}:
            try:
                session = _session(scope)
                proxy = self._proxy(scope, session)
            except Exception:  # noqa: BLE001 -- who cannot be told apart is not served
                await answer_json(send, 403, _error("the session is not yours, or nobody can say who asks"))
                return
            await self._pass(scope, receive, send, proxy, b"")
            if scope["method"] == "DELETE" and session is not None:
                self._sessions.pop(session, None)
        elif scope["method"] == "POST":
            await self._post(scope, receive, send)
        else:
            await answer_json(send, 405, {"error": {"message": "there is no such method", "code": "refused"}})

    async def _post(self, scope: Message, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(receive, self._most, self._patience)
            if body is None:
                return
            try:
                proxy = self._proxy(scope, _session(scope))
            except Exception:  # noqa: BLE001 -- who cannot be told apart is not served
                await answer_json(send, 403, _error("the session is not yours, or nobody can say who asks"))
                return
            forward, back = await proxy.from_client(body)
        except TooLarge:
            await answer_json(send, 413, _error("the message is too large"))
            return
        except TimeoutError:
            await answer_json(send, 408, _error("the message did not come in time"))
            return
        except Exception:  # noqa: BLE001 -- what could not be checked does not reach the server
            await answer_json(send, 503, _error("the message could not be checked"))
            return
        if back is not None:
            answer = json.loads(back)
            await answer_json(send, 400 if answer.get("id") is None else 200, answer)
        if forward is not None:
            await self._pass(scope, receive, send, proxy, forward)

    async def _pass(self, scope: Message, receive: Receive, send: Send, proxy: Proxy, body: bytes) -> None:
        inner = behind(scope, body)

        async def reply(message: bytes) -> None:
            await self._reply(inner, message)

        answer = _Answer(proxy, send, reply, self._most)
        try:
            await self._app(inner, replay(body, receive, answer.done), answer.send)
        finally:
            answer.done.set()

    async def _reply(self, scope: Message, message: bytes) -> None:
        """Answer a request of the server in the client's place."""
        mine = {b"accept", b"content-type", b"last-event-id"}
        headers = [pair for pair in scope["headers"] if pair[0].lower() not in mine]
        headers += [(b"content-type", b"application/json"), (b"accept", b"application/json, text/event-stream")]

        async def ignore(_message: Message) -> None:
            pass

        async def never() -> Message:
            await asyncio.Event().wait()
            raise AssertionError  # nobody sets it

        asked = behind({**scope, "method": "POST", "headers": headers}, message)
        await self._app(asked, replay(message, never, asyncio.Event()), ignore)

    def _proxy(self, scope: Message, session: str | None) -> Proxy:
        """What is known of a session; a request without one is a session of its own.

        Raises:
            ValueError: the session is another caller's.
        """
        context = self._context(scope)
        if session is None:
            return self._made(context)
        who = (context.tenant, context.role, context.user)
        owner, states = self._sessions.get(session, (who, {}))
        if owner != who:
            raise ValueError("the session is another caller's")
        if context.state not in states:
            if len(states) >= _MAX_STATES:
                raise ValueError("a session has too many states")
            states[context.state] = self._made(context.with_conversation(f"mcp-{session}"))
        self._sessions[session] = owner, states
        self._sessions.move_to_end(session)
        if len(self._sessions) > _MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return states[context.state]

    def _made(self, context: RequestContext) -> Proxy:
        return Proxy(
            McpGuard(self._guard, context, pins=self._pins, learn=self._learn, save=self._save, dropped=self._dropped)
        )


class _Answer(Answer):
    """What the server sends on one connection."""

    def __init__(self, proxy: Proxy, send: Send, reply: Callable[[bytes], Any], most: int) -> None:
        super().__init__(send, most)
        self._proxy, self._reply = proxy, reply
        self._frames = Frames()

    async def _events(self, data: bytes, *, last: bool) -> tuple[bytes, bool]:
        out = []
        try:
            # One by one: what came before a bad event goes out.
            for lines in self._frames.feed(data):
                out.append(await self._event(lines))  # noqa: PERF401 -- a comprehension would lose them
        except Exception:  # noqa: BLE001 -- what cannot be read is not passed on, nor is what follows
            last = True
        return b"".join(out), last

    async def _event(self, lines: list[bytes]) -> bytes:
        head = b"".join(b":\n" if line.startswith(b":") else line + b"\n" for line in heads(lines))
        data = b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))
        if not data.strip():
            # Where a client may begin again is said in an event without a message.
            return head + (b"data:\n\n" if any(line.startswith(b"data") for line in lines) else b"\n")
        forward, back = await self._proxy.from_server(data)
        if back is not None:
            await self._reply(back)
        return b"" if forward is None else head + b"data: " + forward + b"\n"

    async def _whole(self, data: bytes) -> None:
        forward = (await self._proxy.from_server(data))[0] if data.strip() else b""
        if forward is None and int(self._start["status"]) < 400:
            await self._unread()
            return
        # An error that is no message keeps its status alone.
        await self._pass(forward or b"")

    def _failed(self) -> dict[str, Any]:
        return _error("the answer could not be read")


def _session(scope: Message) -> str | None:
    """The session that a request names.

    Raises:
        ValueError: it names two.
    """
    named = [value for name, value in scope["headers"] if name.lower() == _SESSION]
    if len(named) > 1:
        raise ValueError("a request names two sessions")
    return named[0].decode("latin-1") if named else None


def _error(message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": None, "error": {"code": -32603, "message": message}}
