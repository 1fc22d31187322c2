"""Servers of the Model Context Protocol (mcp 2.x): a guard as middleware in the server's own process.

    server = MCPServer("name", middleware=[SiftMiddleware(Guard.open("sift.toml"), context)])

For servers of others there is `sift-fast mcp`, over pipes and over HTTP.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from sift_fast.guard.protocols.mcp import McpGuard, unseen

if TYPE_CHECKING:
    from sift_fast.guard import Guard, RequestContext

__all__ = ["SiftMiddleware"]

_CHECKED = {"tools/list", "tools/call", "resources/read", "prompts/get"}


class SiftMiddleware:
    """A guard around every request of a server.

    Args:
        guard: decides.
        context: on whose behalf: a `RequestContext`, or a function of the server's request context.
        pins: hashes of tool definitions, as for `McpGuard`.
        learn: as for `McpGuard`.
    """

    def __init__(
        self,
        guard: Guard,
        context: RequestContext | Callable[[Any], RequestContext],
        *,
        pins: dict[str, str] | None = None,
        learn: bool = True,
    ) -> None:
        self._guard = guard
        self._context = context
        self._pins = {} if pins is None else pins
        self._learn = learn
        self._dropped = unseen(self._pins)

    async def __call__(self, ctx: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        """Check one request and its result."""
        if ctx.method not in _CHECKED:
            return await call_next(ctx)
        context = self._context(ctx) if callable(self._context) else self._context
        checks = McpGuard(self._guard, context, pins=self._pins, learn=self._learn, dropped=self._dropped)
        params = dict(ctx.params or {})
        if ctx.method == "tools/call":
            params, refused = await checks.call(params)
            if refused is not None:
                return refused
            ctx = dataclasses.replace(ctx, params=params)
        result = await call_next(ctx)
        if hasattr(result, "model_dump"):
            result = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        return await checks.result(ctx.method, params, result or {})
