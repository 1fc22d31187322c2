"""`sift-fast mediation`: tool functions that nobody signs off are listed, the others are not."""

from __future__ import annotations

import json

import pytest

MEDIATED = [
    "@kernel.tool('refund', sign=sign)\ndef f(a): ...",
    "@mcp.tool()\n@kernel.tool('refund', sign=sign)\nasync def f(a): ...",
    "@mcp.tool()\nasync def f(a):\n    async with kernel.action(*sign(a)) as permit:\n        pay(a)",
    "@function_tool\ndef f(permit, request):\n    sf.verify_permit(permit, request, keys)",
    "@mcp.tool()\ndef f(a):\n    with self._kernel.action(*sign(a)):\n        pay(a)",
    "k = sf.Kernel.open('g')\n@mcp.tool()\n@k.tool('f', sign=sign)\ndef f(a): ...",
    "def g():\n    self.k = Kernel.connect('s')\n@tool\ndef f(a):\n    with self.k.action(*sign(a)): ...",
    "@kernel.tool('f', sign=sign)\ndef f(a): ...\nmcp.add_tool(f)",
    # What signs is no tool.
    "def sign(tool, args): ...\n@kernel.tool('f', sign=sign)\ndef f(a): ...\nTOOLS = [f]\nllm.bind_tools(TOOLS)",
    "from sift_fast import verify_permit as vp\n@tool\ndef f(a):\n    vp(a, b, keys)",
    "class T:\n    @mcp.tool()\n    @kernel.tool('f', sign=sign)\n    def f(self, a): ...",
]
OPEN = [
    "@tool\ndef f(a): ...",
    "@mcp.tool()\nasync def f(a): ...",
    "@mcp.tool(name='x')\ndef f(a):\n    with open(a): ...",
    "@agents.function_tool\ndef f(a): ...",
    "def f(a): ...\nx = StructuredTool.from_function(f)",
    "def f(a): ...\nx = Tool(name='f', func=f)",
    "@registry.tool('refund')\ndef f(a): ...",
    # The model has been handed the function before the kernel comes in.
    "@kernel.tool('f', sign=sign)\n@mcp.tool()\ndef f(a): ...",
    "@registry.tool('refund', sign=sign)\ndef f(a): ...",
    "def f(a): ...\nmcp.add_tool(f)",
    "def f(a): ...\nagent = Agent(model, tools=[f])",
    "def f(a): ...\nrun(agent_tools=(f,))",
    "def f(a): ...\nrun(tools={'f': f})",
    "class T:\n    def f(self, a): ...\n    def g(self):\n        mcp.add_tool(self.f)",
    # Lists are followed to where they are made, and added to.
    "def f(a): ...\nTOOLS = [f]\nagent = Agent(model, tools=TOOLS)",
    "def f(a): ...\nTOOLS: list = []\nTOOLS.append(f)\nagent = Agent(model, tools=TOOLS)",
    "def f(a): ...\nTOOLS = []\nTOOLS += [f]\nagent = Agent(model, tools=[*TOOLS])",
    "def f(a): ...\nA = (f,)\nB = []\nTOOLS = B + list(A)\nagent = Agent(model, tools=TOOLS)",
    "def f(a): ...\nTOOLS = {}\nTOOLS['f'] = f\nagent = Agent(model, tools=TOOLS.values())",
    "TOOLS = TOOLS + MORE\ndef f(a): ...\nMORE = [f] + TOOLS\nrun(tools=TOOLS)",
    "def f(a): ...\nllm.bind_tools([f])",
    "def f(a): ...\nTOOLS = [f]\nllm.bind_tools(TOOLS)",
    "def f(a): ...\nagent = create_react_agent(model, [f])",
    "def f(a, b): ...\nagent = Agent(tools=[functools.partial(f, 1)])",
    "def f(a): ...\nx = tool('f')(f)",
    "from agents import function_tool as ft\n@ft\ndef f(a): ...",
    "from agents import function_tool as ft\n@ft(name='x')\ndef f(a): ...",
    "register = mcp.tool\n@register()\ndef f(a): ...",
    # The action of something else, and one in a function that nobody need call.
    "@tool\ndef f(a):\n    with game.action(a): ...",
    "@tool\ndef f(a):\n    def g():\n        with kernel.action(*sign(a)): ...\n    pay(a)",
]


@pytest.mark.parametrize("source", MEDIATED)
def test_what_asks_is_not_listed(invoke, tmp_path, source):
    (tmp_path / "a.py").write_text(source)
    ran = invoke("mediation", tmp_path)
    assert (ran.code, ran.out) == (0, b"")
    assert "1 tool functions, 0 not mediated" in ran.err


@pytest.mark.parametrize("source", OPEN)
def test_what_does_not_ask_is_listed(invoke, tmp_path, source):
    path = tmp_path / "a.py"
    path.write_text(source)
    ran = invoke("mediation", tmp_path)
    line = source[: source.index("def f")].count("\n") + 1
    assert (ran.code, ran.out.decode()) == (1, f"{path}:{line}: `f` is a tool and does not ask the kernel\n")
    assert invoke("mediation", path, "--except", "f").code == 0


def test_a_class_that_is_a_tool_is_asked_for_what_it_runs(invoke, tmp_path):
    path = tmp_path / "a.py"
    path.write_text(
        "from langchain_core.tools import BaseTool as Base\n"
        "class Wipe(Base):\n    name: str = 'wipe'\n    def _run(self, a): ...\n    def _size(self): ...\n"
        "class Ask(Base):\n    async def _arun(self, a):\n        async with kernel.action(*sign(a)): ...\n"
    )
    ran = invoke("mediation", tmp_path)
    assert (ran.code, ran.out.decode()) == (1, f"{path}:4: `Wipe._run` is a tool and does not ask the kernel\n")
    assert "2 tool functions, 1 not mediated" in ran.err
    assert invoke("mediation", path, "--except", "Wipe._run").code == 0


def test_a_lambda_is_a_function(invoke, tmp_path):
    path = tmp_path / "a.py"
    path.write_text("x = 1\nagent = Agent(tools=[lambda a: pay(a), lambda a: sf.verify_permit(a, b, c)])\n")
    ran = invoke("mediation", tmp_path)
    assert (ran.code, ran.out.decode()) == (1, f"{path}:2: `<lambda>` is a tool and does not ask the kernel\n")


def test_what_is_no_tool_is_not_looked_at(invoke, tmp_path):
    (tmp_path / "a.py").write_text("def f(): ...\n@cached\ndef g(): ...\nh = Toolbox(f)\n")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "b.py").write_text(OPEN[0])
    ran = invoke("mediation", tmp_path, "--format", "json")
    assert (ran.code, json.loads(ran.out)) == (0, [])


def test_what_is_no_python_is_an_error(invoke, tmp_path):
    (tmp_path / "a.py").write_text("def f(:")
    ran = invoke("mediation", tmp_path)
    assert ran.code == 2
    assert "no Python" in ran.err
