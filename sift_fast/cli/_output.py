"""Where reports go: standard output, or a file that is either whole or not there.

A report file is written under another name in the same folder and renamed when it is complete, so a full
disk, an interrupt or a crash leaves what was there before. Devices and pipes cannot be renamed over and are
written as they are.
"""

from __future__ import annotations

import io
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from sift_fast.errors import ConfigError


class Writer(Protocol):
    """What a report is written to."""

    def write(self, data: bytes, /) -> object:
        """Write all of it, or raise."""

    def flush(self) -> None:
        """Hand on what was written."""


class _Whole:
    """A raw stream whose `write` writes all. Under PYTHONUNBUFFERED standard output is one, and may stop halfway."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self.raw.write(rest) or 0 :]

    def flush(self) -> None:
        self.raw.flush()


def standard_output() -> Writer:
    """Standard output in bytes: reports are UTF-8 whatever the locale says."""
    sys.stdout.flush()
    stream: Any = sys.stdout.buffer
    return _Whole(stream) if isinstance(stream, io.RawIOBase) else stream


def say(text: str) -> None:
    """Write a text to standard output, all of it."""
    stream = standard_output()
    stream.write(text.encode("utf-8", "backslashreplace"))
    stream.flush()


def check_target(path: str | None) -> None:
    """Refuse, before any work, a path that no file can be written to."""
    if path is None or path == "-":
        return
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if os.path.isdir(target):
        raise ConfigError(f"`{path}` is a folder: name a file to write to")
    if not os.path.isdir(folder):
        raise ConfigError(f"`{path}` cannot be written: there is no folder `{folder}`")
    beside = not os.path.exists(target) or os.path.isfile(target)
    if not os.access(folder if beside else target, os.W_OK):
        raise ConfigError(f"`{path}` cannot be written: permission denied")


@contextmanager
def opened(path: str | None) -> Iterator[Writer]:
    """A stream to write a report to; None or `-` is standard output.

    What `path` held before stays until the block ends without an exception.
    """
    if path is None or path == "-":
        stream = standard_output()
        yield stream
        stream.flush()
        return
    # A link stays a link: the file it leads to is replaced.
    target = os.path.realpath(path)
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        with _named(path), open(target, "wb") as stream:
            yield stream
            stream.flush()
        return
    temporary = os.path.join(os.path.dirname(target), f".sift-fast-{secrets.token_hex(8)}.tmp")
    with _named(path):
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with _named(path), os.fdopen(handle, "wb") as stream:
            if mode is not None:
                os.fchmod(handle, stat.S_IMODE(mode))
            yield stream
            stream.flush()
            os.fsync(handle)
        with _named(path):
            os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Errors of writing carry no name, or that of the temporary file: give them the one the user knows."""
    try:
        yield
    except OSError as error:
        if error.filename is None or ".sift-fast-" in str(error.filename):
            raise type(error)(error.errno, error.strerror, path) from error
        raise
