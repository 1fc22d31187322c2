"""A scanner and fake secrets for the tests of threads, processes and signals."""

from __future__ import annotations

import pytest

import sift_fast as sf
from sift_fast import _core


@pytest.fixture(scope="session")
def scanner() -> sf.Scanner:
    return sf.Scanner()


@pytest.fixture(scope="session")
def tokens() -> list[str]:
    """Fake GitHub tokens, the same in every run."""
    return _core.generate("secret.github.token", 7, 40, ["secrets"])
