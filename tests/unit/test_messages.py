"""Messages that a new user met and that did not say what to do next."""

from __future__ import annotations

import copy
import pickle

import pytest
from click.testing import CliRunner

import sift_fast as sf
from sift_fast.cli.app import cli


@pytest.mark.parametrize("make", [pickle.dumps, copy.copy, lambda it: pickle.dumps(it.scan)])
def test_a_scanner_is_made_in_each_process(scanner, make):
    with pytest.raises(TypeError, match="make one in each process"):
        make(scanner)


def test_who_asks_is_said(scanner):
    guard = sf.Guard({"version": 1})
    for check in (guard.check_input_sync, guard.check_output_sync):
        with pytest.raises(TypeError, match="give a RequestContext"):
            check("a text", None)
    with pytest.raises(TypeError, match="give a RequestContext"):
        guard.check_tool_output_sync("tool", "a text", None)


def test_a_name_with_a_dash(tmp_path):
    ran = CliRunner().invoke(cli, ["scan", "-dash.txt"])
    assert ran.exit_code == 2
    assert "`./-name`" in ran.output
    assert ran.output.count("\n") == 1


def test_files_that_are_not_there(tmp_path):
    """Elsewhere an entity is what a rule finds; "entity not found" said nothing."""
    with pytest.raises(sf.RuleError, match="there is no such file: check the path"):
        sf.Scanner(rule_files=[tmp_path / "absent.toml"])
    with pytest.raises(sf.StateUnavailable, match="cannot be read: there is no such file or folder"):
        sf.Vault.load(tmp_path / "absent.vault", bytes(range(32)))
    (tmp_path / "latin.toml").write_bytes("# caf\xe9\n".encode("latin-1"))
    with pytest.raises(sf.RuleError, match="not UTF-8"):
        sf.Scanner(rule_files=[tmp_path / "latin.toml"])


def test_a_name_that_is_no_rule_set():
    with pytest.raises(
        sf.RuleError, match=r"^there is no rule set `secrets,pii`: give several names as a list; choose"
    ):
        sf.Scanner("secrets,pii")


def test_a_batch_of_a_mapping_would_be_of_its_keys(scanner, token):
    with pytest.raises(TypeError, match=r"give `\.values\(\)`") as raised:
        scanner.scan_batch({"id": token})
    assert token not in str(raised.value)
    assert len(scanner.scan_batch({"id": token}.values())[0]) == 1


@pytest.mark.parametrize("value", [{"a": 1}, [1]])
def test_containers_have_a_method_of_their_own(scanner, value):
    with pytest.raises(TypeError, match="for containers there is `redact_json`"):
        scanner.redact(value)
    with pytest.raises(TypeError, match=r"not `int`$"):
        scanner.redact(3)


def test_a_stream_remembers_what_ended_it(scanner):
    stream = scanner.stream()
    with pytest.raises(TypeError):
        stream.feed(1)
    for call in (lambda: stream.feed("a"), stream.finish):
        with pytest.raises(sf.SiftError, match="an earlier call raised TypeError"):
            call()
    stream.abort()
    ended = scanner.stream()
    ended.finish()
    with pytest.raises(sf.SiftError, match="is finished"):
        ended.feed("a")
    dropped = scanner.stream()
    dropped.abort()
    for _ in range(2):
        with pytest.raises(sf.SiftError, match=r"discarded$"):
            dropped.feed("a")


def test_a_file_that_is_too_long_names_the_option(tmp_path):
    (tmp_path / "long.txt").write_text("a" * 100)
    (tmp_path / "wide.txt").write_bytes("a text".encode("utf-16-le"))
    ran = CliRunner().invoke(cli, ["scan", str(tmp_path / "long.txt"), str(tmp_path / "wide.txt"), "--max-size", "10"])
    assert ran.exit_code == 2
    assert "more than `--max-size` allows" in ran.output
    assert "UTF-16 without a byte order mark" in ran.output


def test_what_is_ignored_is_counted(tmp_path, token):
    (tmp_path / ".ignore").write_text(".env\nbuild/\n")
    (tmp_path / "build").mkdir()
    (tmp_path / ".env").write_text(f"TOKEN={token}\n")
    ran = CliRunner().invoke(cli, ["scan", str(tmp_path)])
    assert ran.exit_code == 0
    assert "2 ignored files and folders not read (see --no-ignore)" in ran.output
    ran = CliRunner().invoke(cli, ["scan", str(tmp_path), "--no-ignore"])
    assert ran.exit_code == 1
    assert "not read" not in ran.output
