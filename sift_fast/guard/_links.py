"""Hosts that an answer loads from where it is shown, or links to: as a browser and a Markdown renderer read them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

__all__ = ["loads"]

#: Characters before an address in which the construct that it stands in must begin.
_BACK = 1_500
#: Characters in which it ends.
_TAIL = 64
_GAP = r"[\t\r\n]*"
_SCHEME = re.compile(
    rf"\b(?:{'|'.join(_GAP.join(name) for name in ('https', 'http', 'ftp', 'wss', 'ws'))}){_GAP}\Z", re.IGNORECASE
)
#: Browsers take any number of slashes, either way round, and drop tabs and line ends.
_BEGIN = re.compile(rf":(?P<slashes>[/\\\t\r\n]*+)|(?<![/\\])[/\\]{_GAP}[/\\][/\\]*+")
_AUTHORITY = re.compile(r"([^\s/?#\\<>]++)(?=([\s/?#\\<>]))")
#: Characters in which a scheme stands.
_NAME = 32
_REST = re.compile(r"[^\s/?#<>]++")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,31});?", re.IGNORECASE)
_ENDS = re.compile(r"[\"'()\]`]")
_HOST = re.compile(r"[\w.-]+")
_MARKDOWN = re.compile(r"(\])\(\s*<?\s*\Z")
_DEFINITION = re.compile(r"^[ \t>*+.)\d-]{0,20}\[(?:\\.|[^\]\\]){1,999}\]:\s*<?\s*\Z", re.MULTILINE)
_CSS = re.compile(r"(?:(?:url|image|image-set|src)\(|@import)\s*[\"']?\s*\Z", re.IGNORECASE)
_CLOSED = re.compile(r"<[a-z](?:[^\"'>]++|\"[^\"]*+\"|'[^']*+')*+>", re.IGNORECASE)
_TAG = re.compile(r"<([a-z][^\s/>=]*)[^=]*=", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([^\s\"'=<>/]+)\s*=\s*[\"']?\s*\Z")


def loads(text: str, *, goes_on: bool = False) -> Iterator[tuple[tuple[str, ...], bool, bool]]:
    """Addresses with a host.

    Args:
        text: of an answer.
        goes_on: whether more of it follows: a host at its end may not be whole.

    Yields:
        The hosts that an address may be taken to name, of which the first or the last is meant; whether it is loaded
        where the text is shown, as images are; whether it is a link, in plain text or in a construct.

    Example:
        >>> list(loads("![a](https://a.example/x) and https://b.example/y"))
        [(('a.example',), True, False), (('b.example',), False, True)]
    """
    if "&" in text:
        text = _ENTITY.sub(_decoded, text)
    if not goes_on:
        text += "\n"
    for begun, slashes, authority in _addresses(text):
        shown, linked = _place(text[max(0, begun - _BACK) : begun], text)
        plain = "/" in slashes.replace("\\", "/")
        if shown or linked or plain:
            yield _hosts(authority), shown, linked or (plain and not shown)


def _addresses(text: str) -> Iterator[tuple[int, str, str]]:
    """Where an address begins, the slashes behind its scheme, and its authority, once it has an end."""
    read = 0
    for begin in _BEGIN.finditer(text):
        begun = begin.start()
        scheme = None
        if begin["slashes"] is not None:
            scheme = _SCHEME.search(text, max(0, begun - _NAME), begun)
            if scheme is None:
                continue
            begun = scheme.start()
        # Not within the host of the address before it.
        match = _AUTHORITY.match(text, begin.end()) if begun >= read else None
        if match is None:
            continue
        read = match.end()
        authority = match[1]
        if match[2] == "\\":
            # The end for a browser, and for Markdown perhaps nothing but a mark in front of the next character.
            rest = _REST.match(text, match.end())
            authority += "@" + (rest[0].replace("\\", "") if rest else "")
        yield begun, begin["slashes"] or "", authority


def _decoded(match: re.Match[str]) -> str:
    """An entity; one of a bracket or an ampersand is what it says, and begins nothing."""
    character = html.unescape(match[0])
    return match[0] if character in "<>&" else character


def _hosts(authority: str) -> tuple[str, ...]:
    """Hosts of an authority: what ends it elsewhere may stand in the name of a user in front of the host."""
    found = [_ENDS.split(authority, maxsplit=1)[0], _ENDS.split(authority.rpartition("@")[2], maxsplit=1)[0]]
    hosts = [re.sub(r":\d*\Z", "", one.rpartition("@")[2]).rstrip(".,;:!?*_~").casefold() for one in found]
    # Anything else is no name of the application's, whatever it ends with.
    return tuple(dict.fromkeys(host if _HOST.fullmatch(host) else "" for host in hosts))


def _place(before: str, text: str) -> tuple[bool, bool]:
    """Whether what follows is loaded, and whether it is linked."""
    tail = before.rstrip()[-_TAIL:]
    markdown = _MARKDOWN.search(tail)
    if markdown is not None:
        image = _is_image(before, len(before.rstrip()) - len(tail) + markdown.start(1))
        return image, not image
    if _CSS.search(tail) is not None:
        return True, False
    if tail.endswith((":", ":<")) and _DEFINITION.search(before) is not None:
        return "![" in text, True
    lower = before.lower()
    if lower.rfind("<style") > lower.rfind("</style"):
        return True, False
    tag = _open_tag(before)
    if tag is None:
        return False, False
    attribute = _ATTRIBUTE.search(tail)
    link = tag in {"a", "area"} and attribute is not None and attribute[1].lower() == "href"
    return not link, link


def _is_image(before: str, end: int) -> bool:
    """Whether the bracket that closes here was opened by an image's."""
    depth, at = 1, end
    while depth:
        at = max(before.rfind("[", 0, at), before.rfind("]", 0, at))
        if at < 0:
            return "![" in before
        run = before[:at]
        if (at - len(run.rstrip("\\"))) % 2 == 0:
            depth += 1 if before[at] == "]" else -1
    return before[at - 1 : at] == "!"


def _open_tag(before: str) -> str | None:
    """The name of the HTML tag in whose attributes a text ends; None if it ends in none."""
    tag = _TAG.search(_CLOSED.sub("", before))
    return tag[1].lower() if tag is not None else None
