"""`sift-fast serve`: the guard as a service beside an application, or in front of a model."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import click

from sift_fast.cli.app import CLEAN
from sift_fast.errors import SiftError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sift_fast.guard.guard import Guard
    from sift_fast.guard.verdict import RequestContext

__all__ = ["serve"]

_LOCAL = {"127.0.0.1", "::1", "localhost"}
_CONTEXT = ("tenant", "role", "user", "conversation", "state", "trace-id")


@click.command()
@click.option("--config", "path", default="sift.toml", show_default=True, help="The guard's configuration.")
@click.option("--unix", help="A Unix socket to listen on, instead of an address.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8787, show_default=True, help="The port; 0 takes a free one.")
@click.option("--token-env", help="Environment variable with the token that callers must send.")
@click.option("--tls-cert", type=click.Path(exists=True), help="Certificate, PEM.")
@click.option("--tls-key", type=click.Path(exists=True), help="Its key, PEM.")
@click.option("--max-requests", default=256, show_default=True, help="Most requests at a time.")
@click.option("--max-body", default=16, show_default=True, help="Most MiB of a request or of an answer in one piece.")
@click.option("--upstream", metavar="URL", help="A model's server: its API is offered here, guarded both ways.")
@click.option("--upstream-key-env", help="Environment variable with the key for it; without, clients' keys go on.")
@click.option("--upstream-timeout", default=600.0, show_default=True, help="Seconds to wait for it.")
@click.option("--upstream-ca", type=click.Path(exists=True), help="Certificates to trust for it, PEM.")
@click.option("--tenant", default="default", show_default=True, help="Tenant of requests to the model.")
@click.option("--role", default="user", show_default=True, help="Role of requests to the model.")
@click.option("--context-headers", is_flag=True, help="Believe callers who they ask for: X-Sift-Tenant, -Role, ...")
def serve(
    path: str,
    unix: str | None,
    host: str,
    port: int,
    token_env: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    max_requests: int,
    max_body: int,
    upstream: str | None,
    upstream_key_env: str | None,
    upstream_timeout: float,
    upstream_ca: str | None,
    tenant: str,
    role: str,
    context_headers: bool,
) -> int:
    """Serve the guard over HTTP, until it is told to stop. Needs `pip install 'sift-fast[serve]'`.

    With --upstream it is also a reverse proxy for chat/completions, completions, responses and messages: nothing that
    is blocked, or could not be checked, reaches the model or the client. SIGHUP reads the configuration again.

    An address that others can reach needs a token and TLS: texts pass here before they are redacted.
    """
    token, key = _secret(token_env), _secret(upstream_key_env)
    local = unix is not None or host in _LOCAL
    if not local and (token is None or tls_cert is None):
        raise click.UsageError("an address that others can reach needs --token-env and --tls-cert")
    try:
        import uvicorn
    except ImportError:
        raise click.UsageError("this command needs uvicorn: `pip install 'sift-fast[serve]'`") from None
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.protocols.gate import PATHS
    from sift_fast.guard.protocols.service import Service
    from sift_fast.guard.protocols.upstream import Upstream
    from sift_fast.guard.verdict import RequestContext

    guard = Guard.open(path)
    model = None
    if upstream is not None:
        model = Upstream(
            upstream, PATHS, key=key, timeout_s=upstream_timeout, connections=max_requests, verify=_trusted(upstream_ca)
        )
    application = Service(
        guard,
        token=token,
        max_body=max_body << 20,
        max_requests=max_requests,
        upstream=model,
        context=_context(RequestContext(tenant=tenant, role=role), believe=context_headers),
    )
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        uds=unix,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=30,
    )
    signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=_reload, args=(guard,)).start())
    _announcing(uvicorn.Server)(config).run()
    return CLEAN


def _secret(variable: str | None) -> str | None:
    value = os.environ.get(variable) if variable else None
    if variable and not value:
        raise click.UsageError(f"the environment variable `{variable}` is not set")
    return value


def _trusted(file: str | None) -> Any:
    import ssl

    return None if file is None else ssl.create_default_context(cafile=file)


def _context(given: RequestContext, *, believe: bool) -> Callable[[Any], RequestContext]:
    """Who asks: what the command line says, or, if callers are believed, what they say."""
    from sift_fast.guard.verdict import RequestContext

    def of(scope: Any) -> RequestContext:
        if not believe:
            return given
        headers = {name.lower(): value.decode("utf-8") for name, value in scope["headers"] if value}
        said = {name.replace("-", "_"): headers.get(f"x-sift-{name}".encode()) for name in _CONTEXT}
        told = {name: value for name, value in said.items() if value is not None}
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
