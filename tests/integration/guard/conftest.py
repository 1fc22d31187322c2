"""A guard for the integrations, and what must come out the same through each of them."""

from __future__ import annotations

import pytest

from sift_fast import _core
from sift_fast.guard import Guard, RequestContext

TABLES = {
    "version": 1,
    "preset": "agent",
    "tools": {"send": {"roles": ["support"]}, "web": {}},
    "guardrails": {"words": {"words": ["project falcon"], "on_violation": "block"}},
}


@pytest.fixture
def guard() -> Guard:
    return Guard(TABLES)


@pytest.fixture
def context() -> RequestContext:
    return RequestContext(tenant="acme", role="support", conversation="c1")


@pytest.fixture(scope="session")
def secret() -> str:
    return _core.generate("secret.github.token", 23, 1, ["secrets"])[0]
