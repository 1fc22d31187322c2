"""A server behind the guard: an ASGI application that asks another server, and sends what that server answers.

Asks once and follows nothing: no retries, no redirects, no proxies or passwords from the environment. Reads from the
server as fast as the client takes it, and stops as soon as nobody reads any more. Needs `httpx2`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sift_fast.errors import ConfigError
from sift_fast.guard.protocols.answer import answer_json
from sift_fast.guard.protocols.gate import UpstreamBroken

if TYPE_CHECKING:
    from sift_fast.guard.protocols.answer import Message, Receive, Send

__all__ = ["Upstream", "is_model_api"]

#: Belong to one connection, or are written anew.
_LEFT = frozenset(
    {
        b"accept-encoding", b"connection", b"content-length", b"expect", b"host", b"keep-alive",
        b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer", b"transfer-encoding",
        b"upgrade",
    }
)  # fmt: skip
_KEYS = frozenset({b"authorization", b"x-api-key", b"api-key"})
#: Other characters, and segments of dots, might name another place there than here.
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~:@+-]+)+")
#: What a client of these APIs may be told beside an answer; whatever else a server says there, nobody has read.
_TOLD = re.compile(
    rb"content-type|cache-control|date|mcp-session-id|mcp-protocol-version|request-id|retry-after(?:-ms)?|www-authenticate"
    rb"|x-request-id|x-should-retry|(?:anthropic|x)-ratelimit-[a-z-]{1,60}|openai-(?:processing-ms|version)"
)
_VALUE = re.compile(rb"[ -~]{0,256}")
#: What may stand behind a path: of an address the application at the other end takes anything for a text.
_QUERY = re.compile(r"(?:api-version|beta|limit|after_id|before_id)=[A-Za-z0-9._-]{1,64}")
#: Lists of models hold no text of anybody.
_MODELS = re.compile(r".*/models(?:/[^/]+)?")


def is_model_api(method: str, path: str, ends: Iterable[str]) -> bool:
    """Whether a request belongs to a model's API: a POST to one of the ends of paths, or a look at its models."""
    if method == "GET":
        return _MODELS.fullmatch(path) is not None
    # Under a thread a message is a turn by itself, in a shape that no gate reads.
    return method == "POST" and path.rstrip("/").endswith(tuple(ends)) and "/threads" not in path


class Upstream:
    """An ASGI application in front of a server.

    Args:
        url: of the server, in front of the paths that clients ask for.
        passes: whether a request, by its method and path, goes through.
        key: replaces the key that a client sends; None to pass on the client's.
        timeout_s: seconds until the first byte of an answer, and between two.
        connect_s: seconds until there is a connection.
        connections: most of them.
        verify: an `ssl.SSLContext`; None for the certificates that the system trusts.
        transport: for tests.

    Raises:
        ConfigError: `url` is no HTTP address, or httpx2 is not installed.
    """

    def __init__(
        self,
        url: str,
        passes: Callable[[str, str], bool],
        *,
        key: str | None = None,
        timeout_s: float = 600.0,
        connect_s: float = 10.0,
        connections: int = 256,
        verify: Any = None,
        transport: Any = None,
    ) -> None:
        try:
            import httpx2
        except ImportError:
            raise ConfigError("asking a server needs httpx2: `pip install httpx2`") from None
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username is not None:
            raise ConfigError("the address of the server must be http:// or https://, without a user and a query")
        self._url = url.rstrip("/")
        self._passes = passes
        self._key = key
        self._http = httpx2
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(timeout_s, connect=connect_s, pool=connect_s),
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
            verify=True if verify is None else verify,
            transport=transport,
            follow_redirects=False,
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises:
            UpstreamBroken: the server broke off in the middle of its answer.
        """
        path, method = str(scope["path"]), scope["method"]
        if not _PATH.fullmatch(path.rstrip("/") or "/x") or not self._passes(method, path):
            await answer_json(send, 404, _error("this path is not passed on", "not_found"))
            return
        body = (await receive()).get("body", b"") if method == "POST" else b""
        query = scope.get("query_string", b"").decode("ascii", "replace")
        query = "&".join(part for part in query.split("&") if _QUERY.fullmatch(part))
        url = f"{self._url}{path}{'?' if query else ''}{query}"
        request = self._client.build_request(method, url, headers=self._headers(scope), content=body)
        work = asyncio.ensure_future(self._copy(request, send))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            work.cancel()
            gone.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _copy(self, request: Any, send: Send) -> None:
        http = self._http
        try:
            response = await self._client.send(request, stream=True)
        except http.TimeoutException:
            await answer_json(send, 504, _error("the server behind did not answer in time", "upstream_timeout"))
            return
        except http.HTTPError:
            await answer_json(send, 502, _error("the server behind cannot be reached", "upstream_unavailable"))
            return
        try:
            if 300 <= response.status_code < 400:
                await answer_json(send, 502, _error("the server behind names another place", "upstream_unavailable"))
                return
            named = {name.strip().lower().encode() for name in response.headers.get("connection", "").split(",")}
            headers = [
                (name.lower(), value)
                for name, value in response.headers.raw
                if name.lower() not in named and _TOLD.fullmatch(name.lower()) and _VALUE.fullmatch(value)
            ]
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for data in response.aiter_raw():
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except http.HTTPError:
            raise UpstreamBroken from None
        finally:
            await response.aclose()

    def _headers(self, scope: Message) -> list[tuple[bytes, bytes]]:
        given = [(name.lower(), value) for name, value in scope["headers"]]
        left = {part.strip().lower() for name, value in given if name == b"connection" for part in value.split(b",")}
        left |= _LEFT if self._key is None else _LEFT | _KEYS
        out = [(name, value) for name, value in given if name not in left and not name.startswith(b"x-sift-")]
        out.append((b"accept-encoding", b"identity"))
        if self._key is not None:
            # Each API has its own place for it; Anthropic's also wants its version, which its clients send.
            anthropic = "/messages" in scope["path"]
            name, value = ("x-api-key", self._key) if anthropic else ("authorization", f"Bearer {self._key}")
            out.append((name.encode(), value.encode()))
        return out


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _error(message: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "upstream", "code": code}}
