"""The guard as a service, a pure ASGI application: for applications in other languages, and for LiteLLM's proxy.

    POST /v1/check/{input,output,retrieval,tool_input,tool_output}
    POST /beta/litellm_basic_guardrail_api      LiteLLM's generic guardrail
    POST /v1/reload      GET /health /ready /metrics

`sift-fast serve` runs it.
"""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any

from sift_fast.errors import SiftError
from sift_fast.guard.protocols.openai import Blocked, check_call
from sift_fast.guard.verdict import RequestContext

if TYPE_CHECKING:
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.verdict import Verdict

__all__ = ["Service"]

_FIELDS = ("tenant", "role", "user", "conversation", "trace_id", "model", "model_version", "state")


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Service:
    """An ASGI application around a guard.

    Args:
        guard: decides.
        token: what callers must send as a bearer token; None for none, behind a Unix socket.
        max_body: most bytes of a request.
        max_requests: most requests at a time; more are told to come back.
    """

    def __init__(
        self, guard: Guard, *, token: str | None = None, max_body: int = 16 << 20, max_requests: int = 256
    ) -> None:
        self._guard = guard
        self._token = token
        self._most = max_body
        self._places = max_requests
        self._running = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        kind = b"application/json"
        try:
            if self._running >= self._places:
                raise _Refused(503, "too many requests at a time")
            self._running += 1
            try:
                status, answer = await self._route(scope, receive)
            finally:
                self._running -= 1
        except _Refused as refused:
            status, answer = refused.status, {"error": str(refused)}
        except SiftError as error:
            status, answer = 503, {"error": str(error)}
        if isinstance(answer, str):
            kind, data = b"text/plain; version=0.0.4", answer.encode()
        else:
            data = json.dumps(answer).encode()
        headers = [(b"content-type", kind), (b"content-length", str(len(data)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    async def _route(self, scope: Any, receive: Any) -> tuple[int, Any]:
        path, method = scope["path"], scope["method"]
        if method == "GET" and path == "/health":
            return 200, {"status": "ok"}
        self._authenticate(scope)
        if method == "GET" and path == "/ready":
            # A check that goes through everything but the network.
            verdict = await self._guard.check_input("ready?", RequestContext())
            return (200 if verdict.status == "ok" else 503), {"policy_version": verdict.policy_version}
        if method == "GET" and path == "/metrics":
            return 200, self._guard.metrics.prometheus()
        if method != "POST":
            raise _Refused(404, "there is nothing here")
        if path == "/v1/reload":
            import asyncio

            return 200, {"policy_version": await asyncio.to_thread(self._guard.reload)}
        document = await self._document(receive)
        if path == "/beta/litellm_basic_guardrail_api":
            return 200, await self._litellm(document)
        if path.startswith("/v1/check/"):
            return 200, _shown(await self._check(path.removeprefix("/v1/check/"), document))
        raise _Refused(404, "there is nothing here")

    def _authenticate(self, scope: Any) -> None:
        if self._token is None:
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            raise _Refused(401, "the token is missing or wrong")

    async def _document(self, receive: Any) -> dict[str, Any]:
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False) and message["type"] == "http.request"
            if len(body) > self._most:
                raise _Refused(413, "the request is too large")
        try:
            document = json.loads(bytes(body))
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise _Refused(400, "the request must be a JSON object")
        return document

    async def _check(self, stage: str, document: dict[str, Any]) -> Verdict:
        given = document.get("context") or {}
        if not isinstance(given, dict) or set(given) - set(_FIELDS):
            raise _Refused(400, f"`context` may have {', '.join(_FIELDS)}")
        try:
            context = RequestContext(**given)
            if stage == "input":
                return await self._guard.check_input(document["text"], context)
            if stage == "output":
                return await self._guard.check_output(document["text"], context)
            if stage == "retrieval":
                return await self._guard.check_retrieval(document["documents"], context)
            if stage == "tool_input":
                return await self._guard.check_tool_input(document["tool"], document["args"], context)
            if stage == "tool_output":
                return await self._guard.check_tool_output(document["tool"], document["result"], context)
        except (KeyError, TypeError):
            raise _Refused(400, "a field is missing or has the wrong type") from None
        raise _Refused(404, "there is no such stage")

    async def _litellm(self, document: dict[str, Any]) -> dict[str, Any]:
        """LiteLLM's generic guardrail: texts and tool calls in, an action out."""
        data = document.get("request_data") or {}
        context = RequestContext(
            tenant=str(data.get("user_api_key_team_id") or data.get("user_api_key_org_id") or "default"),
            user=str(data.get("user_api_key_end_user_id") or "") or None,
            conversation=str(document.get("litellm_trace_id") or "") or None,
            trace_id=str(document.get("litellm_call_id") or "") or None,
        )
        asked = document.get("input_type") == "request"
        texts = [str(text) for text in document.get("texts") or ()]
        out: list[str] = []
        holds: list[int] = []
        try:
            for text in texts:
                if asked:
                    out.append(_allowed(await self._guard.check_input(text, context)).text or "")
                else:
                    stream = self._guard.stream_output((), context, say=False)
                    sure = stream.feed(text)
                    whole = sure + await stream.finish_async()
                    if stream.verdict is not None:
                        _allowed(stream.verdict)
                    out.append(whole)
                    holds.append(len(whole) - len(sure))
            for call in () if asked else document.get("tool_calls") or ():
                function = call["function"]
                arguments = await check_call(self._guard, function["name"], function["arguments"], context)
                if arguments != function["arguments"]:
                    raise _Refused(400, "the arguments of a tool call cannot be edited here")
        except Blocked as blocked:
            return {"action": "BLOCKED", "blocked_reason": blocked.verdict.message}
        except (KeyError, TypeError):
            raise _Refused(400, "a tool call has no name or no arguments") from None
        action = "NONE" if out == texts else "GUARDRAIL_INTERVENED"
        return {"action": action, "texts": out, **({"stream_holdback_chars": holds} if holds else {})}


def _allowed(verdict: Verdict) -> Verdict:
    if not verdict.allowed:
        raise Blocked(verdict)
    return verdict


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
        "policy_id": verdict.policy_id,
        "policy_version": verdict.policy_version,
        "latency_us": verdict.latency_us,
    }


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
