"""Writes docs/cli_help.txt: the help of every command, as `--help` prints it at a width of 100.

`python tests/integration/cli/snapshot.py`, with the package installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner

TARGET = Path(__file__).parents[3] / "docs" / "cli_help.txt"


def commands(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words that name each command, the group first."""
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            sub = command.get_command(context, name)
            assert sub is not None
            yield from commands(sub, (*words, name))


def render() -> str:
    """All help texts, one below the other."""
    from sift_fast.cli.app import cli

    parts = []
    for words in commands(cli):
        result = CliRunner().invoke(cli, [*words, "--help"], prog_name="sift-fast", terminal_width=100)
        assert result.exit_code == 0, result.output
        parts.append(f"$ {' '.join(['sift-fast', *words, '--help'])}\n{result.output}")
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(render())
