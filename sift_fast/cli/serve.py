"""`sift-fast serve`: the guard as a service or in front of a model, or an action kernel behind a Unix socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sift_fast.cli._output import say
from sift_fast.cli._server import Listening, context_of, listen_options, secret, trusted
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
@click.option("--max-requests", default=256, show_default=True, help="Most requests at a time.")
@click.option("--max-body", default=16, show_default=True, help="Most MiB of a request or of an answer in one piece.")
@click.option("--upstream", metavar="URL", help="A model's server: its API is offered here, guarded both ways.")
@click.option("--tenant", default="default", show_default=True, help="Tenant of requests to the model.")
@click.option("--role", default="user", show_default=True, help="Role of requests to the model.")
@listen_options
def serve(
    path: str,
    folder: str | None,
    max_requests: int,
    max_body: int,
    upstream: str | None,
    tenant: str,
    role: str,
    listening: Listening,
) -> int:
    """Serve the guard over HTTP, until it is told to stop. Needs `pip install httpx2 uvicorn`.

    With --upstream it is also a reverse proxy for chat/completions, completions, responses and messages: nothing that
    is blocked, or could not be checked, reaches the model or the client. SIGHUP reads the configuration again.

    An address that others can reach needs a token and TLS: texts pass here before they are redacted.

    With --kernel, serve an action kernel whose settings say `mode = "socket"`, as a user that agents are not. Who may
    connect is in its settings, as is the socket unless --unix names one. SIGHUP reads policies and keys again.
    """
    if folder is not None:
        context = click.get_current_context()
        given = {
            parameter.opts[0]
            for parameter in context.command.params
            if context.get_parameter_source(parameter.name) is click.core.ParameterSource.COMMANDLINE
        }
        if others := sorted(given - {"--kernel", "--unix"}):
            raise click.UsageError(f"`{others[0]}` is for the guard: a kernel has its settings in kernel.toml")
        return _serve_kernel(folder, listening.unix)
    from sift_fast.cli._upstream import Upstream, is_model_api
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.protocols.gate import PATHS
    from sift_fast.guard.protocols.service import Service
    from sift_fast.guard.verdict import RequestContext

    token, key = listening.token(), secret(listening.upstream_key_env)
    with Guard.open(path) as guard:
        model = None
        if upstream is not None:
            model = Upstream(
                upstream,
                lambda method, asked: is_model_api(method, asked, PATHS),
                key=key,
                timeout_s=listening.upstream_timeout,
                connections=max_requests,
                verify=trusted(listening.upstream_ca),
            )
        application = Service(
            guard,
            token=token,
            max_body=max_body << 20,
            max_requests=max_requests,
            upstream=model,
            context=context_of(RequestContext(tenant=tenant, role=role), believe=listening.context_headers),
        )
        listening.run(application, guard)
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
