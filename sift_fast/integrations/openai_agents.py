"""OpenAI Agents SDK: guardrails for agents and for tools.

    guardrails = sift_guardrails(Guard.open("sift.toml"), context)
    agent = Agent(..., input_guardrails=[guardrails.input], output_guardrails=[guardrails.output],
                  tools=[guardrails.protect(tool) for tool in tools])

The SDK's guardrails stop or let pass; they cannot edit. So what would be redacted at a tool's result is replaced by the
redacted text, and what would be redacted in a tool's arguments, an answer or anything in the input (turns, results of
tools that a session kept or somebody made up, earlier answers) stops it. Its input guardrails run for the first agent
only and its output guardrails for the last: tools are where every agent is checked. They see neither thoughts nor the
events of `Runner.run_streamed`: for these there is `GuardedModel` of `openai_agents_stream` besides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from agents import (
    GuardrailFunctionOutput,
    InputGuardrail,
    OutputGuardrail,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    ToolOutputGuardrail,
)

from sift_fast.guard.protocols.openai import Blocked, check_request
from sift_fast.guard.verdict import Verdict

if TYPE_CHECKING:
    from sift_fast.guard import Guard, RequestContext

__all__ = ["Guardrails", "sift_guardrails"]

#: A placeholder as it is written where it was in the text already.
_ESCAPED = re.compile(r"(<[A-Z][A-Z0-9_]*:[a-z0-9]+~*)~>")


class Guardrails(NamedTuple):
    """One guardrail for each place that the SDK has."""

    input: Any
    output: Any
    tool_input: Any
    tool_output: Any

    def protect(self, tool: Any) -> Any:
        """A function tool with both tool guardrails in front of those it has."""
        tool.tool_input_guardrails = [self.tool_input, *(tool.tool_input_guardrails or ())]
        tool.tool_output_guardrails = [self.tool_output, *(tool.tool_output_guardrails or ())]
        return tool


def sift_guardrails(guard: Guard, context: RequestContext | Callable[[Any], RequestContext]) -> Guardrails:
    """Guardrails of a guard.

    Args:
        guard: decides.
        context: who asks: a `RequestContext`, or a function of the SDK's run context.
    """

    def of(run: Any) -> RequestContext:
        return context(run) if callable(context) else context

    async def check_input(run: Any, _agent: Any, given: Any) -> GuardrailFunctionOutput:
        verdict, stays = await _asked(guard, given, of(run))
        return GuardrailFunctionOutput(_info(verdict), tripwire_triggered=not stays)

    async def check_output(run: Any, _agent: Any, output: Any) -> GuardrailFunctionOutput:
        text = output if isinstance(output, str) else json.dumps(output, default=_dumped)
        verdict = await guard.check_output(text, of(run))
        return GuardrailFunctionOutput(_info(verdict), tripwire_triggered=not _unchanged(verdict))

    async def check_tool_input(data: Any) -> ToolGuardrailFunctionOutput:
        name = data.context.tool_name
        try:
            args = json.loads(data.context.tool_arguments or "{}")
        except ValueError:
            args = None
        if not isinstance(args, dict):
            return ToolGuardrailFunctionOutput.reject_content("the arguments are no JSON object")
        verdict, stays = await _called(guard, name, args, of(data.context))
        if stays:
            return ToolGuardrailFunctionOutput.allow(_info(verdict))
        return ToolGuardrailFunctionOutput.reject_content(
            verdict.message or "the arguments are refused", _info(verdict)
        )

    async def check_tool_output(data: Any) -> ToolGuardrailFunctionOutput:
        result = data.output if isinstance(data.output, str) else json.dumps(data.output, default=_dumped)
        verdict = await guard.check_tool_output(data.context.tool_name, result, of(data.context))
        if _unchanged(verdict):
            return ToolGuardrailFunctionOutput.allow(_info(verdict))
        text = verdict.text if verdict.allowed and verdict.text is not None else verdict.message
        return ToolGuardrailFunctionOutput.reject_content(text, _info(verdict))

    return Guardrails(
        # Before the agent starts, not beside it: a tool that was called is not called back.
        InputGuardrail(check_input, name="sift_fast", run_in_parallel=False),
        OutputGuardrail(check_output, name="sift_fast"),
        ToolInputGuardrail(check_tool_input, name="sift_fast"),
        ToolOutputGuardrail(check_tool_output, name="sift_fast"),
    )


def _unchanged(verdict: Verdict) -> bool:
    return verdict.decision in {"allow", "flag"}


def _info(verdict: Verdict) -> dict[str, Any]:
    """What traces may hold: no text."""
    return {
        "decision": verdict.decision,
        "reason": verdict.reason,
        "status": verdict.status,
        "message": verdict.message,
        "policy_version": verdict.policy_version,
    }


def _dumped(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)


async def _called(guard: Guard, name: str, args: dict[str, Any], context: RequestContext) -> tuple[Verdict, bool]:
    """What is decided about a call, and whether it stays as it is: with other arguments it is not made."""
    held = guard.hold()
    verdict = await guard.check_tool_input(name, args, context, held=held)
    if verdict.allowed and verdict.value == args:
        stopped = await held.release()
        return stopped or verdict, stopped is None
    held.give_back()
    return verdict, False


async def _asked(guard: Guard, given: Any, context: RequestContext) -> tuple[Verdict, bool]:
    """What is decided about a request, and whether it stays as it is: whatever is in it, as in front of a model."""
    if isinstance(given, str):
        verdict = await guard.check_input(given, context)
        return verdict, _unchanged(verdict)
    try:
        items = json.loads(json.dumps(given, default=_dumped))
        checked = (await check_request(guard, {"input": items}, context))["input"]
    except Blocked as blocked:
        return blocked.verdict, False
    except Exception:  # noqa: BLE001 -- what cannot be read does not reach the model
        return guard.refuse("input", "guard.check", context, status="error"), False
    stays = _unescaped(checked) == items
    return Verdict("allow" if stays else "redact", "input", policy_version=guard.config.hash), stays


def _unescaped(value: Any) -> Any:
    """Items as they were where nothing but placeholders in them was escaped: here, those of tools' results stay."""
    if isinstance(value, str):
        return _ESCAPED.sub(r"\1>", value)
    if isinstance(value, dict):
        return {key: _unescaped(inner) for key, inner in value.items()}
    return [_unescaped(inner) for inner in value] if isinstance(value, list) else value
