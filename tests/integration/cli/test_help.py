"""Help, version and start-up: what a user sees first."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .conftest import Invoke, environment
from .snapshot import TARGET, render


def test_help_is_as_documented() -> None:
    assert TARGET.read_text() == render(), "run `python tests/integration/cli/snapshot.py` and read the difference"


def test_every_command_has_examples() -> None:
    text = TARGET.read_text()
    for name in (
        "approvals",
        "authorize",
        "bench",
        "calibrate",
        "explain",
        "init",
        "keygen",
        "mediation",
        "redact",
        "rules",
        "scan",
    ):
        part = text.split(f"$ sift-fast {name} --help\n")[1].split("\n$ ")[0]
        assert "Examples:" in part, name


def test_version_tells_the_build(command: Invoke) -> None:
    from sift_fast import _core

    info = _core.build_info()
    ran = command("--version")
    assert ran.code == 0
    assert ran.err == ""
    for key in ("version", "profile", "engine", "cpu_level", "target"):
        assert str(info[key]) in ran.out.decode()


def test_no_arguments_show_help_and_are_misuse(command: Invoke) -> None:
    ran = command()
    assert ran.code == 2
    assert b"scan" in ran.out or "scan" in ran.err


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import sift_fast.cli", ("click", "rich", "numpy")),
        ("import sift_fast.cli.app", ("rich", "numpy", "sift_fast.cli.scan")),
        ("import sift_fast.cli.scan, sift_fast.cli.redact, sift_fast.cli.rules", ("rich", "numpy")),
    ],
)
def test_imports_are_lazy(statement: str, absent: tuple[str, ...]) -> None:
    probe = f"{statement}\nimport sys\nprint([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", probe], capture_output=True, check=True, env=environment())
    assert done.stdout.strip() == b"[]"


def test_a_scan_without_a_terminal_loads_no_rich(tmp_path: object) -> None:
    probe = (
        "import sys; from sift_fast.cli import main; code = main(['scan', '-q', sys.argv[1]]); "
        "print(code, 'rich' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", probe, str(tmp_path)], capture_output=True, check=True, env=environment()
    )
    assert done.stdout.strip() == b"0 False False"


def test_main_returns_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    from sift_fast.cli import main

    assert main(["--nope"]) == 2
    assert "nope" in capsys.readouterr().err


def test_as_a_module(tmp_path: object) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "sift_fast.cli", "scan", "-q", str(tmp_path)], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"")
