"""`redact`: what comes out is the text without its secrets, piece by piece, byte for byte."""

from __future__ import annotations

import base64
import os
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import OTHER_RULE, TOKEN, TOKEN_RULE, Invoke, environment, fakes


def test_a_file_and_standard_input(command: Invoke, tree: Path, secret: str) -> None:
    expected = (tree / "src" / "app.py").read_text().replace(secret, f"<{TOKEN}>").encode()
    ran = command("redact", "src/app.py", cwd=tree)
    assert (ran.code, ran.out) == (0, expected)
    assert "1 finding redacted" in ran.err
    assert f"{TOKEN} 1" in ran.err
    text = (tree / "src" / "app.py").read_bytes()
    for arguments in (["redact"], ["redact", "-"]):
        assert command(*arguments, stdin=text).out == expected
    assert command("redact", "-q", stdin=text).err == ""


def test_clean_text_of_any_bytes_passes_unchanged(command: Invoke) -> None:
    data = bytes(range(256)) * 500 + b"\r\n\0\xff" + "é𝄞".encode()[:-1]
    ran = command("redact", stdin=data)
    assert (ran.code, ran.out) == (0, data)
    assert command("redact", stdin=b"").out == b""


def test_a_file_that_is_no_text_is_named(command: Invoke, tmp_path: Path, secret: str) -> None:
    """A document once passed as it was with "0 findings redacted" and nothing else."""
    path = tmp_path / "packed.bin"
    path.write_bytes(b"PK\3\4\0\0 " + secret.encode() + b"\n")
    ran = command("redact", str(path))
    assert (ran.code, ran.out) == (0, f"PK\3\4\0\0 <{TOKEN}>\n".encode())
    assert "packed.bin` is binary" in ran.err
    assert "binary" not in command("redact", stdin=secret.encode()).err


def test_secrets_between_bytes_that_are_no_text(command: Invoke, secret: str) -> None:
    ran = command("redact", stdin=b"\xff\0 " + secret.encode() + b" \xfe\n")
    assert ran.out == f" <{TOKEN}> ".encode().join([b"\xff\0", b"\xfe\n"])


@pytest.mark.parametrize(
    ("operators", "one", "two"),
    [
        (["replace"], f"<{TOKEN}>", "<ANTHROPIC_API_KEY>"),
        (["replace:XXX"], "XXX", "XXX"),
        (["replace:a=b"], "a=b", "a=b"),
        (["remove"], "", ""),
        (["mask"], "*" * 93, None),
        (["mask:4", f"{TOKEN}=remove"], "", None),
        ([f"{TOKEN}=replace:gone"], "gone", "<ANTHROPIC_API_KEY>"),
    ],
)
def test_operators(command: Invoke, operators: list[str], one: str, two: str | None) -> None:
    token, other = fakes(TOKEN_RULE, 1)[0], fakes(OTHER_RULE, 1)[0]
    options = [word for operator in operators for word in ("--operator", operator)]
    ran = command("redact", *options, stdin=f"a {token} b {other} c\n".encode())
    assert ran.code == 0
    kept = 4 if "mask:4" in operators else 0
    other_end = other[len(other) - kept :] if kept else ""
    second = "*" * (len(other) - kept) + other_end if two is None else two
    assert ran.out.decode() == f"a {one} b {second} c\n"


@pytest.mark.parametrize(
    ("operator", "word"),
    [
        ("shred", "shred"),
        ("mask:x", "mask:x"),
        ("remove:x", "remove:x"),
        ("mask:9", "8"),
        ("NOPE=remove", "NOPE"),
        ("", ""),
    ],
)
def test_a_wrong_operator(command: Invoke, operator: str, word: str) -> None:
    ran = command("redact", "--operator", operator, stdin=b"text")
    assert (ran.code, ran.out) == (2, b"")
    assert word in ran.err
    assert ran.err.count("\n") == 1


def test_an_operator_given_twice(command: Invoke) -> None:
    ran = command("redact", "--operator", "mask", "--operator", "remove")
    assert ran.code == 2
    assert "two operators" in ran.err


def test_a_pipe_and_a_file_are_decoded_alike(command: Invoke, tree: Path, secret: str) -> None:
    data = base64.b64encode(f"the token is {secret}, keep it".encode()).decode()
    (tree / "encoded.txt").write_text(data)
    outputs = [command("redact", str(tree / "encoded.txt")).out, command("redact", stdin=data.encode()).out]
    assert outputs[0] == outputs[1]
    assert f"<{TOKEN}>".encode() in outputs[0]


