"""`sift-fast serve`: the guard as a service beside an application, or an action kernel behind a Unix socket."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from sift_fast.cli._output import say
from sift_fast.cli.app import CLEAN

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["serve"]


EPILOG = """\b
Examples:
  sift-fast serve --config sift.toml --unix /run/sift-fast/guard.sock
  sift-fast serve --kernel /etc/sift-fast/governance --unix /run/sift-fast/kernel.sock"""


@click.command(epilog=EPILOG)
@click.option("--config", "path", default="sift.toml", show_default=True, help="The guard's configuration.")
@click.option("--kernel", "folder", metavar="DIR", help="Serve the action kernel of this folder, and no guard.")
@click.option("--unix", help="A Unix socket to listen on, instead of an address.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8787, show_default=True, help="The port.")
@click.option("--token-env", help="Environment variable with the token that callers must send.")
@click.option("--tls-cert", type=click.Path(exists=True), help="Certificate, PEM.")
@click.option("--tls-key", type=click.Path(exists=True), help="Its key, PEM.")
@click.option("--max-requests", default=256, show_default=True, help="Most requests at a time.")
@click.pass_context
def serve(
    context: click.Context,
    path: str,
    folder: str | None,
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

    With --kernel, serve an action kernel whose settings say `mode = "socket"`, as a user that agents are not. Who may
    connect is in its settings, as is the socket unless --unix names one. SIGHUP reads policies and keys again.
    """
    if folder is not None:
        given = {
            parameter.opts[0]
            for parameter in context.command.params
            if context.get_parameter_source(parameter.name) is click.core.ParameterSource.COMMANDLINE
        }
        if others := sorted(given - {"--kernel", "--unix"}):
            raise click.UsageError(f"`{others[0]}` is for the guard: a kernel has its settings in kernel.toml")
        return _serve_kernel(folder, unix)
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


def _serve_kernel(folder: str, unix: str | None) -> int:
    import queue
    import signal

    from sift_fast import kernel
    from sift_fast.errors import SiftError

    # Signals only put their number here: what they ask for is done outside the handler. This queue takes that.
    told: queue.SimpleQueue[int] = queue.SimpleQueue()

    def tell(number: int, _frame: FrameType | None) -> None:
        told.put(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, tell)
    server = kernel.serve(folder, socket=unix)
    try:
        say(f"kernel {server.audience} listens at {server.path}\n")
        while told.get() == signal.SIGHUP:
            try:
                server.reload()
            except SiftError as error:
                click.echo(f"not reloaded: {error}", err=True)
            else:
                say("policies, manifest and keys were read again\n")
    finally:
        server.stop()
    return CLEAN
