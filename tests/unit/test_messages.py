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
