"""The programs in README.md and the documents are whole: each runs as it stands there, in a new folder.

Commands that make the files a program reads are those of the page.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import sift_fast as sf
from sift_fast.cli.app import cli
from sift_fast.guard.config import PRESETS

ROOT = Path(__file__).parents[2]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def typed(page: str) -> list[list[str]]:
    """Commands of the page that make folders and files."""
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [
        line[1:] for line in words if line[:2] == ["sift-fast", "init"] or line[:3] == ["sift-fast", "config", "init"]
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(program: str, folder: Path) -> str:
    (folder / "program.py").write_text(program, encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "program.py"], cwd=folder, capture_output=True, text=True, env=environment, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def made(page: str) -> None:
    for line in typed(page):
        result = CliRunner().invoke(cli, line)
        assert result.exit_code == 0, result.output


def test_the_programs_of_the_readme(folder):
    made("README.md")
    first, second = blocks("README.md", "python")
    lines = run(first, folder).splitlines()
    # What the comment beside `redact` promises.
    assert "Refund <CREDIT_CARD> and write to <EMAIL_ADDRESS>." in first
    assert lines[-2:] == [
        "Refund <CREDIT_CARD> and write to <EMAIL_ADDRESS>.",
        "Done, I wrote to <EMAIL_ADDRESS>.",
    ]
    assert run(second, folder).splitlines() == ["block classifier.injection", "refund 500 allow"]
    assert "# block classifier.injection" in second


def test_the_programs_of_the_guard(folder):
    program, own, topics = blocks("docs/guard.md", "python")
    (folder / "sift.toml").write_text(blocks("docs/guard.md", "toml")[0])
    (folder / "topics.toml").write_text(blocks("docs/guard.md", "toml")[2])
    out = run(program, folder)
    assert "Order 17 was sent on Monday." in out
    assert "'state': 'sent'" in out
    run(f"import sift_fast as sf\n{own}", folder)
    said = run(topics, folder).strip()
    assert said.startswith("topics.resembles ")
    assert f"# {said}" in topics


def test_the_program_of_the_kernel(folder):
    made("docs/kernel.md")
    (program,) = blocks("docs/kernel.md", "python")
    run(program, folder)


def test_the_programs_of_the_classifier(folder):
    first, encoder, calibration = blocks("docs/injection.md", "python")
    (folder / "prompts.jsonl").write_text("".join(f'{{"text": "Where is parcel {n}?"}}\n' for n in range(50)))
    command = ["calibrate", "prompts.jsonl", "--model-version", "2025-06", "--output", "calibration.json"]
    assert CliRunner().invoke(cli, command).exit_code == 0
    run(f"{first}{calibration}", folder)
    if not (ROOT / "models" / "injection-encoder" / "manifest.toml").exists():
        pytest.skip("the weights of the encoder are not here")
    pytest.importorskip("onnxruntime")
    (folder / "models").symlink_to(ROOT / "models")
    run(first + encoder, folder)


def test_what_is_not_there_yet_names_the_command_that_makes_it(folder):
    with pytest.raises(sf.ConfigError, match="`sift-fast init`"):
        sf.Kernel.open("governance")
    with pytest.raises(sf.ConfigError, match="`sift-fast config init`"):
        sf.Guard.open("sift.toml")
    ran = CliRunner().invoke(cli, ["authorize", "governance", "--agent", "support-bot", "--tool", "refund"])
    assert ran.exit_code == 2
    assert "`sift-fast init`" in ran.output
    assert "os error" not in ran.output


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_config_init_writes_what_the_guard_opens(folder, preset):
    begun = CliRunner().invoke(cli, ["config", "init", "--preset", preset])
    assert begun.exit_code == 0, begun.output
    checked = CliRunner().invoke(cli, ["config", "check"])
    assert checked.exit_code == 0, checked.output
    assert f"policy `{preset}`" in checked.output
    with sf.Guard.open("sift.toml") as guard:
        assert guard.check_input_sync("Good morning", sf.RequestContext()).decision == "allow"
    canary = guard.config.guardrails["prompt_leak"].canaries[0]
    text = (folder / "sift.toml").read_text()
    assert text.count(canary) == 1
    # What is commented out holds when it is taken.
    taken = re.sub(r"^# (\[|on_|file|prompt_file)", r"\1", text, flags=re.MULTILINE)
    (folder / "prompt.txt").write_text("You are the helper of a shop. " * 4)
    (folder / "taken.toml").write_text(taken)
    assert sf.GuardConfig.load("taken.toml").guardrails["grounding"].on_violation == "block"
    assert "lookup" in sf.GuardConfig.load("taken.toml").tools


def test_config_init_leaves_a_file_alone(folder):
    (folder / "sift.toml").write_text("version = 1\n")
    again = CliRunner().invoke(cli, ["config", "init"])
    assert again.exit_code == 2
    assert "`sift.toml` is there already" in again.output
    assert (folder / "sift.toml").read_text() == "version = 1\n"
