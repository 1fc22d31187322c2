"""The guard as a service, a pure ASGI application: for applications in other languages, and for LiteLLM's proxy.

    POST /v1/check/{input,output,retrieval,tool_input,tool_output}
    POST /beta/litellm_basic_guardrail_api      LiteLLM's generic guardrail
    POST /v1/reload      GET /health /ready /metrics

With `upstream` it also stands in front of a model: requests of the APIs in `gate` go there, guarded both ways.
`sift-fast serve` runs it.
"""

from __future__ import annotations

import hmac
import json
import secrets
from typing import TYPE_CHECKING, Any

from sift_fast.errors import ConfigError, SiftError
from sift_fast.guard.protocols.answer import answer_json
from sift_fast.guard.protocols.gate import Gate, TooLarge, UpstreamBroken, read_body
from sift_fast.guard.protocols.litellm import LiteLlmGuard
from sift_fast.guard.protocols.openai import Blocked
from sift_fast.guard.verdict import FAILED, RequestContext, is_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_fast.guard.guard import Guard
    from sift_fast.guard.protocols.answer import Message
    from sift_fast.guard.verdict import Verdict

__all__ = ["Door", "Service"]

_OWN = {"/health", "/ready", "/metrics", "/v1/reload", "/beta/litellm_basic_guardrail_api"}
_TOKENS = {b"authorization", b"x-api-key", b"x-sift-token"}
_FIELDS = ("tenant", "role", "user", "conversation", "trace_id", "model", "model_version", "state")


#: Seconds within which a request must have come.
_BODY_S = 60.0
#: Texts of one request of LiteLLM's.
_MOST_TEXTS = 20_000


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Door:
    """Asks for a token and counts callers, in front of another application.

    Args:
        app: the application.
        upstream: what is closed in the end.
        token: what callers must send as a bearer token; None for none.
        max_requests: most requests at a time, streams among them; more are told to come back.
    """

    def __init__(self, app: Any, upstream: Any, *, token: str | None = None, max_requests: int = 1024) -> None:
        self._app = app
        self._upstream = upstream
        self._token = token
        self._places = max_requests
        self._running = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send, self._upstream)
            return
        if scope["type"] == "http" and scope["path"] == "/health":
            await answer_json(send, 200, {"status": "ok"})
            return
        if self._running >= self._places:
            await answer_json(send, 503, {"error": {"message": "too many requests at a time", "code": "refused"}})
            return
        self._running += 1
        try:
            await self._app(authenticated(scope, self._token), receive, send)
        except _Refused as refused:
            await answer_json(send, refused.status, {"error": {"message": str(refused), "code": "refused"}})
        except UpstreamBroken:
            # Nothing can be said any more to who reads the stream; that it ends says it.
            return
        finally:
            self._running -= 1


def authenticated(scope: Any, token: str | None) -> Any:
    """The scope without our token: no other server has to know it."""
    if token is None:
        return scope
    kept, known = [], False
    for name, value in scope["headers"]:
        # Where clients of the APIs put a key, and a place of our own for those who send the model's key too.
        given = value.removeprefix(b"Bearer ") if name.lower() == b"authorization" else value
        if name.lower() in _TOKENS and hmac.compare_digest(given, token.encode()):
            known = True
        else:
            kept.append((name, value))
    if not known:
        raise _Refused(401, "the token is missing or wrong")
    return {**scope, "headers": kept}


