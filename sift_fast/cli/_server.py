"""What `serve` and `mcp` have in common: where they listen, who may call, and how they end."""

from __future__ import annotations

import contextlib
import functools
import grp
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from sift_fast.errors import SiftError

if TYPE_CHECKING:
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.verdict import RequestContext

__all__ = ["Listening", "context_of", "listen_options", "secret", "trusted"]

_LOCAL = {"127.0.0.1", "::1", "localhost"}
_CONTEXT = ("tenant", "role", "user", "conversation", "state", "trace-id")
_OPTIONS = (
    click.option("--unix", help="A Unix socket to listen on, instead of an address; for this user alone."),
    click.option("--unix-group", help="A group whose members may connect to it as well."),
    click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on."),
    click.option("--port", default=8787, show_default=True, help="The port; 0 takes a free one."),
    click.option("--token-env", help="Environment variable with the token that callers must send."),
    click.option("--tls-cert", type=click.Path(exists=True), help="Certificate, PEM."),
    click.option("--tls-key", type=click.Path(exists=True), help="Its key, PEM."),
    click.option("--context-headers", is_flag=True, help="Believe callers who they ask for: X-Sift-Tenant, -Role, ..."),
    click.option("--upstream-key-env", help="Environment variable with the key for it; without, clients' keys go on."),
    click.option("--upstream-timeout", default=600.0, show_default=True, help="Seconds to wait for it."),
    click.option("--upstream-ca", type=click.Path(exists=True), help="Certificates to trust for it, PEM."),
)


def listen_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of a command that listens; they arrive in one `Listening`."""

    @functools.wraps(command)
    def gathered(**given: Any) -> Any:
        listening = Listening(**{name: given.pop(name) for name in Listening._fields})
        return command(listening=listening, **given)

    wrapped: Callable[..., Any] = gathered
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


class Listening(NamedTuple):
    """Where a command listens, and what it may ask behind itself."""

    unix: str | None
    unix_group: str | None
    host: str
    port: int
    token_env: str | None
    tls_cert: str | None
    tls_key: str | None
    context_headers: bool
    upstream_key_env: str | None
    upstream_timeout: float
    upstream_ca: str | None

    def token(self) -> str | None:
        """What callers must send.

        Raises:
            UsageError: there is none, and the address is one that others can reach.
        """
        token = secret(self.token_env)
        local = self.unix is not None or self.host in _LOCAL
        if not local and (token is None or self.tls_cert is None):
            raise click.UsageError("an address that others can reach needs --token-env and --tls-cert")
        return token

    def run(self, application: Any, guard: Guard) -> None:
        """Serve until it is told to stop; SIGHUP reads the configuration again."""
        try:
            import uvicorn
        except ImportError:
            raise click.UsageError("this needs uvicorn: `pip install uvicorn`") from None
        from sift_fast.guard.protocols.gate import LocalOnly

        if self.unix is None and self.token_env is None:
            # Without a token, being a local program is all that a caller can show.
            application = LocalOnly(application)
        config = uvicorn.Config(
            application,
            host=self.host,
            port=self.port,
            ssl_certfile=self.tls_cert,
            ssl_keyfile=self.tls_key,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=30,
        )
        signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=_reload, args=(guard,)).start())
        server = _announcing(uvicorn.Server)(config)
        if self.unix is None:
            server.run()
            return
        with _unix(self.unix, self.unix_group) as socket:
            server.run(sockets=[socket])


@contextlib.contextmanager
def _unix(path: str, group: str | None) -> Iterator[Any]:
    """A socket that others than this user, and a group, cannot connect to at any moment; gone at the end.

    Raises:
        UsageError: it cannot be made, or there is no such group.
    """
    import socket
    import stat

    try:
        number = -1 if group is None else grp.getgrnam(group).gr_gid
    except KeyError:
        raise click.UsageError(f"there is no group `{group}`") from None
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Of an earlier run; what is no socket is not touched.
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                os.unlink(path)
        old = os.umask(0o177)
        try:
            made.bind(path)
        finally:
            os.umask(old)
        if group is not None:
            os.chown(path, -1, number)
            os.chmod(path, 0o660)
    except OSError as error:
        made.close()
        raise click.UsageError(f"the socket cannot be made: {(error.strerror or 'not possible').lower()}") from None
    try:
        yield made
    finally:
        made.close()
        with contextlib.suppress(OSError):
            os.unlink(path)


def secret(variable: str | None) -> str | None:
    """The value of an environment variable that was named.

    Raises:
        UsageError: it is not set.
    """
    value = os.environ.get(variable) if variable else None
    if variable and not value:
        raise click.UsageError(f"the environment variable `{variable}` is not set")
    return value


def trusted(file: str | None) -> Any:
    """An SSL context that trusts the certificates of a file; None for those of the system."""
    import ssl

    return None if file is None else ssl.create_default_context(cafile=file)


def context_of(given: RequestContext, *, believe: bool) -> Callable[[Any], RequestContext]:
    """Who asks: what the command line says, or, if callers are believed, what they say."""
    from sift_fast.guard.verdict import RequestContext

    names = {f"x-sift-{name}".encode(): name.replace("-", "_") for name in _CONTEXT}

    def of(scope: Any) -> RequestContext:
        if not believe:
            return given
        told: dict[str, str] = {}
        for name, value in scope["headers"]:
            key = names.get(name.lower())
            if key is None:
                continue
            # Two of them, or an empty one: whoever says it does not know who asks.
            if key in told or not value.strip():
                raise ValueError("a context header is empty or there twice")
            told[key] = value.decode("utf-8")
        return RequestContext(**{"tenant": given.tenant, "role": given.role, **told})

    return of


def _reload(guard: Guard) -> None:
    try:
        click.echo(f"reloaded: {guard.reload()}", err=True)
    except SiftError as error:
        click.echo(f"not reloaded, the old configuration stays: {error}", err=True)


def _announcing(server: type[Any]) -> type[Any]:
    """A server that says where it listens once it does: the port may have been chosen by the system."""

    class Announcing(server):  # type: ignore[misc]
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            for listener in getattr(self, "servers", ()):
                for socket in listener.sockets:
                    name = socket.getsockname()
                    place = name if isinstance(name, str) else f"{name[0]}:{name[1]}"
                    click.echo(f"listening on {place}", err=True)

    return Announcing
