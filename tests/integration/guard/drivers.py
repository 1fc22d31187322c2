"""One text sent through each integration, at each stage that it has: whether it went on, and what was read behind it.

A driver takes the guard, the context, the stage and the text, and gives `(went on, text behind)`, the text None where
nothing came through. `TOOL` is called with one argument, `to`.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from guard_streams import BODIES, MAKE, PATHS, Read

from sift_fast.guard.protocols.service import Service
from sift_fast.integrations.asgi import SiftMiddleware

TOOL = "send"
STAGES = ("input", "tool_input", "tool_output", "output")


def http(app, path, document, method="POST"):
    """A request to an ASGI application: status and body."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": json.dumps(document).encode(), "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


class Model:
    """A model behind the middleware: keeps what it was asked."""

    def __init__(self, answer, kind=b"application/json"):
        self.answer, self.kind, self.asked = answer, kind, None

    async def __call__(self, _scope, receive, send):
        self.asked = json.loads((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", self.kind)]})
        await send({"type": "http.response.body", "body": self.answer})


CALLS = {
    "chat": lambda name, args: {
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": name, "arguments": args}}]
    },
    "messages": lambda name, args: {
        "content": [{"type": "tool_use", "id": "c", "name": name, "input": json.loads(args)}]
    },
}
TURNS = {
    "chat": lambda text: [
        {"role": "assistant", **CALLS["chat"](TOOL, "{}")},
        {"role": "tool", "tool_call_id": "c", "content": text},
    ],
    "messages": lambda text: [
        {"role": "assistant", **CALLS["messages"](TOOL, "{}")},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": text}]},
    ],
    "responses": lambda text: [
        {"type": "function_call", "call_id": "c", "name": TOOL, "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": text},
    ],
}


def api(protocol, *, streamed):
    """The ASGI middleware before a model with one of the APIs."""
    field = "input" if protocol == "responses" else "messages"
    path = PATHS[protocol]

    def asked(guard, context, turns):
        model = Model(b"")
        status, _ = http(
            SiftMiddleware(model, guard, context=lambda _: context), path, {**BODIES[protocol], field: turns}
        )
        return (False, None) if status != 200 else (True, model.asked[field])

    def answered(guard, context, text, calls):
        if streamed:
            app = SiftMiddleware(
                Model(MAKE[protocol](text, calls), b"text/event-stream"), guard, context=lambda _: context
            )
            seen = Read(protocol, http(app, path, BODIES[protocol])[1])
            return seen.reason in {"stop", "tool_calls", "end_turn", "tool_use", "completed"}, seen.text, seen.calls
        answer = whole(protocol, text, calls)
        app = SiftMiddleware(Model(json.dumps(answer).encode()), guard, context=lambda _: context)
        status, body = http(app, path, BODIES[protocol])
        return (status == 200, *(unpack(protocol, json.loads(body)) if status == 200 else (None, [])))

    def drive(guard, context, stage, text):
        if stage == "input":
            went, turns = asked(guard, context, [{"role": "user", "content": text}])
            return went, turns and turns[-1]["content"]
        if stage == "tool_output":
            went, turns = asked(guard, context, TURNS[protocol](text))
            if not went:
                return went, None
            last = turns[-1]
            return went, last["output"] if "output" in last else last["content"] if protocol == "chat" else last[
                "content"
            ][0]["content"]
        if stage == "output":
            went, shown, _ = answered(guard, context, text, [])
            return went, shown if went else None
        went, _, calls = answered(guard, context, "I call.", [(TOOL, json.dumps({"to": text}))])
        return went, json.loads(calls[0][1])["to"] if went and calls else None

    return drive


def whole(protocol, text, calls):
    if protocol == "chat":
        made = [
            {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": args}}
            for at, (name, args) in enumerate(calls)
        ]
        return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text, "tool_calls": made}}]}
    if protocol == "messages":
        made = [{"type": "tool_use", "id": "c", "name": name, "input": json.loads(args)} for name, args in calls]
        return {"content": [{"type": "text", "text": text}, *made]}
    made = [{"type": "function_call", "call_id": "c", "name": name, "arguments": args} for name, args in calls]
    return {"output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}, *made]}


def unpack(protocol, body):
    if protocol == "chat":
        message = body["choices"][0]["message"]
        return message["content"], [
            (call["function"]["name"], call["function"]["arguments"]) for call in message["tool_calls"]
        ]
    parts = body["content"] if protocol == "messages" else body["output"]
    text = parts[0]["text"] if protocol == "messages" else parts[0]["content"][0]["text"]
    return text, [
        (part["name"], json.dumps(part["input"]) if "input" in part else part["arguments"]) for part in parts[1:]
    ]


def service(guard, context, stage, text):
    """`sift-fast serve`: a stage, asked over HTTP."""
    given = {"tenant": context.tenant, "role": context.role, "conversation": context.conversation}
    document = {"text": text, "tool": TOOL, "args": {"to": text}, "result": text, "context": given}
    answer = json.loads(http(Service(guard), f"/v1/check/{stage}", document)[1])
    value = answer["value"]["to"] if answer["value"] else answer["text"]
    return answer["allowed"], value if answer["allowed"] else None


def litellm_http(guard, context, stage, text):
    """LiteLLM's generic guardrail API; calls of tools cannot be edited there."""
    turns = TURNS["chat"](text)
    document = {
        "input": {"input_type": "request", "texts": [text]},
        "tool_output": {"input_type": "request", "texts": [text], "structured_messages": turns},
        "output": {"input_type": "response", "texts": [text]},
        "tool_input": {"input_type": "response", "texts": [], **CALLS["chat"](TOOL, json.dumps({"to": text}))},
    }[stage]
    document["request_data"] = {"user_api_key_team_id": context.tenant}
    document["litellm_trace_id"] = context.conversation
    answer = json.loads(http(Service(guard), "/beta/litellm_basic_guardrail_api", document)[1])
    if answer["action"] == "BLOCKED":
        return False, None
    return True, text if stage == "tool_input" else answer["texts"][-1]


def litellm(guard, context, stage, text):
    """LiteLLM's guardrail in its own process."""
    pytest.importorskip("litellm", reason="litellm is not installed")
    from litellm.exceptions import GuardrailRaisedException

    from sift_fast.integrations.litellm import SiftGuardrail

    inputs = {
        "input": {"texts": [text]},
        "tool_output": {"texts": [text], "structured_messages": TURNS["chat"](text)},
        "output": {"texts": [text]},
        "tool_input": {"texts": [], **CALLS["chat"](TOOL, json.dumps({"to": text}))},
    }[stage]
    data = {"metadata": {"user_api_key_team_id": context.tenant}, "litellm_session_id": context.conversation}
    kind = "request" if stage in {"input", "tool_output"} else "response"
    try:
        out = asyncio.run(SiftGuardrail(guard).apply_guardrail(inputs, data, kind))
    except GuardrailRaisedException:
        return False, None
    if stage == "tool_input":
        return True, json.loads(out["tool_calls"][0]["function"]["arguments"])["to"]
    return True, out["texts"][-1]


def langchain(guard, context, stage, text):
    """LangChain's agent, the guard as its middleware."""
    pytest.importorskip("langchain", reason="langchain is not installed")
    from langchain.agents import create_agent
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
    from langchain_core.tools import tool

    from sift_fast.integrations.langchain import SiftMiddleware as Middleware

    asked, called = [], []

    class Scripted(GenericFakeChatModel):
        def bind_tools(self, _tools, **_):
            return self

        def _generate(self, messages, *arguments, **more):
            asked.append(messages)
            return super()._generate(messages, *arguments, **more)

    @tool
    def send(to: str) -> str:
        """Send something."""
        called.append(to)
        return text if stage == "tool_output" else "sent"

    call = AIMessage("", tool_calls=[{"name": TOOL, "args": {"to": text if stage == "tool_input" else "x"}, "id": "c"}])
    answers = [call, AIMessage("done")] if "tool" in stage else [AIMessage(text if stage == "output" else "done")]
    agent = create_agent(Scripted(messages=iter(answers)), [send], middleware=[Middleware(guard, context)])
    messages = agent.invoke({"messages": [HumanMessage(text if stage == "input" else "go")]})["messages"]
    if stage == "input":
        return bool(asked), asked[0][-1].content if asked else None
    if stage == "tool_input":
        return bool(called), called[0] if called else None
    if stage == "tool_output":
        (result,) = (message for message in messages if isinstance(message, ToolMessage))
        return result.status == "success", result.content if result.status == "success" else None
    said = messages[-1].content
    refused = said == guard.config.answers.block
    return not refused, None if refused else said


def openai_agents(guard, context, stage, text):
    """The OpenAI Agents SDK: it stops what it cannot edit, which is all but the results of tools."""
    pytest.importorskip("agents", reason="openai-agents is not installed")
    from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage, function_tool
    from agents import InputGuardrailTripwireTriggered as Input
    from agents import OutputGuardrailTripwireTriggered as Output
    from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

    from sift_fast.integrations.openai_agents import sift_guardrails

    asked, called = [], []

    @function_tool
    def send(to: str) -> str:
        """Send something."""
        called.append(to)
        return text if stage == "tool_output" else "sent"

    def said(answer):
        part = ResponseOutputText(annotations=[], text=answer, type="output_text")
        return ResponseOutputMessage(id="m", content=[part], role="assistant", status="completed", type="message")

    arguments = json.dumps({"to": text if stage == "tool_input" else "x"})
    call = ResponseFunctionToolCall(arguments=arguments, call_id="c", name=TOOL, type="function_call")
    answers = [call, said("done")] if "tool" in stage else [said(text if stage == "output" else "done")]

    class Scripted(Model):
        async def get_response(self, **request):
            asked.append(request["input"])
            return ModelResponse(output=[answers.pop(0)], usage=Usage(), response_id=None)

        def stream_response(self, *_, **__):
            raise NotImplementedError

    guardrails = sift_guardrails(guard, context)
    agent = Agent(
        name="a",
        model=Scripted(),
        tools=[guardrails.protect(send)],
        input_guardrails=[guardrails.input],
        output_guardrails=[guardrails.output],
    )
    try:
        given = text if stage == "input" else "go"
        out = asyncio.run(Runner.run(agent, given, run_config=RunConfig(tracing_disabled=True))).final_output
    except (Input, Output):
        return False, None
    if stage == "tool_input":
        return bool(called), called[0] if called else None
    if stage == "tool_output":
        (result,) = (item["output"] for item in asked[-1] if item.get("type") == "function_call_output")
        return result != guard.config.answers.block, None if result == guard.config.answers.block else result
    return True, out if stage == "output" else text


def mcp(guard, context, stage, text):
    """The middleware of a server of the Model Context Protocol."""
    pytest.importorskip("mcp", reason="mcp is not installed")
    from mcp import Client
    from mcp.server.mcpserver import MCPServer

    from sift_fast.integrations.mcp import SiftMiddleware as Middleware

    called = []
    server = MCPServer("test", middleware=[Middleware(guard, context)])

    @server.tool()
    def send(to: str) -> str:
        """Sends something."""
        called.append(to)
        return text if stage == "tool_output" else "sent"

    async def main():
        async with Client(server) as client:
            return await client.call_tool(TOOL, {"to": text if stage == "tool_input" else "x"})

    result = asyncio.run(main())
    if stage == "tool_input":
        return bool(called), called[0] if called else None
    return not result.is_error, None if result.is_error else result.content[0].text


def starlette(guard, context, stage, text):
    """A service with a web framework: the middleware in its stack, before a route that streams."""
    pytest.importorskip("fastapi", reason="fastapi is not installed")
    from fastapi import FastAPI
    from fastapi.responses import JSONResponse, StreamingResponse

    app = FastAPI()
    app.add_middleware(SiftMiddleware, guard=guard, context=lambda _: context)
    asked = []

    async def chat(request):
        asked.append(await request.json())
        if stage == "output":
            data = MAKE["chat"](text)

            async def pieces():
                for at in range(0, len(data), 7):
                    yield data[at : at + 7]

            return StreamingResponse(pieces(), media_type="text/event-stream")
        return JSONResponse(
            whole("chat", "I call.", [(TOOL, json.dumps({"to": text}))] if stage == "tool_input" else [])
        )

    app.add_route(PATHS["chat"], chat, methods=["POST"])
    turns = {"input": [{"role": "user", "content": text}], "tool_output": TURNS["chat"](text)}.get(
        stage, BODIES["chat"]["messages"]
    )
    status, body = http(app, PATHS["chat"], {"messages": turns})
    if status != 200:
        return False, None
    if stage in {"input", "tool_output"}:
        return True, asked[0]["messages"][-1]["content"]
    if stage == "output":
        seen = Read("chat", body)
        return seen.reason == "stop", seen.text if seen.reason == "stop" else None
    return True, json.loads(unpack("chat", json.loads(body))[1][0][1])["to"]


#: Name, driver, the stages it has, and the stages at which it can edit.
DRIVERS = {
    **{protocol: (api(protocol, streamed=False), STAGES, STAGES) for protocol in ("chat", "messages", "responses")},
    **{
        f"{protocol} streamed": (api(protocol, streamed=True), STAGES[1::2], STAGES)
        for protocol in ("chat", "messages", "responses")
    },
    "service": (service, STAGES, STAGES),
    "fastapi": (starlette, STAGES, STAGES),
    "litellm": (litellm, STAGES, STAGES),
    "litellm over http": (litellm_http, STAGES, ("input", "tool_output", "output")),
    "langchain": (langchain, STAGES, STAGES),
    "openai agents": (openai_agents, STAGES, ("tool_output",)),
    "mcp": (mcp, ("tool_input", "tool_output"), STAGES),
}
