"""Rules made from the configuration: word lists, topics and canaries join the shared scan.

A text is read once however many lists there are, with the engine that reads everything else.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping

from sift_fast.errors import ConfigError, RuleError
from sift_fast.guard._code import rules_for
from sift_fast.guard.config import (
    CodeConfig,
    GuardConfig,
    GuardrailConfig,
    PromptLeakConfig,
    TopicsConfig,
    WordsConfig,
    read_text,
)
from sift_fast.scanner import Scanner
from sift_fast.types import Limits

__all__ = ["Owners", "make_scanner"]

#: Rule id to the guardrail that it was made for and, for topics, the topic.
Owners = dict[str, tuple[str, str]]

_MAX_PHRASE = 200
_MAX_PHRASES = 10_000


def make_scanner(config: GuardConfig) -> tuple[Scanner, Owners]:
    """The scanner that all guardrails share, and whose its made rules are.

    Raises:
        ConfigError: a phrase is too short or too long, or the scanner's settings are wrong.
        RuleError: a rule document is wrong.
    """
    documents: list[str] = []
    owners: Owners = {}
    for name, table in config.guardrails.items():
        if config.runs(name):
            _collect(config, name, table, documents, owners)
    settings = config.scanner
    limits = Limits(text_bytes=settings.text_bytes, time_ms=settings.time_ms)
    files = [config.path(file) for file in settings.rule_files]

    def scanner(more: list[str]) -> Scanner:
        return Scanner(
            list(settings.rules),
            rule_files=[*files, *more],
            exclude=list(settings.exclude),
            allow_list=list(settings.allow_list),
            decode=settings.decode,
            limits=limits,
        )

    if not documents:
        return scanner([]), owners
    # The document holds canaries: a private file, for as long as it takes to compile.
    handle, path = tempfile.mkstemp(suffix=".toml", prefix="sift-guard-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("\n".join(documents))
        try:
            return scanner([path]), owners
        except RuleError as error:
            if path in str(error) or os.path.basename(path) in str(error):
                raise ConfigError("a word list, topic or canary of the configuration cannot be compiled") from None
            raise
    finally:
        os.unlink(path)


def _collect(config: GuardConfig, name: str, table: GuardrailConfig, documents: list[str], owners: Owners) -> None:
    if isinstance(table, WordsConfig):
        _add(documents, owners, name, "", "content", _words(config, name, table), f"`{name}`")
    elif isinstance(table, TopicsConfig):
        for side, topics in (("deny", table.deny), ("allow", table.allow)):
            for topic, entry in topics.items():
                _add(documents, owners, name, f"{side}:{topic}", "content", entry.phrases, f"`{name}.{side}.{topic}`")
    elif isinstance(table, CodeConfig):
        for rule in rules_for(table.languages):
            number = f"leak.guard.{_slug(name)}-{len(documents)}"
            owners[number] = (name, "")
            documents.append(_toml({"id": number, **rule}))
    elif isinstance(table, PromptLeakConfig):
        short = [canary for canary in table.canaries if len(canary.strip()) < 8]
        if short:
            raise ConfigError(f"`{name}`: a canary needs at least 8 characters, or it is found by chance")
        _add(documents, owners, name, "canary", "secret", table.canaries, f"`{name}`")


def _words(config: GuardConfig, name: str, table: WordsConfig) -> list[str]:
    words = list(table.words)
    if table.file:
        words += read_text(config.path(table.file)).splitlines()
        if not any(map(str.strip, words)):
            raise ConfigError(f"`{name}`: there is no word in its `file`: nothing would be found")
    return words


def _add(
    documents: list[str],
    owners: Owners,
    name: str,
    part: str,
    category: str,
    phrases: Iterable[str],
    where: str,
) -> None:
    wanted = sorted({" ".join(phrase.split()) for phrase in phrases if phrase.strip()})
    if not wanted:
        return
    if len(wanted) > _MAX_PHRASES or max(map(len, wanted)) > _MAX_PHRASE:
        raise ConfigError(f"{where}: at most {_MAX_PHRASES} phrases of at most {_MAX_PHRASE} characters each")
    number = len(documents)
    entity = "PROMPT_CANARY" if part == "canary" else "DENIED_TOPIC" if part else "DENIED_WORD"
    rule = f"{category}.guard.{_slug(name)}-{number}"
    owners[rule] = (name, part)
    documents.append(
        _toml(
            {
                "id": rule,
                "title": f"Phrases of {_slug(name)}",
                "entity": entity,
                "severity": "high",
                "score": 0.95,
                "pattern": "(?i)(" + "|".join(_pattern(phrase, whole=part != "canary") for phrase in wanted) + ")",
                "literal_reason": "the application's own words",
                "examples": [wanted[0]],
                "negatives": ["~"],
            }
        )
    )


def _pattern(phrase: str, *, whole: bool) -> str:
    # A canary is one wherever it stands; a word is one by itself.
    words = []
    for word in phrase.split(" "):
        escaped = "".join(re.escape(character) if character.isascii() else f"(?u:{character})" for character in word)
        words.append(escaped)
    body = r"\s{1,8}".join(words)
    if not whole:
        return body
    left = r"\b" if re.match(r"\w", phrase[0], re.ASCII) else ""
    right = r"\b" if re.match(r"\w", phrase[-1], re.ASCII) else ""
    return f"{left}{body}{right}"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "list"


def _toml(rule: Mapping[str, object]) -> str:
    # JSON strings without surrogates are TOML basic strings; DEL aside, which no phrase needs.
    return "[[rule]]\n" + "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False).replace(chr(127), '')}\n" for key, value in rule.items()
    )
