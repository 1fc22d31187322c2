"""The set-up scripts where something is missing or wrong: one sentence, and what to type."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

#: Programs that the scripts use; cargo, compilers and apt are not among them.
BASICS = ("ar", "bash", "cat", "cut", "dirname", "env", "grep", "head", "id", "mktemp", "rm", "sed", "sort", "uname")


@pytest.fixture
def bare(tmp_path) -> Path:
    """A folder with the basic programs and nothing else, to be the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in BASICS:
        path = shutil.which(name)
        if path:
            (folder / name).symlink_to(path)
    return folder


def run(root: Path, script: str, path: Path | str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {"HOME": os.environ.get("HOME", "/"), "PATH": str(path)}
    return subprocess.run(
        ["bash", str(root / "scripts" / script)], env={**kept, **environment}, capture_output=True, text=True
    )


def test_a_missing_python_is_one_sentence(root, bare):
    done = run(root, "python.sh", bare)
    assert done.returncode == 1
    assert "no CPython 3.11 or newer was found" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_python_that_is_none_is_refused(root):
    done = run(root, "python.sh", os.environ["PATH"], PYTHON="false")
    assert done.returncode == 1
    assert "PYTHON names false" in done.stderr


def test_a_python_without_venv_says_what_to_type(root, bare):
    """Debian splits the module off; its own message comes late and is long."""
    fake = bare / "python3.11"
    # Exit 2 is what the check answers when a module is missing; the second call asks for the version.
    fake.write_text('#!/bin/sh\ncase "$3" in *ensurepip*) exit 2 ;; *) echo 3.11 ;; esac\n', encoding="utf-8")
    fake.chmod(0o755)
    (bare / "apt-get").symlink_to("/bin/true")
    done = run(root, "python.sh", bare)
    assert done.returncode == 1
    assert "apt-get install python3.11-venv" in done.stderr


def test_a_missing_cargo_is_one_sentence(root, bare):
    done = run(root, "wheel.sh", bare)
    assert done.returncode == 1
    assert "cargo was not found" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="elsewhere no archive is looked at")
def test_vectorscan_is_refused(root, tmp_path):
    """It installs a library of the same name, and misses matches."""
    (tmp_path / "libhs.a").write_bytes(b"!<arch>\nnoodle_engine.cpp.o/")
    done = run(root, "engine.sh", os.environ["PATH"], SIFT_HS_LIB_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "is Vectorscan, which misses matches" in done.stderr


def test_automata_may_be_asked_for(root, bare):
    done = run(root, "engine.sh", bare, SIFT_ENGINE="automata")
    assert (done.returncode, done.stderr) == (0, "")
    assert "automata" in done.stdout


def test_an_unknown_engine_is_refused(root, bare):
    done = run(root, "engine.sh", bare, SIFT_ENGINE="vectorscan")
    assert done.returncode == 1
    assert "`auto`, `hyperscan` or `automata`" in done.stderr


def test_every_target_is_described(root):
    """`make help` is the list that people see; a target without a line is not on it."""
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
    assert phony
    described = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert set(phony.group(1).replace("\\", "").split()) - described == {"install"}


@pytest.mark.parametrize("folder", ["scripts", ".ci"])
def test_scripts_can_be_run(root, folder):
    """The executable bit is lost easily, and then only `make` on another machine tells."""
    files = [path for path in (root / folder).iterdir() if path.suffix in {".sh", ""} and path.name != "lib.sh"]
    assert files
    assert [path.name for path in files if not os.access(path, os.X_OK)] == []
