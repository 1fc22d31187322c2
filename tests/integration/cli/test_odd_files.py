"""Files as they are found: odd names, no text, no permission, no end. None may stop a scan or speak for itself."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import TOKEN_RULE, Invoke, assert_silent, fakes

#: (name, how it is printed)
NAMES = [
    (b"with space", "with space"),
    (b"two\nlines", "two\\nlines"),
    (b"\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
    (b"bell\x07tab\t", "bell\\x07tab\\t"),
    (b"latin-\xe9", "latin-\\xe9"),
    ("unicode-é-名".encode(), "unicode-é-名"),
    ("right\u202eleft".encode(), "right\\u202eleft"),
    ("c1-\x9b31m".encode(), "c1-\\u009b31m"),
    (b"back\\slash", "back\\\\slash"),
    (b"-rf", "-rf"),
    (b"100%#?&", "100%#?&"),
]


@pytest.mark.parametrize(("name", "printed"), NAMES, ids=[printed for _, printed in NAMES])
def test_names_are_printed_safely_in_every_format(
    command: Invoke, tmp_path: Path, secret: str, name: bytes, printed: str
) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / os.fsdecode(name)).write_text(f"\n{secret}\n")
    text = command("scan", "tree")
    assert text.code == 1
    assert text.out.decode().startswith(f"tree/{printed}:2:1  ")
    assert text.out.count(b"\n") == 1
    for form in ("jsonl", "sarif"):
        ran = command("scan", "--format", form, "tree")
        assert ran.code == 1
        assert ran.out.isascii()
        assert not any(byte < 0x20 and byte != 0x0A for byte in ran.out)
        if form == "jsonl":
            row = json.loads(ran.out)
            path = bytes.fromhex(row["path_hex"]) if "path_hex" in row else row["path"].encode()
            assert path == b"tree/" + name


def test_an_unreadable_file_is_reported_and_the_scan_goes_on(program: str, tree: Path, secret: str) -> None:
    locked = tree / "src" / "locked\x1b[2J.py"
    locked.write_text(f"{secret}\n")
    locked.chmod(0)
    if os.geteuid() == 0 and not _can_drop_privileges():
        pytest.skip("root reads everything here, and may not give that up")
    done = subprocess.run(
        [program, "scan", "--format", "sarif", str(tree)],
        capture_output=True,
        check=False,
        preexec_fn=_drop_privileges if os.geteuid() == 0 else None,
    )
    assert done.returncode == 2
    assert b"locked\\x1b[2J.py` cannot be read: permission denied" in done.stderr
    assert b"1 unreadable" in done.stderr
    run = json.loads(done.stdout)["runs"][0]
    assert len(run["results"]) == 1
    assert run["invocations"][0]["executionSuccessful"] is False
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert "permission denied" in note["message"]["text"]
    assert "\x1b" not in note["message"]["text"]


def test_a_file_that_fails_while_it_is_read(command: Invoke, tree: Path) -> None:
    if not Path("/proc/self/mem").exists():
        pytest.skip("needs /proc: reading /proc/self/mem at 0 fails for everybody")
    ran = command("scan", "/proc/self/mem", tree)
    assert ran.code == 2
    assert "`/proc/self/mem` cannot be read" in ran.err
    assert len(ran.lines) == 1


def test_a_fifo_is_not_waited_for(command: Invoke, tree: Path) -> None:
    os.mkfifo(tree / "src" / "pipe")
    ran = command("scan", tree)
    assert ran.code == 1
    assert len(ran.lines) == 1


def test_a_device_and_a_socket_are_not_read(command: Invoke, tree: Path) -> None:
    import socket

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tree / "s"))
    try:
        assert command("scan", tree, timeout=20).code == 1
    finally:
        listener.close()
    # Endless: must be refused, not read.
    assert command("scan", "/dev/zero").code in (0, 2)


def test_binary_empty_and_long_files_are_skipped_and_counted(command: Invoke, tree: Path, secret: str) -> None:
    (tree / "program.bin").write_bytes(b"\x7fELF\0\0\0" + secret.encode())
    (tree / "empty").write_bytes(b"")
    (tree / "long.txt").write_text("x" * 2000 + secret)
    ran = command("scan", "--max-size", "1k", tree)
    assert ran.code == 1
    assert len(ran.lines) == 1
    assert "2 skipped" in ran.err
    assert "binary" in ran.err
    assert len(command("scan", "--max-size", "1M", tree).lines) == 2


def test_what_git_leaves_out_is_left_out(command: Invoke, tree: Path, secret: str) -> None:
    (tree / ".git").mkdir()
    (tree / ".git" / "config").write_text(secret)
    (tree / ".gitignore").write_text("*.log\n/build/\n")
    (tree / "debug.log").write_text(secret)
    (tree / "build").mkdir()
    (tree / "build" / "out.txt").write_text(secret)
    assert len(command("scan", tree).lines) == 1
    # A file that is named is meant.
    assert len(command("scan", tree / "debug.log").lines) == 1
    every = command("scan", "--no-ignore", tree)
    assert {line.split(":")[0].removeprefix(f"{tree}/") for line in every.lines} >= {
        "src/app.py",
        "debug.log",
        "build/out.txt",
    }


def test_links_are_not_followed_out_of_the_tree(command: Invoke, tree: Path, tmp_path: Path, secret: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(secret)
    (tree / "folder").symlink_to(outside)
    (tree / "round").symlink_to(tree)
    (tree / "dangling").symlink_to(tmp_path / "nowhere")
    ran = command("scan", tree)
    assert ran.code == 1
    assert len(ran.lines) == 1


def test_invalid_utf8_and_crlf(command: Invoke, tmp_path: Path) -> None:
    one, two = fakes(TOKEN_RULE, 2)
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x80 caf\xe9\r\n\xe9 " + one.encode() + b"\r\n" + two.encode())
    rows = [json.loads(line) for line in command("scan", "--format", "jsonl", "a.txt").lines]
    assert [(row["line"], row["start"]) for row in rows] == [(2, 12), (3, 12 + len(one) + 2)]
    assert rows[1]["column"] == 1


@pytest.mark.parametrize("form", ["utf-16-le", "utf-16-be"])
def test_utf16_with_a_mark_is_read_as_text(command: Invoke, tmp_path: Path, secret: str, form: str) -> None:
    (tmp_path / "a.reg").write_bytes(f"\ufeffé\r\n{secret}\r\n".encode(form))
    rows = [json.loads(line) for line in command("scan", "--format", "jsonl", "a.reg").lines]
    assert [(row["line"], row["column"], row["start"]) for row in rows] == [(2, 1, 4)]


def test_one_line_of_megabytes_with_many_findings(command: Invoke, tmp_path: Path) -> None:
    tokens = fakes(TOKEN_RULE, 500)
    text = "".join(f"𝄞{token}{'ä ' * 2000}" for token in tokens)
    (tmp_path / "long.txt").write_text(text)
    ran = command("scan", "--format", "jsonl", "long.txt", timeout=60)
    rows = [json.loads(line) for line in ran.lines]
    assert len(rows) == 500
    assert [row["column"] for row in rows] == [text.index(token) + 1 for token in tokens]
    assert_silent(ran, *tokens[:3])


PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def _drop_privileges() -> None:
    """In the child before it becomes the command: root without the right to read everything."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def _can_drop_privileges() -> bool:
    try:
        subprocess.run([sys.executable, "-c", ""], check=True, preexec_fn=_drop_privileges)
    except (subprocess.SubprocessError, OSError):
        return False
    return True


def test_the_printed_form_is_one_to_one() -> None:
    """Two names never look the same: no name can pose as another."""
    from sift_fast.cli._text import printable

    tricky = [b"\xff", "ÿ".encode(), b"\\xff", b"\\u00ff", b"\n", b"\\n", b"\\\\n", "\u0080".encode(), b"\x80"]
    assert len({printable(name) for name in tricky}) == len(tricky)
    assert all(printable(name).isprintable() for name in tricky)
