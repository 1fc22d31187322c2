"""The guard around an ASGI application that answers as OpenAI's or Anthropic's API does. Knows no web framework.

Requests are read before the application sees them; what is blocked is answered here, in the form of the API. Answers
are read before the client sees them, streams while they pass. Everything else goes through untouched.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sift_fast.errors import LimitExceeded
from sift_fast.guard.protocols.answer import Answer, answer_json
from sift_fast.guard.protocols.chat import ChatEvents
from sift_fast.guard.protocols.messages import MessageEvents
from sift_fast.guard.protocols.openai import Blocked, check_answer, check_request, scrub
from sift_fast.guard.protocols.responses import ResponseEvents
from sift_fast.guard.verdict import RequestContext

if TYPE_CHECKING:
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.protocols.answer import Message, Receive, Send
    from sift_fast.guard.protocols.sse import Events
    from sift_fast.guard.verdict import Verdict

__all__ = [
    "PATHS",
    "Gate",
    "LocalOnly",
    "TooLarge",
    "UpstreamBroken",
    "behind",
    "read_body",
    "replay",
]

#: Ends of the paths that are guarded, and how their streams are read.
PATHS: dict[str, type[Events]] = {
    "/chat/completions": ChatEvents,
    "/completions": ChatEvents,
    "/responses": ResponseEvents,
    "/messages": MessageEvents,
    # These only count, but are sent the same.
    "/messages/count_tokens": MessageEvents,
    "/responses/input_tokens": ResponseEvents,
}


#: What stands below them, and gives answers.
_BELOW = re.compile(r"/(responses|chat/completions)/[^/]+(?:/[a-z_]+)?$")
#: Methods that ask a model nothing, and those whose answers have no text either.
_ASKS_NOTHING = {"GET", "HEAD", "OPTIONS", "DELETE"}
_ASKED_NOTHING = {"HEAD", "OPTIONS", "DELETE"}
_LOCAL = {"127.0.0.1", "::1", "localhost"}


class UpstreamBroken(Exception):
    """The server behind broke off in the middle of an answer."""


class TooLarge(Exception):
    """A body is larger than it may be."""


class Gate:
    """A guard around an ASGI application.

    Without a conversation in the context, one is made up for each request and forgotten behind it: what the request
    itself holds of tools and documents is remembered until its answer is out, and personal data is put back. With
    `[limits] require_conversation` none is made up, and the request is refused.

    Args:
        app: the application.
        guard: decides.
        context: who asks, from the ASGI scope: take it from what the service has authenticated, never from the body.
        paths: ends of the paths that are guarded, of those in `PATHS`.
        max_body: most bytes of a request or of an answer that is not streamed.
        body_timeout_s: seconds within which a request must have come.
    """

    def __init__(
        self,
        app: Any,
        guard: Guard,
        *,
        context: Callable[[Message], RequestContext] = lambda _scope: RequestContext(),
        paths: tuple[str, ...] = tuple(PATHS),
        max_body: int = 16 << 20,
        body_timeout_s: float = 60.0,
    ) -> None:
        self._app = app
        self._guard = guard
        self._context = context
        self._paths = paths
        self._most = max_body
        self._patience = body_timeout_s

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        # Applications take a path with a slash behind it for the same.
        path = str(scope.get("path", "")).rstrip("/")
        end = max((end for end in self._paths if path.endswith(end)), key=len, default=None)
        # An answer that is fetched later is an answer: of a response in the background, of a stored completion.
        below = _BELOW.search(path) if end is None else None
        if (end is None and below is None) or scope["type"] == "lifespan" or scope.get("method") in _ASKED_NOTHING:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            # The same API over a socket would pass unread.
            await send({"type": "websocket.close", "code": 1008})
        elif end is None:
            kind = ResponseEvents if below is not None and below[1] == "responses" else ChatEvents
            await self._guarded(scope, receive, send, kind)
        elif scope["method"] in _ASKS_NOTHING:
            await self._app(scope, receive, send)
        else:
            await self._guarded(scope, receive, send, PATHS[end])

    async def _guarded(self, scope: Message, receive: Receive, send: Send, kind: type[Events]) -> None:
        form = _anthropic if kind is MessageEvents else _openai
        context: RequestContext | None = None
        private = False
        try:
            try:
                context = self._context(scope)
                private = context.conversation is None and not self._guard.config.limits.require_conversation
                if private:
                    context = context.with_conversation(f"request-{secrets.token_hex(8)}")
                body = await read_body(receive, self._most, self._patience)
                if body is None:
                    return
                # Who fetches or stops an answer asks nothing.
                nothing = not body and _BELOW.search(str(scope["path"]).rstrip("/"))
                document = {} if nothing else await check_request(self._guard, _object(body), context)
            except Blocked as blocked:
                await _refuse(send, blocked.verdict, form)
                return
            except (TooLarge, LimitExceeded):
                await answer_json(send, 413, form(413, "the request is too large", "invalid_request"))
                return
            except TimeoutError:
                await answer_json(send, 408, form(408, "the request did not come in time", "invalid_request"))
                return
            except (ValueError, RecursionError, AttributeError):
                await answer_json(send, 400, form(400, "the request cannot be read", "invalid_request"))
                return
            except Exception:  # noqa: BLE001 -- what could not be checked does not reach the model
                await answer_json(send, 503, form(503, "the request could not be checked", "guardrail_unavailable"))
                return
            answer = _Answer(self._guard, context, send, self._most, kind, form, document)
            await self._pass(scope, receive, answer, json.dumps(document).encode() if document else b"")
        finally:
            if private and context is not None and context.conversation is not None:
                self._guard.forget(context.tenant, context.conversation)

    async def _pass(self, scope: Message, receive: Receive, answer: _Answer, data: bytes) -> None:
        try:
            await self._app(behind(scope, data), replay(data, receive, answer.done), answer.send)
        except Exception:
            await answer.broken()
            raise
        finally:
            answer.abort()


async def read_body(receive: Receive, most: int, within_s: float) -> bytes | None:
    """The body of a request; None if the client went away.

    Raises:
        TooLarge: it has more than `most` bytes.
        TimeoutError: it did not come in time.
    """
    parts: list[bytes] = []
    size = 0
    async with asyncio.timeout(within_s):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > most:
                raise TooLarge
            if not message.get("more_body", False):
                return b"".join(parts)


class _Answer(Answer):
    """What the application sends, on its way through the guard."""

    def __init__(
        self,
        guard: Guard,
        context: RequestContext,
        send: Send,
        most: int,
        kind: type[Events],
        form: _Form,
        asked: dict[str, Any],
    ) -> None:
        super().__init__(send, most)
        self._guard, self._context = guard, context
        self._form, self._asked = form, asked
        self._kind = kind
        self._rewriter: Events | None = None

    async def broken(self) -> None:
        """The application failed in the middle: a stream ends with an error, and nothing that is held comes out."""
        if self._over:
            return
        if self._streams:
            self._over = True
            await self._send({"type": "http.response.body", "body": self._made().fail()})
            self.done.set()
        elif self._start:
            await self._unread()

    def abort(self) -> None:
        """Nobody listens any more."""
        self._over = True
        self.done.set()
        if self._rewriter is not None and not self._rewriter.stopped:
            self._rewriter.abort()

    def _made(self) -> Events:
        if self._rewriter is None:
            self._rewriter = self._kind(self._guard, self._context, self._asked)
        return self._rewriter

    def _reads(self) -> bool:
        return 200 <= int(self._start["status"]) < 300

    async def _events(self, data: bytes, *, last: bool) -> tuple[bytes, bool]:
        events = self._made()
        out = await events.feed(data)
        if last:
            out += await events.finish()
        return out, last or events.stopped

    async def _whole(self, data: bytes) -> None:
        if data:
            try:
                if self._reads():
                    given = self._asked.get("instructions")
                    document = await check_answer(self._guard, _object(data), self._context, given)
                    data = json.dumps(document).encode()
                else:
                    data = self._failure(data)
            except Blocked as blocked:
                await _refuse(self._send, blocked.verdict, self._form)
                return
            except Exception:  # noqa: BLE001 -- an answer that cannot be read is not passed on
                await self._unread()
                return
        await self._pass(data)

    def _failure(self, data: bytes) -> bytes:
        """What the application says when it fails: no answer, but it may name a key or an address."""
        text = data.decode("utf-8")
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return self._guard.rescrub(text, self._context, stage="output").encode("utf-8", "surrogatepass")
        return json.dumps(scrub(self._guard, document, self._context)).encode()

    def _failed(self) -> dict[str, Any]:
        return self._form(503, "the answer could not be checked", "guardrail_unavailable")


def _object(data: bytes) -> dict[str, Any]:
    document = json.loads(data.decode("utf-8"))
    if not isinstance(document, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 -- one handler for all that is none
    return document


def behind(scope: Message, data: bytes) -> Message:
    """The scope for the application behind a guard, with the body it gets."""
    # Compressed answers could not be read, nor could files that the server sends by itself.
    left = {b"content-encoding", b"content-length", b"transfer-encoding", b"accept-encoding"}
    kept = [pair for pair in scope["headers"] if pair[0].lower() not in left]
    headers = [*kept, (b"content-length", str(len(data)).encode()), (b"accept-encoding", b"identity")]
    return {**scope, "headers": headers, "extensions": {}}


def replay(data: bytes, receive: Receive, done: asyncio.Event) -> Receive:
    """The body that was checked; then what the client does, or that it went away once the answer is stopped."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": data, "more_body": False}
        theirs, ours = asyncio.ensure_future(receive()), asyncio.ensure_future(done.wait())
        try:
            await asyncio.wait((theirs, ours), return_when=asyncio.FIRST_COMPLETED)
            return theirs.result() if theirs.done() else {"type": "http.disconnect"}
        finally:
            theirs.cancel()
            ours.cancel()

    return receive_again


