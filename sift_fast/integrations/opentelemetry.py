"""OpenTelemetry (opentelemetry-api 1.x): what the guard puts on record, as events of spans, a counter and a histogram.

    guard = Guard.open("sift.toml", sinks=[OpenTelemetrySink()])

What the application has set up decides where they go; without an SDK the API drops them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sift_fast.errors import ConfigError
from sift_fast.guard.otel import EVENT_NAME, of_event

__all__ = ["OpenTelemetrySink"]


class OpenTelemetrySink:
    """Takes events of verdicts to OpenTelemetry: to the current span, the counter `gen_ai.guardrail.verdicts` and the
    histogram `gen_ai.guardrail.duration`, seconds. No content, no user and no tenant.

    Raises:
        ConfigError: the package `opentelemetry-api` is not installed.
    """

    def __init__(self) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError:
            raise ConfigError(
                "telemetry needs a package that is not installed: `pip install opentelemetry-api`"
            ) from None
        meter = metrics.get_meter("sift_fast")
        self._trace = trace
        self._verdicts = meter.create_counter("gen_ai.guardrail.verdicts", "1", "Verdicts that are on record.")
        self._duration = meter.create_histogram("gen_ai.guardrail.duration", "s", "What such a verdict took.")

    def write(self, event: Mapping[str, Any]) -> None:
        """Take one event; what people decide later is of no request, and left out."""
        if event["type"] != "verdict":
            return
        few = {
            "gen_ai.guardrail.source": event["stage"],
            "gen_ai.guardrail.result.type": event["status"],
            "gen_ai.guardrail.result.value": event["decision"],
        }
        self._verdicts.add(1, few)
        self._duration.record(event["latency_us"] / 1e6, few)
        self._trace.get_current_span().add_event(EVENT_NAME, of_event(event))
