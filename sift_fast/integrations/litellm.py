"""LiteLLM: a guardrail for its proxy, with exact hold-back on streams.

    guardrails:
      - guardrail_name: sift
        litellm_params: {guardrail: my_guard.guardrail, mode: [pre_call, post_call], default_on: true}

and in `my_guard.py`: `guardrail = SiftGuardrail.of(Guard.open("sift.toml"))`. LiteLLM gives a stream's text from its
beginning each time; what comes back is the redacted text and how many of its last characters may still change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from litellm.exceptions import GuardrailRaisedException
from litellm.integrations.custom_guardrail import CustomGuardrail

from sift_fast.guard import RequestContext
from sift_fast.guard.protocols.litellm import LiteLlmGuard
from sift_fast.guard.protocols.openai import Blocked
from sift_fast.guard.verdict import is_id

if TYPE_CHECKING:
    from sift_fast.guard import Guard

__all__ = ["SiftGuardrail", "context_of"]


def context_of(data: Mapping[str, Any]) -> RequestContext:
    """Who asks, from what the proxy has authenticated: the key's team is the tenant."""
    metadata = data.get("litellm_metadata") or data.get("metadata") or {}
    known: dict[str, Any] = dict(metadata) if isinstance(metadata, Mapping) else {}
    get = known.get
    return RequestContext(
        tenant=str(get("user_api_key_team_id") or get("user_api_key_org_id") or "default"),
        user=str(get("user_api_key_end_user_id") or get("user_api_key_user_id") or "") or None,
        conversation=str(data.get("litellm_session_id") or data.get("litellm_trace_id") or "") or None,
        trace_id=named if is_id(named := str(data.get("litellm_call_id") or "")) else None,
        model=str(data.get("model") or "") or None,
    )


class SiftGuardrail(CustomGuardrail):  # type: ignore[misc]
    """A guard in LiteLLM.

    Args:
        guard: decides.
        arguments: as for LiteLLM's `CustomGuardrail`.
    """

    # Anything else would drop what is rewritten, or look at every fifth piece only.
    streaming_transform_mode = "incremental_diff"
    streaming_sampling_rate = 1

    def __init__(self, guard: Guard, **arguments: Any) -> None:
        arguments.setdefault("guardrail_name", "sift_fast")
        super().__init__(**arguments)
        self._checks = LiteLlmGuard(guard)

    @classmethod
    def of(cls, guard: Guard) -> type[SiftGuardrail]:
        """A class that LiteLLM can make by itself, with this guard."""

        class Configured(cls):  # type: ignore[misc, valid-type]
            def __init__(self, **arguments: Any) -> None:
                super().__init__(guard, **arguments)

        return Configured

    async def apply_guardrail(
        self,
        inputs: Any,
        request_data: dict[str, Any],
        input_type: Literal["request", "response"],
        logging_obj: Any = None,  # noqa: ARG002 -- LiteLLM gives it by name
    ) -> Any:
        """Check the texts and tool calls of a request or of an answer."""
        context = context_of(request_data)
        out = dict(inputs)
        texts = list(inputs.get("texts") or ())
        try:
            if input_type == "request":
                out["texts"] = await self._checks.asked(texts, inputs.get("structured_messages"), context)
            else:
                out["texts"], out["stream_holdback_chars"] = await self._checks.answered(texts, context)
                if inputs.get("tool_calls"):
                    given = [
                        call if isinstance(call, dict) else json.loads(call.model_dump_json())
                        for call in inputs["tool_calls"]
                    ]
                    out["tool_calls"] = await self._checks.calls(given, context)
        except Blocked as blocked:
            verdict = blocked.verdict
            failed = verdict.status in {"error", "timeout"}
            raise GuardrailRaisedException(
                guardrail_name=self.guardrail_name,
                message=verdict.message,
                should_wrap_with_default_message=False,
                status_code=503 if failed else 400,
                blocked_content=not failed,
            ) from None
        return out
