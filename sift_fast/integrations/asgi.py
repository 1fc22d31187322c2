"""Pure ASGI middleware for services that speak OpenAI's or Anthropic's API: a guard before and behind the model.

    app.add_middleware(SiftMiddleware, guard=Guard.open("sift.toml"), context=context_of)

It reads the bodies of the paths it is told, answers what is blocked itself, in the form of the API, and lets everything
else through untouched. Streams are checked while they pass: of chat, completions, responses and messages.
"""

from sift_fast.guard.protocols.gate import Gate

__all__ = ["SiftMiddleware"]


class SiftMiddleware(Gate):
    """A guard around an ASGI application, under the name and with the arguments that frameworks expect.

    Args:
        app: the application.
        guard: decides.
        context: who asks, from the ASGI scope: take it from what the service has authenticated, never from the body.
        paths: ends of the paths that are guarded.
        max_body: most bytes of a request or of an answer that is not streamed.
        body_timeout_s: seconds within which a request must have come.
    """
