"""`bench`: measures what it says it measures, and refuses a build that would say nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Invoke


@pytest.fixture
def corpus(tmp_path: Path, secret: str) -> Path:
    """A megabyte of words with two findings in it, and a binary file."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    words = "some words and no secret at all, twenty times over\n" * 10_000
    (folder / "a.txt").write_text(f"{secret}\n{words}")
    (folder / "b.txt").write_text(f"{words}{secret}\n")
    (folder / "c.bin").write_bytes(b"\0" * 1000)
    return folder


def test_numbers(command: Invoke, corpus: Path) -> None:
    from sift_fast import _core

    ran = command("bench", corpus, "--seconds", "0.02", "--format", "json")
    if _core.build_info()["profile"] != "release":
        assert ran.code == 2
        assert "debug build" in ran.err
        return
    assert ran.code == 0, ran.err
    result = json.loads(ran.out)
    assert {row["files"] for row in result["trees"]} == {2}
    assert {row["findings"] for row in result["trees"]} == {2}
    assert {row["bytes"] for row in result["trees"]} == {
        sum((corpus / name).stat().st_size for name in ("a.txt", "b.txt"))
    }
    assert [row["size"] for row in result["calls"]] == [200, 1000, 4096, 16384, 65536]
    for row in result["calls"]:
        assert 0 < row["p50_us"] <= row["p95_us"] <= row["p99_us"]
        assert row["calls"] > 0
    # The first token lies in the first piece of every size; the last piece of a file may be cut off.
    assert all(1 <= row["findings"] <= 2 for row in result["calls"])


def test_table(command: Invoke, corpus: Path) -> None:
    ran = command("bench", corpus, "--seconds", "0.01", "--unit", "bytes")
    if ran.code == 2:
        assert "debug build" in ran.err
        return
    assert ran.code == 0
    assert any("P50 us" in line for line in ran.lines)
    assert "scan(bytes)" in ran.err


def test_a_debug_build_is_refused(invoke: Invoke, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sift_fast import _core

    info = {**_core.build_info(), "profile": "debug"}
    monkeypatch.setattr(_core, "build_info", lambda: info)
    for arguments in (["bench", corpus], ["rules", "cost", "--corpus", corpus]):
        ran = invoke(*arguments)
        assert (ran.code, ran.out) == (2, b"")
        assert "debug build" in ran.err


def test_nothing_to_measure(command: Invoke, tmp_path: Path) -> None:
    ran = command("bench", tmp_path / "nowhere")
    assert ran.code == 2
