"""`sift-fast serve`: the guard as a service beside an application."""

from __future__ import annotations

import os

import click

from sift_fast.cli.app import CLEAN

__all__ = ["serve"]


@click.command()
@click.option("--config", "path", default="sift.toml", show_default=True, help="The guard's configuration.")
@click.option("--unix", help="A Unix socket to listen on, instead of an address.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8787, show_default=True, help="The port.")
@click.option("--token-env", help="Environment variable with the token that callers must send.")
@click.option("--tls-cert", type=click.Path(exists=True), help="Certificate, PEM.")
@click.option("--tls-key", type=click.Path(exists=True), help="Its key, PEM.")
@click.option("--max-requests", default=256, show_default=True, help="Most requests at a time.")
def serve(
    path: str,
    unix: str | None,
    host: str,
    port: int,
    token_env: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    max_requests: int,
) -> int:
    """Serve the guard over HTTP, until it is told to stop. Needs `pip install uvicorn`.

    An address that others can reach needs a token and TLS: texts pass here before they are redacted.
    """
    token = os.environ.get(token_env) if token_env else None
    if token_env and not token:
        raise click.UsageError(f"the environment variable `{token_env}` is not set")
    local = unix is not None or host in {"127.0.0.1", "::1", "localhost"}
    if not local and (token is None or tls_cert is None):
        raise click.UsageError("an address that others can reach needs --token-env and --tls-cert")
    try:
        import uvicorn
    except ImportError:
        raise click.UsageError("this command needs uvicorn: `pip install uvicorn`") from None
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.protocols.service import Service

    application = Service(Guard.open(path), token=token, max_requests=max_requests)
    uvicorn.run(
        application,
        host=host,
        port=port,
        uds=unix,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
        log_level="warning",
        access_log=False,
        server_header=False,
    )
    return CLEAN
