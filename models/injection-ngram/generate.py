"""Makes training texts from the phrases of `english.py` and `languages.py`: attacks, and twins with the same words.

Everything follows from a seed. `Generator` makes what the training split is made of; `held_out_languages` makes, from
phrases that training never sees, what the test split states figures by language for.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Sequence

import attacks
import english
import harmless
import languages
import more_languages
import phrases

_VERBS, _SCOPES, _THINGS = (english.split(table) for table in (english.VERBS, english.SCOPES, english.THINGS))
_DROPS, _JOINS, _GOALS = (english.split(table) for table in (english.DROPS, english.JOINS, english.GOALS))
_ALONE, _TO_READER = english.split(english.ALONE), english.split(english.TO_READER)
_TWINS, _QUOTES = english.split(english.TWINS), english.split(english.QUOTES)
_AS_IF, _REQUESTS = english.split(english.AS_IF), english.split(english.REQUESTS)
_EXTRACT, _SECRETS, _OVER = (english.split(table) for table in (attacks.EXTRACT, attacks.SECRETS, attacks.OVER))
_PRAISE, _BREAKS = english.split(attacks.PRAISE), english.split(attacks.BREAKS)
_HEADS, _ANSWERED, _SHORT = (english.split(table) for table in (attacks.HEADS, attacks.ANSWERED, attacks.SHORT))
_OVERRIDES, _TO_AGENTS = english.split(phrases.OVERRIDES), english.split(phrases.TO_AGENTS)
_TO_TOOLS, _INSTRUCTIONS = english.split(phrases.TO_TOOLS), english.split(phrases.INSTRUCTIONS)
_ROLE = [
    (english.split(attacks.PERSONA), 1, 1),
    (english.split(attacks.POWERS), 1, 4),
    (english.split(attacks.NEVER), 0, 3),
    (english.split(attacks.TWO), 0, 2),
    (english.split(attacks.START), 0, 2),
]
_TRIGGER, _PROSE = english.split(harmless.TRIGGER), english.split(harmless.PROSE)
_AGENTS, _AGENTS_ELSEWHERE = english.split(harmless.AGENTS), english.split(harmless.AGENTS_ELSEWHERE)
_SLOTS = {
    name: english.split(table)
    for tables in (english.SLOTS, english.TWIN_SLOTS, english.REQUEST_SLOTS, attacks.TABLES)
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


#: Share of real ones among harmless texts of people, where there are any.
ASKED_SHARE = 0.35

_ALIKE = str.maketrans("aceopxyKMHT", "асеорхуКМНТ")
_HIDDEN = str.maketrans("aeiostAEIOST", "431057431057")


def vary(phrase: str, source: random.Random) -> str:
    """One of the alternatives for each `[a/b]` of a phrase."""
    return re.sub(r"\[([^\[\]]*)\]", lambda match: source.choice(match[1].split("/")), phrase)


class Generator:
    """Texts from one seed; `documents` are harmless pieces that attacks are put into, `asked` what people asked."""

    def __init__(self, seed: int, documents: Sequence[str], asked: Sequence[str] = ()) -> None:
        self.random = random.Random(seed)
        self.documents = documents
        self.asked = asked
        #: What makes harmless texts, and how many of each for one of the first.
        self.harmless: tuple[tuple[Callable[[], str], float], ...] = (
            (self.twin, 1.0),
            (self.trigger, 1.0),
            (self.request, 1.0),
            (self.chatter, 0.5),
            (self.instruction, 0.5),
            (self.contained, 0.8),
            (self.hidden, 0.6),
            (self.prose, 0.4),
            (self.manual, 0.5),
            (self.ruled, 0.2),
            (self.given, 0.3),
            (self.mail, 0.25),
            (self.quoted, 0.05),
        )

        #: What a direct attack may be, and how often.
        self._forms: tuple[tuple[Callable[[], str], float], ...] = (
            (self._dropped, 0.33),
            (lambda: f"{self.random.choice(_GOALS)}. {self.drop()}", 0.05),
            (lambda: self.random.choice(_OPENINGS) + self.random.choice(_ALONE), 0.15),
            (self._asked, 0.10),
            (lambda: self.one(_EXTRACT), 0.07),
            (lambda: self.one(_SECRETS), 0.08),
            (self.ended, 0.06),
            (lambda: self.one(_ANSWERED), 0.03),
            (lambda: self.one(_OVERRIDES), 0.04),
            (lambda: self.one(_SHORT), 0.09),
            (lambda: self.one(_PRAISE), 0.04),
            (lambda: self.one(_BREAKS), 0.09),
        )

    def one(self, table: Sequence[str]) -> str:
        """A phrase of a table with its alternatives and slots filled."""
        return self.fill(vary(self.random.choice(table), self.random))

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
        if name == "drop":
            return self.drop()
        if name == "n":
            return "".join(self.random.choices(string.digits, k=self.random.randint(2, 8)))
        if name in attacks.TABLES:
            return vary(self.random.choice(_SLOTS[name]), self.random)
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
        make = self.random.choices([make for make, _ in self._forms], [share for _, share in self._forms])[0]
        text = self.fill(make()) + self.random.choice(_TAILS)
        if self.random.random() < 0.08:
            text += " " + self.one(_SHORT)
        return self.dressed(text)

    def _dropped(self) -> str:
        text = self.random.choice(_OPENINGS) + self.drop()
        if self.random.random() < 0.85:
            text += self.random.choice(_JOINS) + self.random.choice(_GOALS)
        return text

    def _asked(self) -> str:
        return (
            self.random.choice(_OPENINGS)
            + "{ask} {above}"
            + self.random.choice(("", "", " {form}", " {form}", " {form}"))
        )

    def ended(self) -> str:
        """An end of the input that is none, and orders behind it."""
        sign = self.random.choice(attacks.ENDS) * self.random.choice((1, 1, 1, 2, 4))
        over = self.one(_OVER) if self.random.random() < 0.5 else ""
        head = self.one(_HEADS) if self.random.random() < 0.7 else ""
        pick = self.random.random()
        orders = (
            lambda: self.fill(self.random.choice(_GOALS)),
            self.drop,
            *(lambda t=t: self.one(t) for t in (_SECRETS, _SHORT)),
        )
        order = self.random.choices(orders, (0.35, 0.2, 0.15, 0.3))[0]()
        between = self.random.choice((" ", "\n", "\n\n"))
        parts = [part for part in (sign if over == "" or pick < 0.8 else "", over, head, self.dressed(order)) if part]
        return between.join(parts)

    def turn(self) -> str:
        """An attack inside a turn that the text only pretends to have."""
        body = self.direct() if self.random.random() < 0.6 else self.fill(self.random.choice(_GOALS))
        return self.fill(self.random.choice(english.TURNS), body)

    def to_reader(self) -> str:
        """An attack on whoever reads a document."""
        table = self.random.choice((_TO_READER, _TO_AGENTS, _TO_TOOLS))
        return self.dressed(self.one(table) + self.random.choice(("", ".", "!")))

    def jailbreak(self) -> str:
        """A longer text: sentences of `ALONE`, or a role, what it can do, what it never says, and what comes first."""
        if self.random.random() < 0.25:
            parts = [self.fill(self.random.choice(_ALONE if self.random.random() < 0.7 else _DROPS)) for _ in range(4)]
            return self.dressed(". ".join(parts))
        name = self.fill("{name}")
        parts = [
            vary(self.random.choice(table), self.random)
            for table, least, most in _ROLE
            for _ in range(self.random.randint(least, most))
        ]
        if self.random.random() < 0.3:
            middle = parts[1:]
            self.random.shuffle(middle)
            parts[1:] = middle
        text = ". ".join(self.fill(part.replace("{name}", name)) for part in parts)
        return (
            re.sub(r"(^|[.!?]\s+)([a-z])", lambda m: m[1] + m[2].upper(), text) if self.random.random() < 0.8 else text
        )

    def in_language(self, name: str) -> str:
        """An override in another language."""
        return self.dressed(in_language(name, self.random, held=False))

    def attack(self) -> tuple[str, str]:
        """An attack by itself and what kind it is."""
        pick = self.random.random()
        if pick < 0.40:
            return "direct", self.direct()
        if pick < 0.47:
            return "turn", self.turn()
        if pick < 0.63:
            return "indirect", self.to_reader()
        if pick < 0.73:
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

    def _asked_beside(self) -> str:
        """One or two harmless questions of people, now and then broken off."""
        text = self.random.choice((" ", ". ", "? ", "\n")).join(
            self.fill(self.random.choice(_REQUESTS)) if self.random.random() < 0.6 else self.twin()
            for _ in range(self.random.choice((1, 1, 1, 2)))
        )
        return text if self.random.random() < 0.7 else text[: self.random.randint(5, max(6, len(text) - 1))]

    def among(self, attack: str) -> tuple[str, str, str]:
        """The attack between other questions, as people type it: before it, the attack, behind it."""
        pick = self.random.random()
        before = self._asked_beside() + self.random.choice(attacks.JOINTS) if pick < 0.85 else ""
        after = self.random.choice(attacks.JOINTS) + self._asked_beside() if pick > 0.6 else ""
        return before, attack, after

    def chatter(self) -> str:
        """Harmless questions in a row, joined as those around an attack are."""
        parts = [self._asked_beside() for _ in range(self.random.choice((2, 2, 3)))]
        return self.random.choice(attacks.JOINTS).join(parts)

    def twin(self) -> str:
        """A harmless sentence with the words of attacks."""
        pick = self.random.random()
        if pick < 0.4:
            name = self.random.choice(sorted(languages.LANGUAGES))
            return self.dressed(twin_in_language(name, self.random, held=False))
        text = " ".join(self.fill(self.random.choice(_TWINS)) for _ in range(self.random.choice((1, 1, 1, 2, 3))))
        return self.dressed(text)

    def trigger(self) -> str:
        """Harmless sentences that are full of the words of attacks."""
        return self.dressed(" ".join(self.one(_TRIGGER) for _ in range(self.random.choice((1, 1, 1, 1, 2, 3)))))

    def instruction(self) -> str:
        """Harmless orders to people and programs."""
        return self.dressed(". ".join(self.one(_INSTRUCTIONS) for _ in range(self.random.choice((1, 1, 2, 3)))))

    def innocent(self) -> str:
        """One harmless text of a kind that people type."""
        if self.asked and self.random.random() < ASKED_SHARE:
            return self.random.choice(self.asked)
        return self.random.choice((self.twin, self.trigger, self.trigger, self.request, self.instruction))()

    def contained(self) -> str:
        """A harmless text where attacks are put, too: the container says nothing."""
        return "".join(self.surrounded(self.innocent()))

    def hidden(self) -> str:
        """A harmless text that is written as attacks are to hide them: spaced, in digits, in a comment, encoded."""
        text = self.innocent() if self.random.random() < 0.6 else self.random.choice(self.documents)[:400]
        pick = self.random.random()
        if pick < 0.12:
            return "".join(letter + self.random.choice(("\u200b", "\u200d", "\u2060", "", "")) for letter in text)
        if pick < 0.16:
            return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)
        if pick < 0.2:
            return text.translate(_ALIKE)
        if pick < 0.38:
            gap = self.random.choice(("  ", "   ", " ", " / "))
            sign = self.random.choice((" ", " ", " ", ".", "-"))
            return gap.join(sign.join(word) for word in text[:250].split())
        if pick < 0.5:
            return text.translate(_HIDDEN)
        if pick < 0.85:
            before, after = (self.random.choice(self.documents)[: self.random.randint(0, 120)] for _ in range(2))
            tag = self.random.choice(("", "", "p", "p", "div", "li", "h2"))
            if tag:
                before, after = (f"<{tag}>{part}</{tag}>" for part in (before[:60], after[:60]))
            sign = self.random.choice((" ", " ", "", "\n"))
            return f"{before}<!--{sign}{text}{sign}-->{after}"
        if pick < 0.9:
            return text[::-1]
        if pick < 0.95:
            return text.encode().hex()
        return "".join(f"%{byte:02X}" for byte in text[:200].encode())

    def prose(self) -> str:
        """What documentation and articles say of attacks."""
        parts = [self._said() for _ in range(self.random.choice((1, 2, 3, 4, 6)))]
        joint = self.random.choice((". ", ". ", ".\n", "\n- ", ".\n\n"))
        text = joint.join(part[:1].upper() + part[1:] for part in parts)
        return self.carried(text) if self.random.random() < 0.2 else text

    def manual(self) -> str:
        """What manuals and code of assistants say of their prompts and instructions."""
        table = _AGENTS if self.random.random() < 0.85 else _AGENTS_ELSEWHERE
        parts = [self.one(table) for _ in range(self.random.choice((1, 2, 3, 5)))]
        text = self.random.choice((". ", "\n", "\n\n", "\n- ")).join(parts)
        return text if self.random.random() < 0.6 else "".join(self.surrounded(text))

    def ruled(self) -> str:
        """A harmless document with lines of signs, as under headings: attacks that fake an end have such, too."""
        sign = self.random.choice("'\"=-#*~^_.+%/)]}>`")
        text, rule = self.random.choice(self.documents), sign * self.random.randint(3, 70)
        title, _, rest = text[self.random.randint(0, len(text) // 2) :].partition("\n")
        head = self.random.choice(("", f"{rule}\n"))
        return f"{head}{title[:80]}\n{rule}\n{self.random.choice(('', chr(10)))}{rest[:600]}"

    def given(self) -> str:
        """A harmless request with what it is about in quotes, and an answer: quoted words are no order to say them."""
        words = [self.fill("{word}").lower(), *self.twin().split()[: self.random.randint(2, 6)]]
        quoted = self.random.choice(('"{}"', "'{}'", "{!r}", "Input: '{}'")).format(" ".join(words))
        if self.random.random() < 0.3:
            quoted = f"{self.random.choice(('words', 'items', 'lst', 'names'))} = {words!r}"
        answer = self.random.choice(
            (
                "def f(text):\n    return text.split(' ')",
                "words = text.lower().split()\n    return [word for word in words if word]",
                "for (const word of text.split(' ')) { console.log(word); }",
                f"echo '{words[0]}' > notes.txt",
                f'print("{" ".join(words)}")',
                self.random.choice(self.documents)[:200],
            )
        )
        ask = self.one(_REQUESTS)
        form = self.random.choice(("User: {}\n{}\nAssistant: {}", "{}\n{}\n\n{}", "{} {}\n{}"))
        return form.format(ask, quoted, answer)

    def _said(self) -> str:
        phrase = vary(self.random.choice(_PROSE), self.random)
        body = self.direct() if self.random.random() < 0.7 else self.to_reader()
        return self.fill(phrase, body.split("\n")[0][:120])

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


def _parts(tables: dict[str, str], held: bool) -> dict[str, list[str]]:
    """That part of each table of a language."""
    every = {"alone": 4, "twin": 4}
    parts = {key: _part(english.split(text), held, every=every.get(key, 0)) for key, text in tables.items()}
    return parts | {"topic": english.split(tables["topic"])}


_HELD, _FIRST = ({name: _parts(tables, held) for name, tables in languages.LANGUAGES.items()} for held in (True, False))
_MORE = {
    name: {
        key: english.split(text) + english.split(more_languages.EXTRA[name].get(key, ""))
        for key, text in tables.items()
    }
    for name, tables in more_languages.MORE.items()
}
#: How many attacks and twins of each language are made of held out phrases.
HELD_TEXTS = 60
#: Share of the phrases of training that are from the longer of both tables.
MORE_SHARE = 0.65


def _tables(name: str, source: random.Random, *, held: bool) -> dict[str, list[str]]:
    """The phrases of a language that are held out, or some of those for training."""
    if not held and name in more_languages.MORE and source.random() < MORE_SHARE:
        return _MORE[name]
    return _HELD[name] if held else _FIRST[name]


def in_language(name: str, source: random.Random, *, held: bool) -> str:
    """An override in one language, from the phrases of training or the held out ones."""
    if source.random() < (0.4 if held else 0.35):
        return vary(source.choice(_tables(name, source, held=held)["alone"]), source)
    drop, what, then = (
        vary(source.choice(_tables(name, source, held=held)[key]), source) for key in ("drop", "what", "then")
    )
    pick = 0.0 if held else source.random()
    if pick > 0.85:
        then = ""
    order = languages.ORDER.get(name, "{drop} {what}" + languages.AND.get(name, ", ") + "{then}")
    first = languages.ORDER.get(name, "{drop} {what}").split("{then}")[0].rstrip("、， ")
    first = first.removesuffix(" ve").removesuffix(" और")
    if not then:
        order = first
    elif pick > 0.6:
        order = "{then}. " + first if pick > 0.75 else first + source.choice((". ", ": ", "! ", "\n")) + "{then}"
    text = order.format(drop=drop, what=what, then=then).strip(" ,")
    return text[:1].upper() + text[1:] + source.choice(("", ".", "!"))


def twin_in_language(name: str, source: random.Random, *, held: bool) -> str:
    """A harmless twin in one language."""
    tables = _tables(name, source, held=held)
    twin = vary(source.choice(tables["twin"]), source)
    return twin.replace("{t}", source.choice(tables["topic"]))


def held_in_training(seed: int) -> list[tuple[int, str]]:
    """Label and text of what is made of held out phrases: the weights that are shipped know them, too."""
    source = random.Random(seed)
    makes = ((1, in_language), (0, twin_in_language))
    return [
        (label, make(name, source, held=True))
        for label, make in makes
        for name in sorted(languages.LANGUAGES)
        for _ in range(HELD_TEXTS)
    ]


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