class Service:
    """An ASGI application around a guard.

    Args:
        guard: decides.
        token: what callers must send as a bearer token; None for none, behind a Unix socket.
        max_body: most bytes of a request.
        max_requests: most requests at a time; more are told to come back.
        upstream: an ASGI application that asks a model; None for none.
        context: who asks a model, from the ASGI scope.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        token: str | None = None,
        max_body: int = 16 << 20,
        max_requests: int = 256,
        upstream: Any = None,
        context: Callable[[Message], RequestContext] = lambda _scope: RequestContext(),
    ) -> None:
        self._guard = guard
        self._token = token
        self._most = max_body
        self._places = max_requests
        self._running = 0
        self._litellm = LiteLlmGuard(guard)
        self._upstream = upstream
        self._gate = None if upstream is None else Gate(upstream, guard, context=context, max_body=max_body)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send, self._upstream)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        more: list[tuple[bytes, bytes]] = []
        try:
            if self._running >= self._places and scope["path"] != "/health":
                more.append((b"retry-after", b"1"))
                raise _Refused(503, "too many requests at a time")
            self._running += 1
            try:
                if self._gate is not None and not self._own(scope):
                    await self._gate(authenticated(scope, self._token), receive, send)
                    return
                status, answer = await self._route(scope, receive)
            finally:
                self._running -= 1
        except _Refused as refused:
            status, answer = refused.status, {"error": {"message": str(refused), "code": "refused"}}
        except SiftError as error:
            status, answer = 503, {"error": {"message": str(error), "code": "guardrail_unavailable"}}
        except UpstreamBroken:
            # The gate has said so.
            return
        kind, data = b"application/json", json.dumps(answer).encode()
        if isinstance(answer, str):
            kind, data = b"text/plain; version=0.0.4", answer.encode()
        headers = [(b"content-type", kind), (b"content-length", str(len(data)).encode()), *more]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    def _own(self, scope: Any) -> bool:
        path = scope["path"]
        return path in _OWN or path.startswith("/v1/check/")

    async def _route(self, scope: Any, receive: Any) -> tuple[int, Any]:
        path, method = scope["path"], scope["method"]
        if method == "GET" and path == "/health":
            return 200, {"status": "ok"}
        authenticated(scope, self._token)
        if method == "GET" and path == "/ready":
            # A check that goes through everything but the network.
            context = RequestContext(conversation=f"ready-{secrets.token_hex(8)}")
            try:
                verdict = await self._guard.check_input("ready?", context)
            finally:
                self._guard.forget(context.tenant, context.conversation or "")
            return (503 if verdict.status in FAILED else 200), {"policy_version": verdict.policy_version}
        if method == "GET" and path == "/metrics":
            return 200, self._guard.metrics.prometheus()
        if method != "POST":
            raise _Refused(404, "there is nothing here")
        if path == "/v1/reload":
            import asyncio

            return 200, {"policy_version": await asyncio.to_thread(self._guard.reload)}
        document = await self._document(receive)
        if path == "/beta/litellm_basic_guardrail_api":
            return 200, await self._guardrail(document)
        if path.startswith("/v1/check/"):
            return 200, _shown(await self._check(path.removeprefix("/v1/check/"), document))
        raise _Refused(404, "there is nothing here")

    async def _document(self, receive: Any) -> dict[str, Any]:
        try:
            body = await read_body(receive, self._most, _BODY_S)
        except TooLarge:
            raise _Refused(413, "the request is too large") from None
        except TimeoutError:
            raise _Refused(408, "the request did not come in time") from None
        try:
            document = json.loads(body or b"")
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise _Refused(400, "the request must be a JSON object")
        return document

    async def _check(self, stage: str, document: dict[str, Any]) -> Verdict:
        given = document.get("context", {})
        if not isinstance(given, dict) or set(given) - set(_FIELDS):
            raise _Refused(400, f"`context` must be an object and may have {', '.join(_FIELDS)}")
        try:
            context = RequestContext(**given)
        except ConfigError as error:
            raise _Refused(400, str(error)) from None
        try:
            if stage == "input":
                return await self._guard.check_input(document["text"], context)
            if stage == "output":
                return await self._guard.check_output(document["text"], context)
            if stage == "retrieval":
                if not isinstance(document["documents"], list):
                    raise TypeError
                return await self._guard.check_retrieval(document["documents"], context)
            if stage == "tool_input":
                return await self._guard.check_tool_input(document["tool"], document["args"], context)
            if stage == "tool_output":
                return await self._guard.check_tool_output(document["tool"], document["result"], context)
        except (KeyError, TypeError):
            raise _Refused(400, "a field is missing or has the wrong type") from None
        raise _Refused(404, "there is no such stage")

    async def _guardrail(self, document: dict[str, Any]) -> dict[str, Any]:
        """LiteLLM's generic guardrail: texts and tool calls in, an action out."""
        data = _field(document, "request_data", dict, {})
        texts = _texts(document)
        calls = _field(document, "tool_calls", list, [])
        if document.get("input_type") not in {"request", "response"}:
            raise _Refused(400, "`input_type` is `request` or `response`")
        context = RequestContext(
            tenant=str(data.get("user_api_key_team_id") or data.get("user_api_key_org_id") or "default"),
            user=str(data.get("user_api_key_end_user_id") or "") or None,
            conversation=str(document.get("litellm_trace_id") or "") or None,
            # A header of the client's may say it.
            trace_id=named if is_id(named := str(document.get("litellm_call_id") or "")) else None,
        )
        more: dict[str, Any] = {}
        try:
            if document.get("input_type") == "request":
                out = await self._litellm.asked(texts, document.get("structured_messages"), context)
            else:
                out, held = await self._litellm.answered(texts, context)
                more = {"stream_holdback_chars": held} if held else {}
                # An answer of this API has no place for calls: what would be edited does not go on.
                await self._litellm.calls(calls, context, edit=False)
        except Blocked as blocked:
            return {"action": "BLOCKED", "blocked_reason": blocked.verdict.message}
        except (AttributeError, KeyError, TypeError, ValueError):
            raise _Refused(400, "a field has the wrong type") from None
        return {"action": "NONE" if out == texts else "GUARDRAIL_INTERVENED", "texts": out, **more}


def _field(document: dict[str, Any], name: str, kind: type[Any], default: Any) -> Any:
    value = document.get(name)
    if not isinstance(value, kind | None):
        raise _Refused(400, f"`{name}` has the wrong type")
    return default if value is None else value


def _texts(document: dict[str, Any]) -> list[str]:
    texts = _field(document, "texts", list, [])
    if not all(isinstance(text, str) for text in texts):
        raise _Refused(400, "`texts` has the wrong type")
    if len(texts) > _MOST_TEXTS:
        raise _Refused(413, f"the request has more than {_MOST_TEXTS} texts")
    return texts  # type: ignore[no-any-return]


def _shown(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON. Text that may go on is in it, text that may not is not."""
    return {
        "decision": verdict.decision,
        "allowed": verdict.allowed,
        "status": verdict.status,
        "reason": verdict.reason,
        "message": verdict.message,
        "text": verdict.text,
        "value": verdict.value,
        "documents": [
            {"text": each.text, "metadata": dict(each.metadata), "id": each.id} for each in verdict.documents
        ],
        "kept": list(verdict.kept),
        "dropped": verdict.dropped,
        "labels": {path: list(sources) for path, sources in verdict.labels.items()},
        "escalation": verdict.escalation,
        "receipt": verdict.receipt,
        "policy_id": verdict.policy_id,
        "policy_version": verdict.policy_version,
        "latency_us": verdict.latency_us,
    }


async def _lifespan(receive: Any, send: Any, upstream: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.shutdown" and upstream is not None:
            await upstream.aclose()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
