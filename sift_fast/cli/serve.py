"""`sift-fast serve`: the guard as a service beside an application, or in front of a model."""

from __future__ import annotations

import click

from sift_fast.cli._server import Listening, context_of, listen_options, secret, trusted
from sift_fast.cli.app import CLEAN

__all__ = ["serve"]


@click.command()
@click.option("--config", "path", default="sift.toml", show_default=True, help="The guard's configuration.")
@click.option("--max-requests", default=256, show_default=True, help="Most requests at a time.")
@click.option("--max-body", default=16, show_default=True, help="Most MiB of a request or of an answer in one piece.")
@click.option("--upstream", metavar="URL", help="A model's server: its API is offered here, guarded both ways.")
@click.option("--tenant", default="default", show_default=True, help="Tenant of requests to the model.")
@click.option("--role", default="user", show_default=True, help="Role of requests to the model.")
@listen_options
def serve(
    path: str,
    max_requests: int,
    max_body: int,
    upstream: str | None,
    tenant: str,
    role: str,
    listening: Listening,
) -> int:
    """Serve the guard over HTTP, until it is told to stop. Needs `pip install 'sift-fast[serve]'`.

    With --upstream it is also a reverse proxy for chat/completions, completions, responses and messages: nothing that
    is blocked, or could not be checked, reaches the model or the client. SIGHUP reads the configuration again.

    An address that others can reach needs a token and TLS: texts pass here before they are redacted.
    """
    from sift_fast.guard.guard import Guard
    from sift_fast.guard.protocols.gate import PATHS
    from sift_fast.guard.protocols.service import Service
    from sift_fast.guard.protocols.upstream import Upstream, is_model_api
    from sift_fast.guard.verdict import RequestContext

    token, key = listening.token(), secret(listening.upstream_key_env)
    guard = Guard.open(path)
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