class LocalOnly:
    """Refuses what web pages send: a page of another site may reach a local address under a name of its own, and would
    speak with the rights of the person whose browser it is.

    Args:
        app: the application.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
            places = [f"//{headers.get(b'host', '')}"]
            if b"origin" in headers:
                places.append(headers[b"origin"])
            if not all(_is_local(place) for place in places):
                await answer_json(send, 403, {"error": {"message": "only local callers are served", "code": "refused"}})
                return
        await self._app(scope, receive, send)


def _is_local(place: str) -> bool:
    try:
        return urlsplit(place).hostname in _LOCAL
    except ValueError:
        return False


# --- answers of the guard itself --------------------------------------------------------------------------------------

_Form = Callable[..., dict[str, Any]]


def _openai(status: int, message: str, code: str, **more: Any) -> dict[str, Any]:  # noqa: ARG001 -- as the other
    return {"error": {"message": message, "type": "guardrail", "code": code, **more}}


def _anthropic(status: int, message: str, code: str, **more: Any) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "api_error"
    return {"type": "error", "error": {"type": kind, "message": message, "code": code, **more}}


async def _refuse(send: Send, verdict: Verdict, form: _Form) -> None:
    failed = verdict.status in {"error", "timeout"}
    status, code = (503, "guardrail_unavailable") if failed else (400, "guardrail_blocked")
    more: dict[str, Any] = {"param": verdict.stage}
    if verdict.escalation:
        more["escalation"] = verdict.escalation
    await answer_json(send, status, form(status, verdict.message, code, **more))
