"""Fixtures of the command-line tests: fakes from a seed, the command in this process and as its users have it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

#: A rule with a fixed prefix and a checksum, and its entity type.
TOKEN_RULE, TOKEN = "secret.github.fine-grained-pat", "GITHUB_FINE_GRAINED_PAT"
#: A second rule, of the same severity but another shape.
OTHER_RULE = "secret.anthropic.api-key"


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        """Standard output, line by line."""
        return self.out.decode().splitlines()


Invoke = Callable[..., Ran]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """The command in this process: quick, and blind to signals and real pipes."""
    from sift_fast.cli.app import cli

    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments: str | Path, stdin: bytes | None = None) -> Ran:
        result = CliRunner().invoke(cli, [str(word) for word in arguments], input=stdin, prog_name="sift-fast")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout_bytes, result.stderr)

    return call


@pytest.fixture(scope="session")
def program() -> str:
    """The installed console script of this interpreter."""
    found = shutil.which("sift-fast", path=str(Path(sys.executable).parent))
    assert found, "the console script is not installed beside this interpreter: install the wheel"
    return found


@pytest.fixture
def command(program: str, tmp_path: Path) -> Invoke:
    """The command as a process of its own, in an empty folder."""

    def call(*arguments: str | bytes | Path, stdin: bytes | None = b"", cwd: Path | None = None, **extra: Any) -> Ran:
        extra = {"env": environment(), "timeout": 120, **extra}
        done = subprocess.run(
            [program, *arguments], input=stdin, capture_output=True, cwd=cwd or tmp_path, check=False, **extra
        )
        return Ran(done.returncode, done.stdout, done.stderr.decode())

    return call


def environment(**more: str) -> dict[str, str]:
    """The environment of a test's process: this one's, without what would colour or widen the output."""
    kept = {key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "COLUMNS", "PYTHONPATH")}
    return {**kept, "NO_COLOR": "1", **more}


def fakes(rule: str, number: int, seed: int = 1) -> list[str]:
    """Secrets that a rule finds, made from a seed. They open nothing."""
    from sift_fast import _core

    made: list[str] = _core.generate(rule, seed, number, ["default"], [])
    assert len(set(made)) == number
    return made


@pytest.fixture(scope="session")
def secret() -> str:
    """One fake token."""
    return fakes(TOKEN_RULE, 1)[0]


@pytest.fixture
def tree(tmp_path: Path, secret: str) -> Path:
    """A folder with one finding at src/app.py:2:10, and a clean file."""
    folder = tmp_path / "tree"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "app.py").write_text(f"import os\ntoken = '{secret}'\nprint(os.name)\n")
    (folder / "README.md").write_text("nothing to see here\n")
    return folder


def assert_silent(ran: Ran, *secrets: str) -> None:
    """No part of a secret in anything that was printed; eight bytes in a row would be a part."""
    text = ran.out.decode("utf-8", "replace") + ran.err
    for value in secrets:
        random_part = value[-24:]
        parts = (random_part[at : at + 8] for at in range(len(random_part) - 7))
        # The text itself stays out of the report of a failure.
        if any(part in text for part in parts):
            pytest.fail("a part of a secret was printed", pytrace=False)
