"""Reports are whole or not there; interrupts, full disks and closed pipes end a command quietly and at once."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import TOKEN_RULE, Invoke, assert_silent, environment, fakes

FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")


def leftovers(folder: Path) -> list[str]:
    """Temporary files of a report."""
    return [path.name for path in folder.glob(".sift-fast-*")]


@pytest.mark.parametrize("form", ["text", "jsonl", "sarif"])
def test_output_to_a_file_is_what_standard_output_would_have_been(command: Invoke, tree: Path, form: str) -> None:
    printed = command("scan", "src", "--format", form, cwd=tree)
    written = command("scan", "src", "--format", form, "--output", "report", cwd=tree)
    assert (written.code, written.out) == (1, b"")
    report = (tree / "report").read_bytes()
    if form == "sarif":
        # Times differ.
        assert len(report) == len(printed.out)
    else:
        assert report == printed.out
    assert leftovers(tree) == []


def test_mode_owner_and_link_of_a_report_stay(command: Invoke, tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "kept"
    target.write_text("old")
    target.chmod(0o640)
    (tmp_path / "link").symlink_to(target)
    command("scan", tree, "--output", "link")
    assert (tmp_path / "link").is_symlink()
    assert target.read_bytes().startswith(os.fsencode(tree))
    assert target.stat().st_mode & 0o777 == 0o640
    command("scan", tree, "--output", "new", umask=0o027)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


@FULL
@pytest.mark.parametrize(
    "arguments",
    [("scan", "."), ("scan", ".", "--format", "sarif"), ("rules", "list"), ("redact", "src/app.py"), ("--help",)],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_standard_output(
    program: str, tree: Path, arguments: tuple[str, ...], unbuffered: str
) -> None:
    env = environment(PYTHONUNBUFFERED=unbuffered)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [program, *arguments], stdout=full, stderr=subprocess.PIPE, cwd=tree, env=env, check=False
        )
    assert done.returncode == 2
    assert b"no space left on device" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr


@FULL
@pytest.mark.parametrize("verb", ["scan", "redact"])
def test_a_full_device_named_as_output(command: Invoke, tree: Path, verb: str) -> None:
    ran = command(verb, "src/app.py", "--output", "/dev/full", cwd=tree)
    assert ran.code == 2
    assert "`/dev/full`: no space left on device" in ran.err


@pytest.mark.parametrize("verb", ["scan", "redact"])
def test_a_disk_that_fills_up_leaves_the_old_report(program: str, tree: Path, verb: str) -> None:
    """A limit on file size stands for the full disk: the same write fails in the same place."""
    import resource

    lines = "".join(f"{token}\n" for token in fakes(TOKEN_RULE, 400))
    (tree / "many.txt").write_text(lines)
    (tree / "report").write_text("old")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = subprocess.run(
        [program, verb, "many.txt", "--output", "report"],
        cwd=tree,
        capture_output=True,
        check=False,
        preexec_fn=limit,
    )
    assert done.returncode == 2
    assert b"`report`: file too large" in done.stderr
    assert (tree / "report").read_text() == "old"
    assert leftovers(tree) == []


def test_a_baseline_is_not_half_written_either(program: str, tree: Path) -> None:
    import resource

    (tree / "many.txt").write_text("".join(f"{token}\n" for token in fakes(TOKEN_RULE, 400)))

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = subprocess.run(
        [program, "scan", ".", "--write-baseline", "known.json"],
        cwd=tree,
        capture_output=True,
        check=False,
        preexec_fn=limit,
    )
    assert done.returncode == 2
    assert not (tree / "known.json").exists()
    assert leftovers(tree) == []


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_is_no_error(program: str, tmp_path: Path, unbuffered: str) -> None:
    """Unbuffered, standard output is a raw stream that may take a part of a write: that must not pass for all."""
    (tmp_path / "many.txt").write_text("".join(f"{token}\n" for token in fakes(TOKEN_RULE, 3000)))
    for arguments in (["scan", "many.txt"], ["redact", "many.txt"], ["scan", "--format", "sarif", "many.txt"]):
        process = subprocess.Popen(
            [program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environment(PYTHONUNBUFFERED=unbuffered),
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        assert process.wait(60) == 141, arguments
        assert err == b"", arguments


@pytest.fixture(scope="session")
def forest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many bytes that no scan ends before it is interrupted: hard links to one file of 12 MB."""
    folder = tmp_path_factory.mktemp("forest")
    first = folder / "0.txt"
    first.write_text("key = value and nothing else to see here\n" * 300_000)
    for number in range(1, 8000):
        os.link(first, folder / f"{number}.txt")
    return folder


