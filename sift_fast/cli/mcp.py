"""`sift-fast mcp`: a guard between a client of the Model Context Protocol and a server, over pipes or HTTP."""

from __future__ import annotations

import asyncio
import fcntl
import functools
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
    from collections.abc import Awaitable, Callable

    from sift_fast.guard.guard import Guard
    from sift_fast.guard.protocols.mcp import McpGuard
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
    save = None if pins is None or frozen else functools.partial(_write, pins)
    with Guard.open(path) as guard:
        if upstream is not None:
            _serve(guard, RequestContext(tenant=tenant, role=role), upstream, listening, known, save, learn=not frozen)
            return CLEAN
        context = RequestContext(tenant=tenant, role=role, conversation=f"mcp-{os.getpid()}")
        return asyncio.run(_run(McpGuard(guard, context, pins=known, learn=not frozen, save=save), command))


def _serve(
    guard: Guard,
    given: RequestContext,
    url: str,
    listening: Listening,
    known: dict[str, str],
    save: Callable[[dict[str, str]], None] | None,
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
        save=save,
    )
    listening.run(Door(gate, upstream, token=listening.token()), guard)


async def _run(checks: McpGuard, command: tuple[str, ...]) -> int:
    from sift_fast.guard.protocols.mcp_stdio import BoundedLines, Proxy

    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None  # noqa: S101 -- asked for above
    assert process.stdout is not None  # noqa: S101 -- asked for above
    reader = BoundedLines(await _standard_input(), _MAX_MESSAGE)

    def write(line: bytes) -> None:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    try:
        await Proxy(checks).run(reader, write, process.stdin, BoundedLines(process.stdout.read, _MAX_MESSAGE))
        return await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def _standard_input() -> Callable[[int], Awaitable[bytes]]:
    mode = os.fstat(sys.stdin.fileno()).st_mode
    if stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(sys.stdin.fileno())):
        # A file or the null device: always ready, which no event loop can wait for.
        return lambda most: asyncio.to_thread(os.read, sys.stdin.fileno(), most)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader.read


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
    """Add pins to those in the file: what another process has pinned meanwhile stays."""
    with open(f"{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Beside it and over it: a crash leaves the old pins.
        with open(f"{name}.new", "w", encoding="utf-8") as file:
            json.dump({**pins, **_read(name)}, file, indent=2, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{name}.new", name)
