"""`sift-fast mediation`: tool functions of a code base that nobody signs off, for CI.

Read from the source; nothing is imported. A *tool function* is one that is handed to a model: decorated with a name
that ends in `tool` (`@mcp.tool()`, `@function_tool`, `@server.tool`), given to a call whose name ends in `tool` or
`from_function` (`mcp.add_tool(fn)`), in a list that a call takes as `tools` or whose name ends in `tools`
(`llm.bind_tools(TOOLS)`), or the method that a class runs whose base ends in `Tool`; functions, methods and lambdas.
Lists and other names of decorators are followed within the file. It is *mediated* when it is decorated with
`kernel.tool(..., sign=...)` below the decorators that hand it on, enters `kernel.action(...)`, or calls
`verify_permit`. A kernel is called `kernel`, or something that ends so (`self._kernel`), or comes from `Kernel.open` or
`Kernel.connect`. What is found is a list to be looked at, not a proof: a function may call the kernel elsewhere, and
not each of its ways need lead through the kernel.
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

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

#: What frameworks call of a class that is a tool.
_RUN = frozenset(
    {"_run", "_arun", "run", "arun", "forward", "execute", "invoke", "ainvoke", "call", "acall", "__call__"}
)

#: Calls that take a list of tools by its place, besides those whose name ends in `tools`.
_TAKE_LISTS = frozenset(
    {"create_react_agent", "create_agent", "create_tool_calling_agent", "initialize_agent", "ToolNode"}
)

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
    read = _File(tree)
    return [
        Tool(path, node.lineno, name, read.mediates(node))
        for node, name in read.functions
        if name in read.handed or node in read.handed_lambdas or node in read.run or read.is_tool(node)
    ]


class _File:
    """What is known of a file before its functions are looked at one by one."""

    def __init__(self, tree: ast.Module) -> None:
        nodes = list(ast.walk(tree))
        self.kernels = frozenset(_kernels(nodes))
        self._aliases = dict(_aliases(nodes))
        self._lists = _lists(nodes)
        handed = [value for call in nodes if isinstance(call, ast.Call) for value in self._handed(call)]
        # A method is handed on as `self.name` or `module.name`: only its last word is known.
        self.handed = {_last(value) for value in handed if isinstance(value, ast.Name | ast.Attribute)}
        self.handed_lambdas = {value for value in handed if isinstance(value, ast.Lambda)}
        self.run = {
            method: f"{node.name}.{method.name}"
            for node in nodes
            if isinstance(node, ast.ClassDef) and any(self._word(base).endswith("Tool") for base in node.bases)
            for method in node.body
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.name in _RUN
        }
        self.functions: list[tuple[_Function, str]] = sorted(
            [
                (node, self.run.get(node, node.name))
                for node in nodes
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            ]
            + [(value, "<lambda>") for value in self.handed_lambdas],
            key=lambda found: found[0].lineno,
        )

    def _word(self, node: ast.expr) -> str:
        """As `_last`, of what a name was imported or assigned as."""
        if isinstance(node, ast.Call):
            node = node.func
        word = _last(node)
        return self._aliases.get(word, word) if isinstance(node, ast.Name) else word

    def _handed(self, call: ast.Call) -> Iterator[ast.expr]:
        """What a call hands to a model: functions that it takes as a tool, and those in its lists of tools."""
        word = self._word(call.func)
        if word.endswith(("Tool", "_tool", "from_function")):
            yield from map(_unwrapped, call.args)
            yield from (_unwrapped(keyword.value) for keyword in call.keywords)
        elif word.lower().endswith("tool") and not self.signs(call) and not self.signs(call.func):
            # A decorator that is called: what it is given by name is no function that it decorates.
            yield from map(_unwrapped, call.args)
        if word.endswith("tools") or word in _TAKE_LISTS:
            for value in call.args:
                yield from self._listed(value, frozenset())
        for keyword in call.keywords:
            if keyword.arg is not None and keyword.arg.endswith("tools"):
                yield from self._listed(keyword.value, frozenset())

    def _listed(self, value: ast.expr, seen: frozenset[str]) -> Iterator[ast.expr]:
        """The members of a list, wherever in the file they were put into it."""
        match value:
            case ast.List(elts=members) | ast.Tuple(elts=members) | ast.Set(elts=members):
                for member in members:
                    if isinstance(member, ast.Starred):
                        yield from self._listed(member.value, seen)
                    else:
                        yield _unwrapped(member)
            case ast.Dict(values=members):
                yield from map(_unwrapped, members)
            case ast.BinOp(left=left, right=right):
                yield from self._listed(left, seen)
                yield from self._listed(right, seen)
            case ast.Call(args=[inside, *_]) if _last(value) in {"list", "tuple", "set", "sorted"}:
                yield from self._listed(inside, seen)
            case ast.Call(func=ast.Attribute(attr="values" | "copy", value=inside)):
                yield from self._listed(inside, seen)
            case ast.Name() | ast.Attribute() if (word := _last(value)) not in seen:
                for inside in self._lists.get(word, ()):
                    yield from self._listed(inside, seen | {word})

    def is_kernel(self, node: ast.expr) -> bool:
        """Whether an expression is a kernel, by its name or where it comes from."""
        return _last(node).lower().endswith("kernel") or ast.dump(node) in self.kernels

    def signs(self, node: ast.expr) -> bool:
        """Whether a decorator is that of a kernel."""
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "tool"
            and self.is_kernel(node.func.value)
            and any(keyword.arg == "sign" for keyword in node.keywords)
        )

    def hands_on(self, decorator: ast.expr) -> bool:
        """Whether a decorator hands the function to a model."""
        return self._word(decorator).lower().endswith("tool") and not self.signs(decorator)

    def is_tool(self, function: _Function) -> bool:
        return not isinstance(function, ast.Lambda) and any(
            self.hands_on(decorator) or self.signs(decorator) for decorator in function.decorator_list
        )

    def mediates(self, function: _Function) -> bool:
        """Whether a function asks a kernel, as far as can be read."""
        if not isinstance(function, ast.Lambda):
            # From below, as they are applied: what a model is handed before the kernel's own has not asked.
            for decorator in reversed(function.decorator_list):
                if self.signs(decorator):
                    return True
                if self.hands_on(decorator):
                    break
        return any(
            (isinstance(node, ast.Call) and self._word(node.func) == "verify_permit")
            or (isinstance(node, ast.With | ast.AsyncWith) and any(map(self._enters, node.items)))
            for node in _own(function)
        )

    def _enters(self, item: ast.withitem) -> bool:
        entered = item.context_expr
        return (
            isinstance(entered, ast.Call)
            and isinstance(entered.func, ast.Attribute)
            and entered.func.attr == "action"
            and self.is_kernel(entered.func.value)
        )


def _kernels(nodes: list[ast.AST]) -> Iterator[str]:
    """Targets that a kernel is bound to, as `ast.dump` writes them when they are read."""
    for node in nodes:
        match node:
            case ast.Assign(targets=targets, value=value):
                pass
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                targets = [target]
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                targets = [target]
            case _:
                continue
        made = value.value if isinstance(value, ast.Await) else value
        if (
            isinstance(made, ast.Call)
            and isinstance(made.func, ast.Attribute)
            and made.func.attr in {"open", "connect"}
            and _last(made.func.value) == "Kernel"
        ):
            for target in targets:
                if isinstance(target, ast.Name | ast.Attribute):
                    yield ast.dump(target).replace("ctx=Store()", "ctx=Load()")


def _aliases(nodes: list[ast.AST]) -> Iterator[tuple[str, str]]:
    """Other names for what is imported, or is the last word of a dotted name: `import ... as`, `ft = function_tool`."""
    for node in nodes:
        match node:
            case ast.ImportFrom(names=names):
                yield from ((name.asname, name.name) for name in names if name.asname is not None)
            case ast.Assign(targets=[ast.Name(id=alias)], value=ast.Name() | ast.Attribute() as value):
                yield alias, _last(value)


def _lists(nodes: list[ast.AST]) -> dict[str, list[ast.expr]]:
    """What is assigned or added to a name anywhere in the file, by the last word of the name."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        match node:
            case ast.Assign(targets=targets, value=value):
                pass
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.AugAssign(target=target, value=value):
                targets = [target]
            case ast.Call(func=ast.Attribute(attr="append" | "add", value=target), args=[member]):
                targets, value = [target], ast.List([member])
            case ast.Call(func=ast.Attribute(attr="insert", value=target), args=[_, member]):
                targets, value = [target], ast.List([member])
            case ast.Call(func=ast.Attribute(attr="extend" | "update", value=target), args=[value]):
                targets = [target]
            case _:
                continue
        for target in targets:
            if isinstance(target, ast.Subscript):
                # One more tool in a dictionary of them.
                found.setdefault(_last(target.value), []).append(ast.List([value]))
            else:
                found.setdefault(_last(target), []).append(value)
    return found


def _unwrapped(value: ast.expr) -> ast.expr:
    """A function, of one with some of its arguments too."""
    while isinstance(value, ast.Call) and _last(value) == "partial" and value.args:
        value = value.args[0]
    return value


def _own(function: _Function) -> Iterator[ast.AST]:
    """What runs when a function is called: not what is defined in it, which may never be."""
    below: list[ast.AST] = [function.body] if isinstance(function, ast.Lambda) else list(function.body)
    while below:
        node = below.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            below.extend(ast.iter_child_nodes(node))


def _last(node: ast.expr) -> str:
    """The last word of a dotted name, of a call's function too."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
