"""A guard for the integrations, and what must come out the same through each of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from sift_fast import _core
from sift_fast.guard import Guard, RequestContext

# Helpers beside the tests, under a name of their own: nothing of the source tree is on the path.
for _name in ("streams", "drivers"):
    _spec = importlib.util.spec_from_file_location(f"guard_{_name}", Path(__file__).with_name(f"{_name}.py"))
    _module = sys.modules[f"guard_{_name}"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(_module)

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
