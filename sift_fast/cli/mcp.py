"""`sift-fast mcp`: a guard between a client of the Model Context Protocol and a server, over pipes or HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from typing import TYPE_CHECKING

import click

from sift_fast.cli._server import Listening, context_of, listen_options, secret, trusted
from sift_fast.cli.app import CLEAN
from sift_fast.errors import ConfigError

if TYPE_CHECKING:
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.protocols.mcp import McpGuard
    from sift_fast.guard.protocols.mcp_stdio import Lines
    from sift_fast.guard.verdict import RequestContext

__all__ = ["mcp"]

#: Most bytes of one message.
_MAX_MESSAGE = 16 << 20


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--config", "path", default="sift.toml", show_default=True, help="The guard's configuration.")
@click.option("--pins", help="JSON file with the hashes of tool definitions; made when it is not there.")
@click.option("--frozen", is_flag=True, help="Tools without a pin are dropped.")
@click.option("--tenant", default="default", show_default=True, help="Tenant of the calls.")
@click.option("--role", default="user", show_default=True, help="Role of the calls.")
@click.option("--upstream", metavar="URL", help="A server over HTTP, offered here under the same path.")
@listen_options
@click.argument("command", nargs=-1)
def mcp(
    path: str,
    pins: str | None,
    frozen: bool,
    tenant: str,
    role: str,
    upstream: str | None,
    command: tuple[str, ...],
    listening: Listening,
) -> int:
    """Run COMMAND, a server of the Model Context Protocol, and check what passes between it and standard input; or
    stand in front of one over streamable HTTP, which needs `pip install httpx2 uvicorn`.

    Calls and results are checked like those of any tool; tools whose definition changes or reads like an attack are
    not offered. Write `--` before the command. All options from --unix on are for servers over HTTP.
    """
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.protocols.mcp import McpGuard
    from sift_fast.guard.verdict import RequestContext

    if bool(command) == (upstream is not None):
        raise click.UsageError("give either a COMMAND, behind `--`, or --upstream")
    known = _read(pins)
    with Guard.open(path) as guard:
        try:
            if upstream is not None:
                given = RequestContext(tenant=tenant, role=role)
                _serve(guard, given, upstream, listening, known, None if frozen else pins, learn=not frozen)
                return CLEAN
            context = RequestContext(tenant=tenant, role=role, conversation=f"mcp-{os.getpid()}")
            return asyncio.run(_run(McpGuard(guard, context, pins=known, learn=not frozen), command))
        finally:
            if pins is not None and not frozen:
                _write(pins, known)


def _serve(
    guard: Guard,
    given: RequestContext,
    url: str,
    listening: Listening,
    known: dict[str, str],
    pins: str | None,
    *,
    learn: bool,
) -> None:
    """Stand in front of a server over HTTP until told to stop."""
    from urllib.parse import urlsplit

    from sift_fast.cli._upstream import Upstream
    from sift_fast.guard.protocols.mcp_http import McpGate
    from sift_fast.guard.protocols.service import Door

    parts = urlsplit(url)
    place = parts.path.rstrip("/") or "/"
    upstream = Upstream(
        f"{parts.scheme}://{parts.netloc}",
        lambda _method, path: (path.rstrip("/") or "/") == place,
        key=secret(listening.upstream_key_env),
        timeout_s=listening.upstream_timeout,
        verify=trusted(listening.upstream_ca),
    )
    gate = McpGate(
        upstream,
        guard,
        context=context_of(given, believe=listening.context_headers),
        pins=known,
        learn=learn,
        save=None if pins is None else lambda found: _write(pins, found),
    )
    listening.run(Door(gate, upstream, token=listening.token()), guard)


async def _run(checks: McpGuard, command: tuple[str, ...]) -> int:
    from sift_fast.guard.protocols.mcp_stdio import Proxy

    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_MAX_MESSAGE
    )
    assert process.stdin is not None  # noqa: S101 -- asked for above
    assert process.stdout is not None  # noqa: S101 -- asked for above
    reader = await _standard_input()

    def write(line: bytes) -> None:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    try:
        await Proxy(checks).run(reader, write, process.stdin, process.stdout)
        return await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


class _File:
    """Standard input where it is a file or the null device: always ready, which no event loop can wait for."""

    async def readline(self) -> bytes:
        line: bytes = await asyncio.to_thread(sys.stdin.buffer.readline, _MAX_MESSAGE + 1)
        if len(line) > _MAX_MESSAGE:
            raise ConfigError(f"a message on standard input has more than {_MAX_MESSAGE} bytes")
        return line


async def _standard_input() -> Lines:
    mode = os.fstat(sys.stdin.fileno()).st_mode
    if stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(sys.stdin.fileno())):
        return _File()
    reader = asyncio.StreamReader(limit=_MAX_MESSAGE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def _read(name: str | None) -> dict[str, str]:
    if name is None or not os.path.exists(name):
        return {}
    try:
        with open(name, encoding="utf-8") as file:
            pins = json.load(file)
    except ValueError:
        pins = None
    if not isinstance(pins, dict) or not all(isinstance(pin, str) for pin in pins.values()):
        raise ConfigError("the file of pins must be a JSON object of strings")
    return pins


def _write(name: str, pins: dict[str, str]) -> None:
    # Beside it and over it: a crash leaves the old pins.
    with open(f"{name}.new", "w", encoding="utf-8") as file:
        json.dump(pins, file, indent=2, sort_keys=True)
        file.write("\n")
    os.replace(f"{name}.new", name)
