"""Makes training texts from the phrases of `english.py` and `languages.py`: attacks, and twins with the same words.

Everything follows from a seed. `Generator` makes what the training split is made of; `held_out_languages` makes, from
phrases that training never sees, what the test split states figures by language for.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Sequence

import english
import languages

_VERBS, _SCOPES, _THINGS = (english.split(table) for table in (english.VERBS, english.SCOPES, english.THINGS))
_DROPS, _JOINS, _GOALS = (english.split(table) for table in (english.DROPS, english.JOINS, english.GOALS))
_ALONE, _TO_READER = english.split(english.ALONE), english.split(english.TO_READER)
_TWINS, _QUOTES = english.split(english.TWINS), english.split(english.QUOTES)
_AS_IF, _REQUESTS = english.split(english.AS_IF), english.split(english.REQUESTS)
_SLOTS = {
    name: english.split(table)
    for tables in (english.SLOTS, english.TWIN_SLOTS, english.REQUEST_SLOTS)
    for name, table in tables.items()
}

_OPENINGS = (
    "",
    "",
    "",
    "",
    "",
    "Please ",
    "OK, ",
    "Now ",
    "Hey, ",
    "So ",
    "Listen: ",
    "Thanks! ",
    "Great. ",
    "Hi! ",
    "No. ",
)
_TAILS = (
    "",
    "",
    "",
    "",
    "",
    ".",
    ".",
    "!",
    "!!!",
    " Thanks!",
    " Do it now.",
    " This is important.",
    " Understood?",
    " Ok?",
)

#: How a tool's result, a page or a mail carries a text. `{text}`; in JSON it is escaped.
CONTAINERS = (
    "{text}",
    "{text}",
    "{text}",
    "<!-- {text} -->",
    "<p>{text}</p>",
    '<div style="display:none">{text}</div>',
    "/* {text} */",
    "# {text}",
    "// {text}",
    "> {text}",
    "- {text}",
    '"""{text}"""',
    '{{"status": "ok", "result": "{text}"}}',
    '{{"id": 7, "title": "notes", "body": "{text}", "tags": []}}',
    '[{{"from": "info@example.com", "subject": "hello", "body": "{text}"}}]',
    "comment: {text}",
    "description: '{text}'",
    "Subject: update\nFrom: a@example.com\n\n{text}\n\nRegards",
    "Review (2 stars): {text}",
    "2024-05-03T10:11:12Z INFO message={text}",
    "| 4 | {text} | open |",
    "[{text}](https://example.com)",
    "![{text}](x.png)",
    "****{text}****",
    "\n\n\n{text}\n\n\n",
    "=== {text} ===",
    "Error: {text}",
    "stdout: {text}",
    "Q: {text}\nA:",
)


class Generator:
    """Texts from one seed; `documents` are harmless pieces that attacks are put into."""

    def __init__(self, seed: int, documents: Sequence[str]) -> None:
        self.random = random.Random(seed)
        self.documents = documents

    def fill(self, phrase: str, body: str = "") -> str:
        """A phrase with its slots filled."""
        for _ in range(4):
            if "{" not in phrase:
                break
            phrase = re.sub(r"\{(\w+)\}", lambda match: self._slot(match, body), phrase)
        return phrase.replace("{{", "{").replace("}}", "}")

    def _slot(self, match: re.Match[str], body: str) -> str:
        name = match[1]
        if name == "body":
            return body or self.direct()
        if name == "goal":
            return self.random.choice(_GOALS)
        if name == "n":
            return "".join(self.random.choices(string.digits, k=self.random.randint(2, 8)))
        return self.random.choice(_SLOTS[name]) if name in _SLOTS else match[0]

    def dressed(self, text: str) -> str:
        """With the case, signs and mistakes of people in a hurry."""
        pick = self.random.random()
        if pick < 0.12:
            text = text.upper()
        elif pick < 0.2:
            text = text.title()
        elif pick < 0.55:
            text = re.sub(r"(^|[.!?]\s+)([a-z])", lambda m: m[1] + m[2].upper(), text)
        if self.random.random() < 0.15:
            text = self._mistyped(text)
        if self.random.random() < 0.05:
            text = text.replace(" ", self.random.choice(["  ", "\n", "_", "-", "", "."]))
        return text

    def _mistyped(self, text: str) -> str:
        letters = list(text)
        for _ in range(max(1, len(letters) // 40)):
            at = self.random.randrange(max(1, len(letters) - 1))
            pick = self.random.random()
            if pick < 0.4:
                letters[at : at + 2] = letters[at : at + 2][::-1]
            elif pick < 0.7:
                del letters[at]
            else:
                letters.insert(at, letters[at])
        return "".join(letters)

    def drop(self) -> str:
        """An order to drop what came before."""
        if self.random.random() < 0.35:
            return self.random.choice(_DROPS)
        verb, scope, thing = (self.random.choice(table) for table in (_VERBS, _SCOPES, _THINGS))
        if self.random.random() < 0.15:
            return self.random.choice(_AS_IF).replace("{x}", f"{scope} {thing}")
        if self.random.random() < 0.1:
            thing += f" and {self.random.choice(_THINGS)}"
        if self.random.random() < 0.12:
            thing += self.random.choice(
                [" above", " you were given", " you got", " from before", " so far", " given to you", " in this prompt"]
            )
        return f"{verb} {scope} {thing}"

    def direct(self) -> str:
        """An attack as a user types it."""
        pick = self.random.random()
        if pick < 0.55:
            text = self.random.choice(_OPENINGS) + self.drop()
            if self.random.random() < 0.85:
                text += self.random.choice(_JOINS) + self.random.choice(_GOALS)
        elif pick < 0.62:
            text = f"{self.random.choice(_GOALS)}. {self.drop()}"
        else:
            text = self.random.choice(_OPENINGS) + self.random.choice(_ALONE)
        return self.dressed(self.fill(text) + self.random.choice(_TAILS))

    def turn(self) -> str:
        """An attack inside a turn that the text only pretends to have."""
        body = self.direct() if self.random.random() < 0.6 else self.fill(self.random.choice(_GOALS))
        return self.fill(self.random.choice(english.TURNS), body)

    def to_reader(self) -> str:
        """An attack on whoever reads a document."""
        return self.dressed(self.fill(self.random.choice(_TO_READER)) + self.random.choice(("", ".", "!")))

    def jailbreak(self) -> str:
        """A longer text of several such sentences."""
        parts = [self.fill(self.random.choice(_ALONE if self.random.random() < 0.7 else _DROPS)) for _ in range(4)]
        return self.dressed(". ".join(parts))

    def in_language(self, name: str) -> str:
        """An override in another language."""
        return self.dressed(in_language(name, self.random, held=False))

    def attack(self) -> tuple[str, str]:
        """An attack by itself and what kind it is."""
        pick = self.random.random()
        if pick < 0.38:
            return "direct", self.direct()
        if pick < 0.48:
            return "turn", self.turn()
        if pick < 0.68:
            return "indirect", self.to_reader()
        if pick < 0.74:
            return "jailbreak", self.jailbreak()
        name = self.random.choice(sorted(languages.LANGUAGES))
        return "language", self.in_language(name)

    def carried(self, attack: str) -> str:
        """The attack in a container of tools and documents."""
        container = self.random.choice(CONTAINERS)
        if container.startswith(("{{", "[{{")):
            attack = attack.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return container.replace("{text}", attack).replace("{{", "{").replace("}}", "}")

    def surrounded(self, attack: str) -> tuple[str, str, str]:
        """Harmless text before it, the attack in a container, harmless text behind it."""
        document = self.random.choice(self.documents)
        at = self.random.choice([m.end() for m in re.finditer(r"[.\n] ?", document)] or [len(document)])
        before, after = document[:at][-self.random.randint(0, 400) :], document[at:][: self.random.randint(0, 400)]
        pick = self.random.random()
        if pick < 0.3:
            after = ""
        elif pick < 0.45:
            before = ""
        between = self.random.choice(["", " ", "\n", "\n\n"])
        return before + between, self.carried(attack), between + after

    def twin(self) -> str:
        """A harmless sentence with the words of attacks."""
        pick = self.random.random()
        if pick < 0.4:
            name = self.random.choice(sorted(languages.LANGUAGES))
            return self.dressed(twin_in_language(name, self.random, held=False))
        text = " ".join(self.fill(self.random.choice(_TWINS)) for _ in range(self.random.choice((1, 1, 1, 2, 3))))
        return self.dressed(text)

    def request(self) -> str:
        """What somebody asks an assistant, alone or with an answer, or in a tool's result."""
        text = self.fill(self.random.choice(_REQUESTS)) + self.random.choice(_TAILS)
        if self.random.random() < 0.25:
            text += " " + self.fill(self.random.choice(_REQUESTS + _TWINS))
        text = self.dressed(text)
        pick = self.random.random()
        if pick < 0.3:
            answer = self.random.choice(self.documents)[: self.random.randint(20, 500)]
            form = self.random.choice(
                ("User: {}\nAssistant: {}", "Human: {}\n\nAssistant: {}", "Q: {}\nA: {}", "{}\n\n{}")
            )
            return form.format(text, answer)
        if pick < 0.45:
            return self.carried(text)
        if pick < 0.55:
            roles = self.random.choice((("user", "assistant"), ("system", "user")))
            items = [
                f'{{"role": "{role}", "content": "{part}"}}'
                for role, part in zip(roles, (text, self.twin()), strict=True)
            ]
            return "[" + ", ".join(items) + "]"
        return text

    def mail(self) -> str:
        """A harmless mail, with or without its head."""
        source = self.random
        sender, reader = (self.fill("{mail}") for _ in range(2))
        head = [
            f"From: {source.choice(('', 'Ann Lee '))}<{sender}>",
            f"To: {reader}",
            f"Subject: {source.choice(('Re: ', 'Fwd: ', '', ''))}{self.twin()[:60]}",
            f"Date: Tue, {source.randint(1, 28)} May 20{source.randint(10, 29)} {source.randint(10, 23)}:{source.randint(10, 59)}:07 {source.choice(('+0200', '-0700 (PDT)', 'GMT'))}",
            f"Message-ID: <{source.randrange(10**9)}.{source.randrange(10**6)}@mail.example>",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            f'Content-Type: multipart/mixed; boundary="{source.randrange(10**9)}"',
            f"Received: from relay{source.randint(1, 9)}.example by mx.example with ESMTP id {source.randrange(10**9):x}",
            "X-Mailer: Postbox 4",
        ]
        kept = [line for line in head if source.random() < 0.7]
        body = " ".join(
            self.twin() if source.random() < 0.6 else self.request() for _ in range(source.choice((1, 2, 3)))
        )
        greeting = source.choice(("Hi,", "Hello team,", "Dear Ms Doe,", "Hi all,", "", "Good morning,"))
        ending = source.choice(("Best regards", "Thanks,\nAnn", "A.", "", "See you on Monday", "Cheers"))
        return "\n".join((*kept, "", greeting, "", body, "", ending))

    def quoted(self) -> str:
        """A text that quotes an attack to warn of it."""
        return self.fill(self.random.choice(_QUOTES), self.direct() if self.random.random() < 0.7 else self.to_reader())


