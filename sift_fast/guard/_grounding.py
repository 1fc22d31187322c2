"""Grounding: numbers, dates, quotes, links, names and citations of an answer that no source holds.

Deterministic: numbers and dates are compared by what they say (`48.3 million` is `48,300,000`, `14 March 2024` is
`2024-03-14`), the rest literally. What is said in other words is not judged.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from sift_fast.guard._checks import Call, Check
from sift_fast.guard.verdict import Signal

if TYPE_CHECKING:
    from sift_fast.guard._memory import Memory
    from sift_fast.guard.config import GroundingConfig

__all__ = ["Answer", "Grounding", "may_end", "settled"]

#: Words for powers of ten, by their beginnings; English and German, French and Spanish where they are the same.
_SCALES = {"thousand": 3, "tausend": 3, "million": 6, "millon": 6, "mio": 6, "billion": 9, "bn": 9, "milliard": 9}
_SCALES |= {"mrd": 9, "trillion": 12}
_SCALE = r"(?:thousand|tausend|milliarden?|milliards?|millionen|millions?|millones|mio|billions?|bn|mrd|trillions?)\b"
_NUMBER = re.compile(
    rf"(?<![\w.])(\d[\d,.\u00a0']*)(?:(%|[ \u00a0](?:%|percent\b|per cent\b|prozent\b))|[ \u00a0]({_SCALE}))?",
    re.IGNORECASE,
)
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan", "feb", "mar mär", "apr", "may mai", "jun", "jul", "aug", "sep", "oct okt", "nov", "dec dez"), 1
    )
    for name in names.split()
}
_MONTH = rf"(?P<{{}}>{'|'.join(_MONTHS)})[a-zä]*\.?"
_DATE = re.compile(
    r"\b(?:(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})|(?P<one>\d{1,2})[./](?P<other>\d{1,2})[./](?P<short>\d{2,4})"
    rf"|(?:(?P<before>\d{{1,2}})(?:\.|st|nd|rd|th)? (?:of )?)?{_MONTH.format('name')} "
    r"(?:(?P<after>\d{1,2})(?:st|nd|rd|th)?,? )?(?P<late>\d{4}))\b",
    re.IGNORECASE,
)
#: A straight mark opens where no word ends before it: the mark of an inch opens nothing, nor does one that closes.
_OPENS = r"(?<![\w.,!?%)\]])[\"\u201c\u201e](?=\S)"
_QUOTE = re.compile(_OPENS + r"([^\"\u201c\u201d\u201e]{12,400})[\"\u201d\u201c]")
_OPENED = re.compile(_OPENS)
#: Characters from where a quote begins to one past where it may end.
_LONGEST_QUOTE = 402
_LINK = re.compile(r"https?://[^\s<>\"')\]]+")
_CITATION = re.compile(r"\[(?:doc|source|\^)?[ :#]?([\w.-]{1,64})\](?!\()")
_NAME = re.compile(r"\b[A-Z][a-z]+(?: (?:of|de|van|von|the))?(?: [A-Z][a-z]+)+\b")
_SPACE = re.compile(r"\s+")
#: Where a sentence ends: no date, number, link or citation goes on beyond it.
_SENTENCE = re.compile(r"\n|(?<=[^\W\d])[.!?][\"'\u201d)\]]*[ \t]+(?=[^\W\d_a-z])|[\u3002\uff01\uff1f]")
_MARK = re.compile(r"[\n.!?\u3002\uff01\uff1f]")
#: Characters that a sentence of a stream may have before it is cut, and where: between two words.
_LONGEST_SENTENCE = 2_048
_BETWEEN = re.compile(r"(?<=[^\W\d])[,;:]?[ \t]+(?=[^\W\d])")

_UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TEENS = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: number for number, word in enumerate(_UNITS + _TEENS)}
_WORDS |= {word: 20 + 10 * number for number, word in enumerate(_TENS)}
_POWERS = {"hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9}
_SPELLED = re.compile(
    rf"\b(?:{'|'.join(_WORDS)})(?:(?:[ -]| and )(?:{'|'.join((*_WORDS, *_POWERS))}))*\b", re.IGNORECASE
)
#: A number in words that is no more than that is an article or an idiom as often as a figure.
_LEAST_SPELLED = 13
#: Numbers of an answer of which others may be the sum, the difference or the change in percent.
_SHOWN = 32

#: Characters of a number that are read.
_MOST_DIGITS = 40

#: How sure it is that an item was made up. A link, a quote or a day that no source has is nothing but that; a figure
#: may have been reckoned; small and round numbers, years and names are said of much that no source says.
_MADE_UP, _FIGURE, _ROUND = 0.9, 0.8, 0.5


class _Figure(NamedTuple):
    """A number of a text."""

    #: As it is written, without what separates thousands.
    plain: Decimal
    #: With the power of ten that follows.
    value: Decimal
    scaled: bool
    percent: bool

    @property
    def places(self) -> int:
        """Digits after the decimal mark."""
        return max(0, -int(self.plain.as_tuple().exponent))

    @property
    def specific(self) -> bool:
        """Whether it is more than a round or a small number, or a year."""
        if self.scaled or self.percent or self.places:
            return True
        return self.value >= 100 and not 1_900 <= self.value < 2_100


def _plain(text: str) -> str:
    return _SPACE.sub(" ", text).casefold()


def _decimal(number: str) -> Decimal:
    # 1,234.50 and 1234.5 are one number; what separates thousands is followed by three digits.
    joined = re.sub(r"[,.\u00a0'](?=\d{3}(?!\d))", "", number)
    whole, _, rest = joined.replace(",", ".").replace("\u00a0", "").replace("'", "").partition(".")
    rest = re.sub(r"\D", "", rest)
    return Decimal(f"{whole or '0'}.{rest}" if rest else whole or "0")


def _figures(text: str) -> Iterable[_Figure]:
    for number, percent, scale in _NUMBER.findall(text):
        plain = _decimal(number[:_MOST_DIGITS])
        power = next((power for word, power in _SCALES.items() if scale.casefold().startswith(word)), 0)
        yield _Figure(plain, plain.scaleb(power), bool(power), bool(percent))
    for match in _SPELLED.finditer(text):
        value = Decimal(_spelled(match[0]))
        if value >= _LEAST_SPELLED:
            yield _Figure(value, value, scaled=False, percent=False)


def _spelled(words: str) -> int:
    total = part = 0
    for word in re.split(r"[ -]", words.casefold()):
        if word == "hundred":
            part = max(part, 1) * 100
        elif word in _POWERS:
            total += max(part, 1) * _POWERS[word]
            part = 0
        else:
            part += _WORDS.get(word, 0)
    return total + part


def _dates(match: re.Match[str]) -> set[tuple[int, int, int]]:
    """Year, month, day (0 for none) that a date may mean: of 3/4/2024 there are two."""
    found = match.groupdict()
    if found["year"]:
        return {(int(found["year"]), int(found["month"]), int(found["day"]))}
    if found["short"]:
        year = int(found["short"])
        year += 2_000 if year < 100 else 0
        one, other = int(found["one"]), int(found["other"])
        return {(year, month, day) for month, day in ((one, other), (other, one)) if month <= 12}
    month = _MONTHS[found["name"].casefold()]
    return {(int(found["late"]), month, int(found["before"] or found["after"] or 0))}


class _Sources:
    """What the sources of a conversation hold."""

    def __init__(self, texts: list[str], names: set[str]) -> None:
        self.text = _plain(" \n ".join(texts))
        figures = list(_figures(self.text))
        self._plain = {figure.plain for figure in figures}
        self._values = {figure.value for figure in figures}
        self._dates = {date for match in _DATE.finditer(self.text) for date in _dates(match)}
        self._months = {date[:2] for date in self._dates}
        self._names = {name.casefold() for name in names} | {str(number + 1) for number in range(len(names))}

    def holds_figure(self, figure: _Figure) -> bool:
        """A number without its power of ten may be said of one that has it; not the other way round."""
        return figure.value in self._values or (not figure.scaled and figure.plain in self._plain)

    def holds_date(self, match: re.Match[str]) -> bool:
        """The same day, or the month of one."""
        return any(date in self._dates or (not date[2] and date[:2] in self._months) for date in _dates(match))

    def holds_text(self, text: str) -> bool:
        """The same words."""
        return _plain(text).strip(" .,") in self.text

    def may_be_cited(self, name: str) -> bool:
        """An id of a document, or the number of one."""
        return name.casefold() in self._names


class Answer:
    """An answer that is read sentence by sentence.

    Args:
        check: what reads it.
        memory: holds the sources.
    """

    def __init__(self, check: Grounding, memory: Memory) -> None:
        self._check = check
        with memory.lock:
            self._sources = _Sources([*memory.sources, *memory.said], memory.source_names)
        #: Numbers so far that are in the sources.
        self._shown: list[_Figure] = []
        self._missing: dict[str, int] = {}
        self._score = 0.0

    def read(self, text: str) -> Signal | None:
        """Read the next sentences.

        Returns:
            What is wrong with all of them so far, if these made it worse; the most frequent sort gives the reason.
        """
        score = 0.0
        for sort, how_sure in self._unsupported(text):
            self._missing[sort] = self._missing.get(sort, 0) + 1
            score = max(score, how_sure)
        if sum(self._missing.values()) <= self._check.tolerated or score <= self._score:
            return None
        self._score = score
        sort = max(self._missing, key=lambda name: (self._missing[name], name))
        return Signal(f"grounding.{sort}", score)

    def _unsupported(self, text: str) -> Iterable[tuple[str, float]]:
        """Items that no source holds: their sorts, and how sure it is that they were made up."""
        rest = text
        # What is read as one sort is not read as the next.
        for sort, pattern, find in (
            ("link", _LINK, self._links),
            ("citation", _CITATION, self._citations),
            ("quote", None, self._quotes),
            ("name", None, self._names),
            ("date", _DATE, self._dates),
            ("number", None, self._numbers),
        ):
            wanted = sort in self._check.wanted
            if wanted:
                for score in find(rest):
                    yield sort, score
            if pattern is not None and (wanted or sort != "date"):
                rest = pattern.sub(" ", rest)

    def _links(self, text: str) -> Iterable[float]:
        links = (link.rstrip(".,;:!?") for link in _LINK.findall(text))
        return (_MADE_UP for link in links if not self._sources.holds_text(link))

    def _citations(self, text: str) -> Iterable[float]:
        names = {name.casefold() for name in _CITATION.findall(text)}
        return (_MADE_UP for name in names if not self._sources.may_be_cited(name))

    def _quotes(self, text: str) -> Iterable[float]:
        return (_MADE_UP for quote in _QUOTE.findall(text) if not self._sources.holds_text(quote))

    def _names(self, text: str) -> Iterable[float]:
        return (_ROUND for name in _NAME.findall(text) if not self._sources.holds_text(name))

    def _dates(self, text: str) -> Iterable[float]:
        return (_MADE_UP for match in _DATE.finditer(text) if not self._sources.holds_date(match))

    def _numbers(self, text: str) -> Iterable[float]:
        # A single digit counts where it says how much of something: an item of a list does not.
        figures = [each for each in _figures(text) if each.value >= 10 or each.percent or each.places]
        missing = []
        for figure in figures:
            if not self._sources.holds_figure(figure):
                missing.append(figure)
            elif len(self._shown) < _SHOWN:
                self._shown.append(figure)
        return [_FIGURE if figure.specific else _ROUND for figure in missing if not self._is_computed(figure)]

    def _is_computed(self, figure: _Figure) -> bool:
        """Whether it is the sum, the difference or the change in percent of two numbers that the answer says as well:
        only such a reckoning can be checked by its reader.
        """
        values = [shown.value for shown in self._shown]
        for place, one in enumerate(values):
            for other in values[:place]:
                if figure.percent:
                    for first, second in ((one, other), (other, one)):
                        change = abs(second - first) / first * 100 if first else Decimal(0)
                        if abs(change - figure.plain) * 2 <= Decimal(1).scaleb(-figure.places):
                            return True
                elif figure.value in {one + other, abs(one - other)}:
                    return True
        return False


def may_end(text: str, waits: int) -> bool:
    """Whether a sentence may end in a text, or is too long to wait for its end.

    Args:
        text: what came last.
        waits: characters that wait, with it.
    """
    return waits > _LONGEST_SENTENCE or _MARK.search(text) is not None


def settled(text: str) -> tuple[int, bool]:
    """How many characters of a text that goes on end with a sentence, outside quotation marks; and whether its last
    sentence is so long that it was cut between two words.

    Args:
        text: what waits, at most as much as a caller adds to `_LONGEST_SENTENCE` at a time: all of it is read.

    Example:
        >>> settled("One is said. Two is")
        (13, False)
    """
    quotes = [match.span() for match in _QUOTE.finditer(text)]
    # Those whose other mark may still come.
    opened = [match.start() for match in _OPENED.finditer(text, max(0, len(text) - _LONGEST_QUOTE))]
    end = 0
    for each in reversed([match.end() for match in _SENTENCE.finditer(text)]):
        before = bisect_right(quotes, each, key=_close)
        closed = quotes[before - 1][1] if before else 0
        if not _is_within(each, quotes) and not any(closed <= at < each for at in opened):
            end = each
            break
    if len(text) - end <= _LONGEST_SENTENCE:
        return end, False
    # Behind it, what is no quote yet may become one.
    most = len(text) - _LONGEST_QUOTE
    between = [match.end() for match in _BETWEEN.finditer(text, end, most)]
    return next((each for each in reversed(between) if not _is_within(each, quotes)), most), True


def _close(quote: tuple[int, int]) -> int:
    return quote[1]


def _is_within(place: int, quotes: list[tuple[int, int]]) -> bool:
    after = bisect_right(quotes, place, key=_close)
    return after < len(quotes) and quotes[after][0] < place


class Grounding(Check):
    """Reads the whole answer against what was retrieved in the conversation, and what the user said. Silent where
    nothing was retrieved.
    """

    def __init__(self, name: str, table: GroundingConfig) -> None:
        super().__init__(name, table)
        self.wanted = table.check
        self.tolerated = table.tolerated

    def run(self, call: Call) -> Signal | None:
        """Counts what no source holds."""
        answer = self.answer(call.memory)
        return None if answer is None else answer.read(call.text)

    def answer(self, memory: Memory | None) -> Answer | None:
        """What reads an answer of a conversation; None where nothing was retrieved."""
        return None if memory is None or not memory.sources else Answer(self, memory)
