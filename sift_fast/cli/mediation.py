"""`sift-fast mediation`: tool functions of a code base that nobody signs off, for CI.

Read from the source; nothing is imported. A *tool function* is one that is handed to a model: decorated with a name
that ends in `tool` (`@mcp.tool()`, `@function_tool`, `@server.tool`), or given to a call whose name ends in `Tool` or
`from_function`. It is *mediated* when it is decorated with `kernel.tool(..., sign=...)`, enters `kernel.action(...)`,
or calls `verify_permit`. What is found is a list to be looked at, not a proof: a function may call the kernel
elsewhere.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import click

from sift_fast.cli._output import say
from sift_fast.cli.app import CLEAN, FINDINGS

EPILOG = """\b
Examples:
  sift-fast mediation src
  sift-fast mediation src --except read_clock --format json"""

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

#: Folders that hold other people's code.
_SKIPPED = frozenset({".git", ".venv", "venv", "node_modules", "site-packages", "__pycache__"})


class Tool(NamedTuple):
    """A function that is handed to a model."""

    path: str
    line: int
    name: str
    mediated: bool


@click.command(epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--except", "excepted", multiple=True, metavar="NAME", help="Not this function. May be given again.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def mediation(paths: tuple[str, ...], excepted: tuple[str, ...], form: str) -> int:
    """List tool functions that do not ask the kernel. Exits 1 when there are any.

    Only Python is read, and no code is run.
    """
    found = [tool for path in paths for file in _files(path) for tool in tools_of(file)]
    open_ones = [tool for tool in found if not tool.mediated and tool.name not in excepted]
    if form == "json":
        rows = [tool._asdict() | {"excepted": tool.name in excepted} for tool in found]
        say(json.dumps(rows, indent=1) + "\n")
    else:
        for tool in open_ones:
            say(f"{tool.path}:{tool.line}: `{tool.name}` is a tool and does not ask the kernel\n")
        click.echo(f"{len(found)} tool functions, {len(open_ones)} not mediated", err=True)
    return FINDINGS if open_ones else CLEAN


def _files(path: str) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
        return
    for folder, below, names in os.walk(path):
        below[:] = sorted(name for name in below if name not in _SKIPPED)
        yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(".py"))


def tools_of(path: str) -> list[Tool]:
    """The tool functions of a file.

    Raises:
        ConfigError: it is no Python.
        OSError: it cannot be read.
    """
    from sift_fast.errors import ConfigError

    with open(path, "rb") as stream:
        source = stream.read()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        raise ConfigError(f"`{path}` is no Python that this interpreter reads: leave it out") from None
    handed = {
        argument.id
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and _last(call.func).endswith(("Tool", "from_function"))
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]
        if isinstance(argument, ast.Name)
    }
    return [
        Tool(path, node.lineno, node.name, _mediated(node))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.name in handed or _is_tool(node))
    ]


def _last(node: ast.expr) -> str:
    """The last word of a dotted name, of a call's function too."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_tool(function: _Function) -> bool:
    return any(_last(decorator).lower().endswith("tool") for decorator in function.decorator_list)


def _signs(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and any(keyword.arg == "sign" for keyword in node.keywords)


def _mediated(function: _Function) -> bool:
    if any(_last(decorator) == "tool" and _signs(decorator) for decorator in function.decorator_list):
        return True
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and _last(node.func) == "verify_permit":
            return True
        if isinstance(node, ast.With | ast.AsyncWith) and any(
            isinstance(item.context_expr, ast.Call) and _last(item.context_expr.func) == "action" for item in node.items
        ):
            return True
    return False