def test_line_by_line(program: str, secret: str) -> None:
    """Each line is out before the next is written, as behind `tail -f`; a hold of a line would hang here."""
    process = subprocess.Popen(
        [program, "redact", "--no-decode"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for number in range(20):
        line = f"2026-01-01 12:00:{number:02} request served in 12 ms\n"
        if number % 5 == 4:
            line = f"token {secret} used\n"
        process.stdin.write(line.encode())
        process.stdin.flush()
        expected = line.replace(secret, f"<{TOKEN}>").encode()
        seen = b""
        begun = time.monotonic()
        while len(seen) < len(expected) and time.monotonic() - begun < 20:
            seen += os.read(process.stdout.fileno(), 1000)
        assert seen == expected, number
    process.stdin.close()
    assert process.stdout.read() == b""
    assert process.wait(20) == 0
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()


def test_pieces_of_every_size_give_the_same(program: str, tmp_path: Path) -> None:
    tokens = fakes(TOKEN_RULE, 30)
    text = "".join(f"é {number} {token}\n" for number, token in enumerate(tokens)).encode()
    whole = text.decode()
    for token in tokens:
        whole = whole.replace(token, f"<{TOKEN}>")
    for size in (1, 7, 100):
        process = subprocess.Popen(
            [program, "redact", "-q"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
        )
        assert process.stdin is not None
        assert process.stdout is not None
        for at in range(0, len(text), size):
            process.stdin.write(text[at : at + size])
            if size == 100 or at % 97 == 0:
                process.stdin.flush()
        process.stdin.close()
        assert process.stdout.read().decode() == whole
        process.stdout.close()
        assert process.wait(20) == 0


def test_in_place(command: Invoke, tree: Path, secret: str) -> None:
    """The target is replaced when all of it is there, so a file can be redacted onto itself."""
    source = tree / "src" / "app.py"
    assert command("redact", source, "--output", source).code == 0
    assert secret not in source.read_text()
    assert f"<{TOKEN}>" in source.read_text()


@pytest.mark.parametrize("file", ["/nowhere/file", "/", "/proc/self/mem"])
def test_what_cannot_be_read(command: Invoke, tmp_path: Path, file: str) -> None:
    ran = command("redact", file, "--output", tmp_path / "out")
    assert (ran.code, ran.out) == (2, b"")
    assert file in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("codec", "mark"), [("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")])
def test_utf_16_stays_utf_16(command: Invoke, tmp_path: Path, secret: str, codec: str, mark: bytes) -> None:
    """A token in two bytes a letter would else be copied, and the command say that all is done."""
    text = f"é 𝄞 token {secret}, thanks\r\n"
    # A half of a pair, and half a unit at the end, as where a log was cut.
    tail = {"utf-16-le": b"\x34\xd8", "utf-16-be": b"\xd8\x34"}[codec] + b"x"
    (tmp_path / "wide.txt").write_bytes(mark + text.encode(codec) + tail)
    expected = mark + text.replace(secret, f"<{TOKEN}>").encode(codec) + tail
    for ran in (command("redact", "wide.txt"), command("redact", stdin=(tmp_path / "wide.txt").read_bytes())):
        assert ran.code == 0
        assert ran.out == expected
        assert "1 finding redacted" in ran.err


def test_utf_16_in_small_pieces(program: str, secret: str) -> None:
    """The mark comes byte by byte, and so does every letter."""
    data = f"\ufeffa {secret} b".encode("utf-16-le")
    process = subprocess.Popen([program, "redact", "-q"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdin is not None
    for at in range(len(data)):
        process.stdin.write(data[at : at + 1])
        if at < 6:
            time.sleep(0.02)
    out, _ = process.communicate(timeout=60)
    assert out.decode("utf-16") == f"a <{TOKEN}> b"


@pytest.mark.parametrize("data", [b"\xff", b"\xff\xfe", b"\xfe", b"\xfe\xff", b"\0", b"\0\0\xfe", b"\xff\xfe\0"])
def test_what_begins_like_a_mark_passes(command: Invoke, data: bytes) -> None:
    ran = command("redact", stdin=data)
    assert (ran.code, ran.out) == (0, data)


@pytest.mark.parametrize("words", [("redact",), ("scan", "-"), ("explain",)])
def test_utf_32_is_refused(command: Invoke, secret: str, words: tuple[str, ...]) -> None:
    ran = command(*words, stdin=f"a {secret}".encode("utf-32"))
    assert (ran.code, ran.out) == (2, b"")
    assert "convert it to UTF-8" in ran.err


def test_utf_16_without_a_mark_is_told_of(command: Invoke, secret: str) -> None:
    data = f"the token is {secret}".encode("utf-16-le")
    for words in (("redact",), ("scan", "-")):
        ran = command(*words, stdin=data)
        assert "every other byte is NUL" in ran.err
    assert "NUL" not in command("redact", stdin=bytes(range(256)) * 40).err
