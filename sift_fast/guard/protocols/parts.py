"""Contents of messages as frameworks keep them: texts, or parts that are texts, pages, thoughts, bytes.

What a user or a tool says is one text for the guard, its parts one below the other; what a model says is a list of
texts, and of strings beside them. Structured answers are read as the JSON that they are. Knows no framework.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sift_fast.guard._json import render
from sift_fast.guard.protocols.openai import OPAQUE

__all__ = ["beside", "dumped", "edited", "mapped", "rebuilt", "said", "strings", "texts", "with_text"]

Content = str | list[Any]
#: Parts that are no text, but for what stands under some names.
_BYTES = {"image", "image_url", "audio", "input_audio", "video", "file", "media"}
_TEXTS = {"text", "title", "caption", "context", "name", "filename"}
#: Parts that are calls: their arguments are checked when the tool is called.
_CALLS = {"tool_use", "tool_call", "tool_call_chunk", "server_tool_call", "function_call", "invalid_tool_call"}
#: Strings up to this many characters beside the texts say nothing.
_SHORT = 7
_SPACE = re.compile(r"\s")


# --- what users and tools say -----------------------------------------------------------------------------------------


def said(content: Content, name: str | None = None) -> str:
    r"""All that a model reads of what a user or a tool says, as one text.

    Args:
        content: of a message.
        name: what a user calls himself, which a model is shown too.

    Example:
        >>> said([{"type": "text", "text": "Look:"}, {"type": "image", "data": "aGVsbG8"}, "so."])
        'Look:\nso.'
    """
    parts = [content] if isinstance(content, str) else [_part(part) for part in content]
    if name is not None and len(name) > _SHORT:
        parts.append(name)
    return "\n".join(part for part in parts if part)


def _part(part: Any) -> str:
    """The text of a part: a document or a search result is one as a whole."""
    if isinstance(part, str):
        return part
    text = part.get("text")
    said = text if isinstance(text, str) else ""
    beside = _spoken({key: value for key, value in part.items() if key != "text" or not said}, _is_bytes(part))
    return "\n".join(each for each in (said, render(beside) if beside else "") if each)


def _is_bytes(part: Any) -> bool:
    return part.get("type") in _BYTES


def _spoken(value: Any, bare: bool) -> Any:
    """What of a part is text: without names of the protocol, and bytes where it holds some; None for nothing."""
    if isinstance(value, Mapping):
        out = {}
        for key, inner in value.items():
            quiet = key in OPAQUE or (bare and key not in _TEXTS)
            # What has a space in it is no name, and no bytes.
            if isinstance(inner, str) and quiet and _SPACE.search(inner) is None:
                continue
            if (said := _spoken(inner, bare)) is not None:
                out[key] = said
        return out or None
    if isinstance(value, list):
        return [said for inner in value if (said := _spoken(inner, bare)) is not None] or None
    return value if isinstance(value, str) else None


def _bare(content: list[Any]) -> list[Any]:
    """What stays of parts whose texts are replaced: bytes, and nothing that says something."""
    held = [part for part in content if isinstance(part, dict) and _is_bytes(part)]
    return [{key: value for key, value in part.items() if _spoken({key: value}, True) is None} for part in held]


def with_text(content: Content, text: str) -> Content:
    """A content with another text; parts that are no text stay.

    Args:
        content: of a message of a user or a tool.
        text: what is said in it now.
    """
    return text if isinstance(content, str) else [{"type": "text", "text": text}, *_bare(content)]


# --- what a model says ------------------------------------------------------------------------------------------------


def texts(content: Content) -> list[str]:
    """The texts of an answer."""
    parts = [content] if isinstance(content, str) else content
    return [text for part in parts if (text := _text_of(part))]


def _text_of(part: Any) -> str | None:
    text = part if isinstance(part, str) else part.get("text")
    return text if isinstance(text, str) else None


def beside(content: Content) -> Iterator[str]:
    """What an answer says beside its texts: thoughts, citations, what a provider adds."""
    for part in () if isinstance(content, str) else content:
        if isinstance(part, dict) and part.get("type") not in _CALLS:
            whole = _text_of(part) is None
            yield from strings({key: value for key, value in part.items() if whole or key != "text"})


def strings(value: Any, key: str = "") -> Iterator[str]:
    """Strings of containers, but for names of the protocol and what is too short to say something."""
    if isinstance(value, str):
        if len(value) > _SHORT and (key not in OPAQUE or _SPACE.search(value) is not None):
            yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from strings(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def edited(content: Content, changed: Mapping[str, str]) -> Content:
    """The content of an answer with each string as it may be shown.

    Args:
        content: of an answer.
        changed: what becomes of its texts, by themselves or joined by line ends, and of what stands beside them.
    """
    if isinstance(content, str):
        return changed.get(content, content)
    whole = "\n".join(texts(content))
    if changed.get(whole, whole) == whole:
        return mapped(content, changed)  # type: ignore[no-any-return]
    rest = [part for part in content if isinstance(part, dict) and _text_of(part) is None]
    return [{"type": "text", "text": changed[whole]}, *mapped(rest, changed)]


def mapped(value: Any, changed: Mapping[str, str]) -> Any:
    """Containers with some of their strings replaced."""
    if isinstance(value, str):
        return changed.get(value, value)
    if isinstance(value, Mapping):
        return {key: mapped(inner, changed) for key, inner in value.items()}
    return [mapped(inner, changed) for inner in value] if isinstance(value, list) else value


# --- structured answers -----------------------------------------------------------------------------------------------


def dumped(value: Any) -> str:
    """A structured answer as JSON: a pydantic model, a dataclass, or containers."""
    if hasattr(value, "model_dump_json"):
        return str(value.model_dump_json())
    fields = dataclasses.asdict(value) if _is_dataclass(value) else value
    return json.dumps(fields, default=str)


def _is_dataclass(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def rebuilt(value: Any, text: str) -> Any:
    """The same structured answer from other JSON.

    Raises:
        ValueError: it does not fit any more.
    """
    if hasattr(value, "model_validate_json"):
        return type(value).model_validate_json(text)
    made = json.loads(text)
    return type(value)(**made) if _is_dataclass(value) else made
