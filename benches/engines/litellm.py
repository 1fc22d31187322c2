"""LiteLLM's built-in content filter: the guardrail of its proxy, with the patterns it ships.

`stream` drives `async_post_call_streaming_iterator_hook` with the chunks a model's answer arrives in;
`runner` is the same filter on a whole text with all its patterns on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from benches.engines import sift_fast
from benches.engines.base import Runner, StreamEngine, require, version_of

PACKAGE = "litellm fastapi"

#: Our kind -> the name of the pattern that LiteLLM ships for it.
PATTERNS = {
    "email": "email",
    "url": "url",
    "credit_card": "credit_card",
    "github": "github_token",
    "slack": "slack_token",
}

#: Its patterns for secrets and personal data -> what we call the same. Its others (hate, weapons, codes of airlines)
#: are no job of ours; those of passports and health numbers that we have no rule for are left out by program.
ENTITIES = {
    "us_ssn": "US_SSN",
    "us_ssn_no_dash": "US_SSN",
    "email": "EMAIL_ADDRESS",
    "us_phone": "PHONE_NUMBER",
    "visa": "CREDIT_CARD",
    "mastercard": "CREDIT_CARD",
    "amex": "CREDIT_CARD",
    "discover": "CREDIT_CARD",
    "credit_card": "CREDIT_CARD",
    "aws_access_key": "AWS_ACCESS_KEY",
    "aws_secret_key": "AWS_SECRET_KEY",
    "github_token": "GITHUB_TOKEN",
    "slack_token": "SLACK_TOKEN",
    "ipv4": "IP_ADDRESS",
    "ipv6": "IP_ADDRESS",
    "url": "URL",
    "passport_us": "US_PASSPORT",
    "passport_uk": "UK_PASSPORT",
    "passport_germany": "DE_PASSPORT",
    "passport_india": "IN_PASSPORT",
    "nl_bsn_contextual": "NL_BSN",
    "br_cpf": "BR_CPF",
    "br_cpf_unformatted": "BR_CPF",
    "br_phone_landline": "PHONE_NUMBER",
    "br_phone_mobile": "PHONE_NUMBER",
    "au_tfn": "AU_TFN",
    "au_abn": "AU_ABN",
    "au_medicare": "AU_MEDICARE",
    "iban": "IBAN_CODE",
    "eu_iban_enhanced": "IBAN_CODE",
    "fr_nir": "FR_NIR",
    "fr_phone": "PHONE_NUMBER",
    "street_address": "STREET_ADDRESS",
    "sg_nric": "SG_NRIC_FIN",
    "sg_phone": "PHONE_NUMBER",
    "sg_uen": "SG_UEN",
    "ca_sin": "CA_SIN",
    "ca_ohip": "CA_HEALTH_NUMBER",
    "ca_postal_code": "CA_POSTAL_CODE",
}

FILTER = "litellm.proxy.guardrails.guardrail_hooks.litellm_content_filter"


def _modules() -> tuple[Any, Any, Any]:
    return _module(f"{FILTER}.content_filter"), _module("litellm.types.guardrails"), _module("litellm.types.utils")


def _module(name: str) -> Any:
    # Without it the import fetches a price list from the network.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    return require(name, PACKAGE)


def _shipped() -> list[str]:
    """The names of all patterns in the file it ships."""
    names: list[str] = _module(f"{FILTER}.patterns").get_all_pattern_names()
    return names


def _guardrail(content_filter: Any, guardrails: Any, names: Sequence[str]) -> Any:
    mask = guardrails.ContentFilterAction.MASK
    patterns = [
        guardrails.ContentFilterPattern(pattern_type="prebuilt", pattern_name=name, action=mask) for name in names
    ]
    return content_filter.ContentFilterGuardrail(guardrail_name="bench", patterns=patterns)


def shared(rules: Sequence[str]) -> dict[str, str]:
    """Its shipped patterns that our rule sets have a rule for: name -> entity."""
    known = {rule.entity_type for rule in sift_fast.module().Scanner(rules=list(rules)).rules}
    return {name: ENTITIES[name] for name in _shipped() if ENTITIES.get(name) in known}


def runner(rules: Sequence[str]) -> Runner:
    """All its patterns, masking: what a proxy with everything switched on does to one message."""
    del rules
    names = _shipped()
    return _runner("litellm_patterns", names, f"all {len(names)} shipped patterns")


def runner_shared(rules: Sequence[str]) -> Runner:
    """The patterns of what our rule sets find too."""
    names = list(shared(rules))
    return _runner("litellm_shared", names, f"the {len(names)} shipped patterns of entities that both have")


def _runner(name: str, names: Sequence[str], what: str) -> Runner:
    content_filter, guardrails, _ = _modules()
    guardrail = _guardrail(content_filter, guardrails, names)

    def scan(text: str) -> list[Any]:
        detections: list[Any] = []
        guardrail._filter_single_text(text, detections)
        return detections

    return Runner(
        name=name,
        version=version_of("litellm"),
        settings=f"content filter, {what}, mask",
        scan=scan,
        count=len,
        read=len,
        redact=lambda text: str(guardrail._filter_single_text(text)),
        facts={"patterns": len(names)},
    )


class _Stream:
    name = "litellm"
    settings = "content filter, one shipped pattern per kind, mask"
    complete = True

    def __init__(self) -> None:
        content_filter, guardrails, self._types = _modules()
        self.version = version_of("litellm")
        self._guardrails = {kind: _guardrail(content_filter, guardrails, [name]) for kind, name in PATTERNS.items()}
        self._loop = asyncio.new_event_loop()

    def covers(self, kind: str) -> bool:
        return kind in self._guardrails

    def whole(self, kind: str, text: str) -> str:
        masked = self._guardrails[kind]._filter_single_text(text)
        return str(masked)

    def _chunk(self, text: str, last: bool) -> Any:
        types = self._types
        delta = types.Delta(content=text, role="assistant")
        choice = types.StreamingChoices(index=0, delta=delta, finish_reason="stop" if last else None)
        return types.ModelResponseStream(choices=[choice])

    def run(self, kind: str, chunks: Sequence[str]) -> list[str]:
        items = [self._chunk(text, False) for text in chunks]
        items.append(self._chunk("", True))

        async def source() -> AsyncIterator[Any]:
            for item in items:
                yield item

        async def collect() -> list[str]:
            hook = self._guardrails[kind].async_post_call_streaming_iterator_hook(None, source(), {"metadata": {}})
            return [item.choices[0].delta.content or "" async for item in hook]

        return self._loop.run_until_complete(collect())

    def feeder(self, kind: str) -> Callable[[str], Callable[[], int]]:
        # The hook pulls from an iterator: the pull is driven by hand, so that one `anext` is one feed.
        pending: list[Any] = []

        async def source() -> AsyncIterator[Any]:
            while True:
                yield pending.pop()

        hook = self._guardrails[kind].async_post_call_streaming_iterator_hook(None, source(), {"metadata": {}})

        def prepare(text: str) -> Callable[[], int]:
            pending.append(self._chunk(text, False))

            def call() -> int:
                # The hook never waits for anything here, so its first step is its whole work.
                try:
                    hook.__anext__().send(None)
                except StopIteration as done:
                    return len(done.value.choices[0].delta.content or "")
                raise RuntimeError("the LiteLLM hook waited for something; its time is not comparable")

            return call

        return prepare


def stream(rules: Sequence[str]) -> StreamEngine:
    """Its shipped patterns, one guardrail per kind."""
    del rules
    return _Stream()