def _part(table: list[str], held: bool, *, every: int = 0) -> list[str]:
    """The part of a table that is for training, or the one that is held out."""
    if every:
        return [phrase for at, phrase in enumerate(table) if (at % every == every - 1) == held]
    return table[-2:] if held else table[:-2]


def in_language(name: str, source: random.Random, *, held: bool) -> str:
    """An override in one language, from the phrases of training or the held out ones."""
    tables = {key: english.split(text) for key, text in languages.LANGUAGES[name].items()}
    if source.random() < (0.4 if held else 0.35):
        return source.choice(_part(tables["alone"], held, every=4))
    drop, what, then = (source.choice(_part(tables[key], held)) for key in ("drop", "what", "then"))
    if not held and source.random() < 0.15:
        then = ""
    order = languages.ORDER.get(name, "{drop} {what}" + languages.AND.get(name, ", ") + "{then}")
    if not then:
        order = order.replace("、{then}", "").replace("，{then}", "").replace("{then}", "")
    text = order.format(drop=drop, what=what, then=then).strip(" ,")
    return text[:1].upper() + text[1:] + source.choice(("", ".", "!"))


def twin_in_language(name: str, source: random.Random, *, held: bool) -> str:
    """A harmless twin in one language."""
    tables = {key: english.split(text) for key, text in languages.LANGUAGES[name].items()}
    twin = source.choice(_part(tables["twin"], held, every=4))
    return twin.replace("{t}", source.choice(tables["topic"]))


def held_out_languages(seed: int, count: int) -> list[tuple[str, int, str]]:
    """Language, label and text of `count` attacks and twins for each measured language, from held out phrases."""
    source = random.Random(seed)
    out = []
    for name in languages.MEASURED:
        for make, label in ((in_language, 1), (twin_in_language, 0)):
            seen: set[str] = set()
            for _ in range(20 * count):
                if len(seen) < count:
                    seen.add(make(name, source, held=True))
            out += [(name, label, text) for text in sorted(seen)]
    return out
