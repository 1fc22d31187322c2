"""The command group: finds a command by name, and turns whatever ends it into one sentence and an exit code."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NoReturn

import click

from sift_fast.cli._text import complain

CLEAN, FINDINGS, ERROR, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141

#: Where each command is written. A command's file is imported when the command is called or listed.
COMMANDS = {
    "approvals": "List, show, approve and reject actions that wait.",
    "assess": "Say which layers and risks a configuration covers.",
    "attack": "Play known attacks against a configuration.",
    "authorize": "Ask a kernel about one action.",
    "bench": "Measure the scanner on your own files.",
    "calibrate": "Choose thresholds from your own logs.",
    "config": "Begin or check the guard's configuration; its schema and reference.",
    "escalations": "List and decide what waits for a person.",
    "explain": "Show every candidate in a text and what became of it.",
    "init": "Write a governance folder with keys.",
    "keygen": "Make a key and its entry for keys.toml.",
    "mcp": "Run an MCP server behind the guard.",
    "mediation": "List tool functions that do not ask the kernel.",
    "policy": "Check, test, explain and replay policies of actions.",
    "redact": "Copy a text with its findings replaced.",
    "report": "Summarise an event file of the guard.",
    "rules": "List, show, check, measure and test rules.",
    "scan": "Find secrets, injections and leaks in files.",
    "serve": "Serve the guard over HTTP.",
    "verify": "Verify receipts or a ledger, offline.",
}

EPILOG = """\b
Examples:
  sift-fast scan .                          what `git` would see of this folder
  git diff | sift-fast scan -               standard input
  sift-fast scan --format sarif -o out.sarif src
  tail -f app.log | sift-fast redact --no-decode    line by line
  sift-fast rules list

\b
Exit codes: 0 clean, 1 findings, 2 error, 130 interrupted, 141 broken pipe."""


class Application(click.Group):
    """A group that loads commands when they are wanted, and whose failures are sentences."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Names, sorted."""
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"sift_fast.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse; `--help` and `--version` write here, and their stream may fail like any other."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except BrokenPipeError:
            _silence(sys.stdout)
            raise click.exceptions.Exit(BROKEN_PIPE) from None
        except OSError as error:
            _silence(sys.stdout)
            raise click.ClickException(describe(error)) from error

    def invoke(self, ctx: click.Context) -> int:
        """Run the command; an interrupt or a failing stream is dealt with before click hears of it."""
        return guarded(lambda: super(Application, self).invoke(ctx))

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Parse, run, exit."""
        extra["standalone_mode"] = False
        try:
            code = super().main(*args, **extra)
        except click.ClickException as error:
            code = failed(_usage(error))
        except click.Abort:
            code = interrupted()
        sys.exit(code if isinstance(code, int) else CLEAN)


def _usage(error: click.ClickException) -> str:
    """Click's message in the grammar of ours, and where to read on."""
    message = " ".join(error.format_message().split()).rstrip(".")
    message = message[:1].lower() + message[1:]
    context = getattr(error, "ctx", None)
    if isinstance(error, click.NoSuchOption):
        message += ", and a file of that name is written `./-name`"
    if isinstance(error, click.UsageError) and context is not None:
        return f"{message}: see `{context.command_path} --help`"
    return message


def failed(message: str) -> int:
    """Say it, and the code for an error."""
    complain(message)
    return ERROR


def interrupted() -> int:
    """Say it, and the code for an interrupt."""
    complain("interrupted")
    return INTERRUPTED


def guarded(work: Callable[[], Any]) -> int:
    """Run a command to its exit code. No traceback leaves it for anything a user can cause."""
    from sift_fast.errors import SiftError

    try:
        code = work()
        sys.stdout.flush()
        return code if isinstance(code, int) else CLEAN
    except KeyboardInterrupt:
        _silence(sys.stdout)
        return interrupted()
    except BrokenPipeError:
        _silence(sys.stdout)
        return BROKEN_PIPE
    except SiftError as error:
        return failed(str(error))
    except MemoryError:
        return failed("out of memory: scan fewer or smaller files at once, `--max-size` and `--threads` help")
    except OSError as error:
        if error.errno == errno.EPIPE:
            _silence(sys.stdout)
            return BROKEN_PIPE
        _silence(sys.stdout)
        return failed(describe(error))


def describe(error: OSError) -> str:
    """An operating system error as a sentence: what, where, why."""
    reason = (error.strerror or type(error).__name__).lower()
    if error.filename is None:
        return reason
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
    return f"`{name}`: {reason}"


def _silence(stream: Any) -> None:
    """Point a broken stream at nothing, so that the interpreter's last flush cannot fail aloud."""
    try:
        stream.flush()
        return
    except (OSError, ValueError):
        pass
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass


def _version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from sift_fast import _core

    info = _core.build_info()
    engine = " ".join(str(part) for part in (info["engine"], info.get("engine_version")) if part)
    click.echo(
        f"sift-fast {info['version']} ({info['profile']} build, engine {engine}, cpu {info['cpu_level']}, "
        f"target {info['target']}, rules {str(info['rule_hash'])[:12]})"
    )
    ctx.exit()


@click.group(
    cls=Application,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version and how this build was made, then exit.",
)
def cli() -> None:
    """Find secrets, prompt injections and leaks in texts, and with --rules pii personal data; remove secrets and
    personal data.

    No matched text is ever shown: a finding is a place, a rule and a masked preview.
    """


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    # As an exception, so that temporary files are removed on the way out.
    raise SystemExit(128 + signal.SIGTERM)


def run(arguments: Sequence[str]) -> int:
    """Run with these words; returns the exit code."""
    before = None
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGTERM, _terminated)
    try:
        cli.main(args=list(arguments), prog_name="sift-fast")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else CLEAN
    finally:
        # The process may be somebody else's, who called `main`.
        if before is not None:
            signal.signal(signal.SIGTERM, before)