@pytest.fixture
def started(program: str, forest: Path) -> Iterator[Any]:
    """Start the command in a process group of its own; ends what is left of it."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str | Path, **extra: Any) -> subprocess.Popen[bytes]:
        extra.setdefault("stdout", subprocess.PIPE)
        extra.setdefault("stderr", subprocess.PIPE)
        process = subprocess.Popen(
            [program, *map(str, arguments)], start_new_session=True, env=extra.pop("env", environment()), **extra
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_an_interrupt_ends_a_scan_at_once_and_leaves_nothing(started: Any, forest: Path, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("old")
    process = started(
        "scan", forest, "--no-ignore", "--output", tmp_path / "report", "--write-baseline", tmp_path / "known.json"
    )
    time.sleep(1.0)
    assert process.poll() is None, "the forest is too small: the scan ended before the interrupt"
    begun = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (out, err) == (b"", b"sift-fast: interrupted\n")
    # Not a measure of speed: waiting for the scan would take many times as long.
    assert time.monotonic() - begun < 10
    assert (tmp_path / "report").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_termination_cleans_up(started: Any, tmp_path: Path) -> None:
    process = started("redact", "--output", tmp_path / "out", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"text " * 50_000)
    process.stdin.flush()
    _until(lambda: leftovers(tmp_path) != [])
    process.terminate()
    assert process.wait(30) == 143
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_redaction_releases_nothing_held(started: Any, secret: str) -> None:
    process = started("redact", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"before " + secret[:-4].encode())
    process.stdin.flush()
    seen = os.read(process.stdout.fileno(), 1000)
    assert seen == b"before "
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == b""
    assert err == b"sift-fast: interrupted\n"


def _until(done: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def _in_terminal(program: str, arguments: list[str], env: dict[str, str], interrupt_at: bytes | None = None) -> bytes:
    """What a command writes on a terminal of its own, both streams; interrupted once it has shown `interrupt_at`."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [program, *arguments], stdin=follower, stdout=follower, stderr=follower, env=env, start_new_session=True
    )
    os.close(follower)
    seen = b""
    begun = time.monotonic()
    while time.monotonic() - begun < 60:
        ready, _, _ = select.select([leader], [], [], 0.1)
        if interrupt_at is not None and interrupt_at in seen:
            os.killpg(process.pid, signal.SIGINT)
            interrupt_at = None
        if ready:
            try:
                part = os.read(leader, 65536)
            except OSError:
                break
            if not part:
                break
            seen += part
    os.close(leader)
    process.wait(10)
    return seen


def test_colours_on_a_terminal_only_and_never_with_no_color(
    program: str, tree: Path, command: Invoke, secret: str
) -> None:
    plain = {key: value for key, value in environment(TERM="xterm-256color").items() if key != "NO_COLOR"}
    coloured = _in_terminal(program, ["scan", str(tree)], plain)
    assert b"\x1b[" in coloured
    assert b"\x1b[" not in _in_terminal(program, ["scan", str(tree)], {**plain, "NO_COLOR": "1"})
    assert b"\x1b[" not in _in_terminal(program, ["scan", str(tree)], {**plain, "TERM": "dumb"})
    assert b"\x1b[" not in command("scan", tree, env=plain).out
    assert secret[-20:].encode() not in coloured


def test_progress_is_drawn_on_a_terminal_only(program: str, forest: Path, started: Any) -> None:
    plain = {
        key: value for key, value in environment(TERM="xterm-256color", COLUMNS="120").items() if key != "NO_COLOR"
    }
    drawn = _in_terminal(program, ["scan", str(forest)], plain, interrupt_at=b"MB/s")
    assert b"MB/s" in drawn
    assert b"interrupted" in drawn
    process = started("scan", forest, env=plain)
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=30) == (b"", b"sift-fast: interrupted\n")


def test_nothing_of_a_secret_reaches_any_stream(command: Invoke, tree: Path, secret: str) -> None:
    for arguments in (
        ["scan", "."],
        ["scan", ".", "--format", "jsonl"],
        ["scan", ".", "--format", "sarif"],
        ["explain", "src/app.py"],
        ["explain", "src/app.py", "--format", "json"],
        ["redact", "src/app.py"],
        ["redact", "src/app.py", "--operator", "mask"],
        ["bench", ".", "--seconds", "0.01"],
    ):
        assert_silent(command(*arguments, cwd=tree), secret)
