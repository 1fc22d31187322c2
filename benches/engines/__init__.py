"""One runner per engine. Each is imported only when a definition asks for it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from benches.engines.base import Runner, StreamEngine
from benches.errors import BenchError

#: name -> module and function that builds the runner from a list of our rule sets.
RUNNERS = {
    "sift_fast": ("sift_fast", "runner"),
    "sift_fast_decoding": ("sift_fast", "runner_decoding"),
    "sift_fast_default": ("sift_fast", "runner_default"),
    "sift_fast_pii": ("sift_fast", "runner_pii"),
    "sift_fast_shared": ("sift_fast", "runner_shared"),
    "sift_fast_presidio": ("sift_fast", "runner_presidio"),
    "kingfisher": ("kingfisher", "runner_plain"),
    "kingfisher_defaults": ("kingfisher", "runner_defaults"),
    "detect_secrets": ("detect_secrets", "runner"),
    "re": ("python_re", "runner"),
    "re_gated": ("python_re", "runner_gated"),
    "litellm_patterns": ("litellm", "runner"),
    "litellm_shared": ("litellm", "runner_shared"),
    "presidio": ("presidio", "runner"),
    "presidio_defaults": ("presidio", "runner_defaults"),
}

STREAMS = {
    "sift_fast": ("sift_fast", "stream"),
    "sift_fast_kinds": ("sift_fast", "stream_kinds"),
    "langchain": ("langchain", "stream"),
    "litellm": ("litellm", "stream"),
}

#: Packages to install beside our wheel so that nothing is left out.
REQUIREMENTS = (
    "kingfisher-secret-scanner",
    "detect-secrets",
    "langchain",
    "litellm",
    "fastapi",
    "presidio-analyzer",
    "presidio-anonymizer",
)


def open_runner(name: str, rules: Sequence[str]) -> Runner:
    """Build the engine `name`; raises `EngineMissing` when it is not installed."""
    if name not in RUNNERS:
        raise BenchError(f"no engine is called `{name}`; there are {', '.join(sorted(RUNNERS))}")
    module, function = RUNNERS[name]
    runner: Runner = getattr(importlib.import_module(f"benches.engines.{module}"), function)(rules)
    return runner


def open_stream(name: str, rules: Sequence[str]) -> StreamEngine:
    """Build the stream engine `name`; raises `EngineMissing` when it is not installed."""
    if name not in STREAMS:
        raise BenchError(f"no stream engine is called `{name}`; there are {', '.join(sorted(STREAMS))}")
    module, function = STREAMS[name]
    engine: StreamEngine = getattr(importlib.import_module(f"benches.engines.{module}"), function)(rules)
    return engine
