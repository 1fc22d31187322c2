"""Hosts that an answer loads from where it is shown, or links to: as a browser and a Markdown renderer read them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator

__all__ = ["loads"]

#: Characters before an address in which the construct that it stands in must begin.
_BACK = 1_500
#: Characters in which it ends.
_TAIL = 64
_GAP = r"[\t\r\n]*"
_SCHEME = re.compile(
    rf"\b(?:{'|'.join(_GAP.join(name) for name in ('https', 'http', 'ftp', 'wss', 'ws'))}){_GAP}\Z", re.IGNORECASE
)
#: What the name of a scheme ends with; the long s is one of them where case does not count.
_SCHEME_ENDS = frozenset("pPsS\u017f\t\r\n")
#: Most schemes are spelled out; a longer one has something in it.
_SPELLED = re.compile(r"\b(?:https|http|ftp|wss|ws)\Z", re.IGNORECASE)
_LONGEST = 6
#: Browsers take any number of slashes, either way round, and drop tabs and line ends. It begins with one of three
#: characters, for which texts are searched fast; what stands before a slash is looked at behind it.
_BEGIN = re.compile(rf"[:/\\](?:(?<=:)(?P<slashes>[/\\\t\r\n]*+)|(?<=[/\\])(?<![/\\][/\\]){_GAP}[/\\][/\\]*+)")
#: The same where none of these is in the text: pages are full of single slashes.
_ODD = ("\\", "/\t", "/\r", "/\n")
_BEGIN_PLAIN = re.compile(r":(?P<slashes>[/\t\r\n]*+)|//++")
_AUTHORITY = re.compile(r"([^\s/?#\\<>]++)(?=([\s/?#\\<>]))")
#: Characters in which a scheme stands.
_NAME = 32
_REST = re.compile(r"[^\s/?#<>]++")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,31});?", re.IGNORECASE)
_ENDS = re.compile(r"[\"'()\]`]")
_HOST = re.compile(r"[\w.-]+")
_PORT = re.compile(r":\d*\Z")
_DEFINITION = re.compile(r"^[ \t>*+.)\d-]{0,20}\[(?:\\.|[^\]\\]){1,999}\]:\s*<?\s*\Z", re.MULTILINE)
_CSS = re.compile(r"(?:(?:url|image|image-set|src)\(|@import)\s*[\"']?\s*\Z", re.IGNORECASE)
_TAGGED = r"<[a-z](?:[^\"'>]++|\"[^\"]*+\"|'[^']*+')*+>"
_CLOSED = re.compile(_TAGGED, re.IGNORECASE)
#: What is no tag, or one that is closed. A bracket at the end may be the beginning of one.
_OUTSIDE = re.compile(rf"(?:[^<]++|<(?![a-z]|\Z)|{_TAGGED})*+", re.IGNORECASE)
_TAG = re.compile(r"<([a-z][^\s/>=]*)[^=]*=", re.IGNORECASE)
_HREF = re.compile(r"(?:\A|[\s\"'=<>/])href\Z", re.IGNORECASE)


def loads(
    text: str, *, goes_on: bool = False, but: Callable[[str], bool] | None = None
) -> Iterator[tuple[tuple[str, ...], bool, bool]]:
    """Addresses with a host.

    Args:
        text: of an answer.
        goes_on: whether more of it follows: a host at its end may not be whole.
        but: hosts that are of no interest: what names nothing but them is left out.

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
    tags = _Tags(text)
    for begun, slashes, authority in _addresses(text):
        hosts = _hosts(authority)
        if but is not None and all(map(but, hosts)):
            continue
        shown, linked = _place(text, begun, tags)
        plain = "/" in slashes or "\\" in slashes
        if shown or linked or plain:
            yield hosts, shown, linked or (plain and not shown)


def _addresses(text: str) -> Iterator[tuple[int, str, str]]:
    """Where an address begins, the slashes behind its scheme, and its authority, once it has an end."""
    read = 0
    begins = _BEGIN if any(mark in text for mark in _ODD) else _BEGIN_PLAIN
    for begin in begins.finditer(text):
        begun = begin.start()
        scheme = None
        if begin["slashes"] is not None:
            if text[begun - 1 : begun] not in _SCHEME_ENDS:
                continue
            scheme = _SPELLED.search(text, max(0, begun - _LONGEST), begun)
            if scheme is None:
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
    if _HOST.fullmatch(authority):
        return (authority.rstrip("._").casefold(),)
    found = [_ENDS.split(authority, maxsplit=1)[0], _ENDS.split(authority.rpartition("@")[2], maxsplit=1)[0]]
    hosts = [_PORT.sub("", one.rpartition("@")[2]).rstrip(".,;:!?*_~").casefold() for one in found]
    # Anything else is no name of the application's, whatever it ends with.
    return tuple(dict.fromkeys(host if _HOST.fullmatch(host) else "" for host in hosts))


def _place(text: str, begun: int, tags: _Tags) -> tuple[bool, bool]:
    """Whether what begins there is loaded, and whether it is linked."""
    before = text[max(0, begun - _BACK) : begun]
    bare = before.rstrip()
    tail = bare[-_TAIL:]
    bracket = tail[:-1].rstrip() if tail.endswith("<") else tail
    if bracket.endswith("]("):
        image = _is_image(before, len(bare) - len(tail) + len(bracket) - 2)
        return image, not image
    quoted = tail[:-1].rstrip() if tail.endswith(('"', "'")) else tail
    if quoted.endswith(("(", "t", "T")) and _CSS.search(tail) is not None:
        return True, False
    if tail.endswith((":", ":<")) and _DEFINITION.search(before) is not None:
        return "![" in text, True
    if "<" not in before:
        return False, False
    if tags.style:
        lower = before.lower()
        if lower.rfind("<style") > lower.rfind("</style"):
            return True, False
    tag = tags.open_at(begun)
    if tag is None:
        return False, False
    link = tag in {"a", "area"} and quoted.endswith("=") and _HREF.search(quoted[:-1].rstrip()) is not None
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


class _Tags:
    """The HTML tags of a text.

    Attributes:
        style: whether there is a sheet in it.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self.style = "<" in text and "<style" in text.lower()
        #: Where reading began, and up to where there is no tag that is open.
        self._begun = self._read = 0

    def open_at(self, place: int) -> str | None:
        """The name of the tag in whose attributes a place lies; None if it lies in none. Places do not go back."""
        begun = max(0, place - _BACK)
        if begun != self._begun:
            self._begun = self._read = begun
        match = _OUTSIDE.match(self._text, self._read, place)
        assert match is not None  # noqa: S101 -- it matches nothing at all too
        self._read = match.end()
        if self._read == place:
            return None
        tag = _TAG.search(_CLOSED.sub("", self._text[self._read : place]))
        return tag[1].lower() if tag is not None else None
