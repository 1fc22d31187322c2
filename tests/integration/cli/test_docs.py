"""docs/cli.md: each command in it runs, as it stands there, and ends with a documented exit code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import environment

DOCUMENT = Path(__file__).parents[3] / "docs" / "cli.md"
HOWTO = DOCUMENT.with_name("rules-howto.md")
RECEIPTS = Path(__file__).parents[2] / "data" / "ledger"
LINES = [
    line.removeprefix("$ ")
    for block in re.findall(r"^```console\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
COMMANDS = {"verify", "scan", "redact", "explain", "rules", "bench", "calibrate"}


def test_the_document_has_commands() -> None:
    assert len(LINES) > 12
    assert {line.split("sift-fast ")[1].split()[0] for line in LINES} == COMMANDS


@pytest.mark.parametrize("line", LINES)
def test_a_command_of_the_document(line: str, tree: Path, secret: str) -> None:
    if "git" in line:
        if shutil.which("git") is None:
            pytest.skip("the command needs git")
        subprocess.run(["git", "init", "-q", "."], cwd=tree, check=True)
    (tree / "docs").mkdir()
    (tree / "governance").mkdir()
    own_rule(tree)
    (tree / "prompts.jsonl").write_text('{"text": "nothing"}\n')
    for kept, name in (
        ("keys.toml", "governance/keys.toml"),
        ("checkpoint", "checkpoint-of-last-year"),
        ("signed.json", "refund.json"),
        ("signed.tlog-proof", "refund.tlog-proof"),
    ):
        shutil.copyfile(RECEIPTS / kept, tree / name)
    shutil.copytree(RECEIPTS / "ledger", tree / "governance" / "state" / "ledger")
    for name in ("chat.txt", "app.log"):
        (tree / name).write_text(f"my token is {secret}, thanks\n")
    search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    if "--baseline" in line:
        assert _shell(line.replace("--baseline", "--write-baseline"), tree, search).returncode == 0
    done = _shell(line, tree, search)
    assert b"Traceback" not in done.stderr
    if b"debug build" in done.stderr:
        pytest.skip("a debug build measures nothing")
    expected = 0
    if " scan " in line and "baseline" not in line and not line.startswith("git diff"):
        expected = 1
    if " explain " in line:
        expected = 1
    assert done.returncode == expected, done.stderr.decode()
    assert secret.encode() not in done.stdout + done.stderr


def block(page: Path, language: str, holding: str) -> str:
    """The one block of a page that holds these words."""
    (found,) = [
        text
        for text in re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        if holding in text
    ]
    return found


def own_rule(folder: Path) -> None:
    """The rule of rules-howto.md, and the cases of cli.md: one story over two pages."""
    (folder / "acme.toml").write_text(block(HOWTO, "toml", "[[rule]]"))
    (folder / "cases.toml").write_text(block(DOCUMENT, "toml", "[[case]]"))


def test_writing_a_rule(tree: Path) -> None:
    own_rule(tree)
    search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    lines = [line.partition("#")[0] for line in block(HOWTO, "sh", "acme.toml").splitlines()]
    assert [line.split()[1] for line in lines] == ["rules", "rules", "scan"]
    for line in lines:
        done = _shell(line, tree, search)
        # The tree has a finding.
        assert done.returncode == int(" scan " in line), done.stderr.decode()
    program = block(HOWTO, "python", "acme.toml")
    assert subprocess.run([sys.executable, "-P", "-c", program], cwd=tree, check=False).returncode == 0


def _shell(line: str, cwd: Path, search: str) -> subprocess.CompletedProcess[bytes]:
    # With its pipe, as a reader would type it.
    return subprocess.run(
        ["/bin/sh", "-c", line], cwd=cwd, env=environment(PATH=search), capture_output=True, check=False
    )
