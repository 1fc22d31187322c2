"""Seeded stand-ins for the four corpora, for a machine that has none.

They have the shape of code, documents, chat and tool payloads, not their statistics: real text has
more near misses. A run on them says so in every table, and its numbers are not to be quoted.
"""

from __future__ import annotations

import json
import random

from benches import fakes
from benches.words import WORDS

SEED = 20_240_607
CORPUS_BYTES = 1_000_000


def _sentence(random_source: random.Random, low: int = 5, high: int = 18) -> str:
    words = random_source.choices(WORDS, k=random_source.randint(low, high))
    if random_source.random() < 0.02:
        words.append(random_source.choice(("caf\u00e9", "na\u00efve", "\u20ac5", "\u201cso\u201d")))
    if random_source.random() < 0.3:
        words[random_source.randrange(len(words))] += ","
    return " ".join(words).capitalize() + random_source.choice(".....?!")


def _paragraph(random_source: random.Random, sentences: int) -> str:
    return " ".join(_sentence(random_source) for _ in range(sentences))


def _code(random_source: random.Random) -> str:
    def name() -> str:
        return "_".join(random_source.choices(WORDS, k=random_source.randint(1, 3)))

    lines = [f"# {_sentence(random_source)}", "", "import json", ""]
    for _ in range(random_source.randint(5, 40)):
        lines.append(f"def {name()}({name()}, {name()}={random_source.randint(0, 999)}):")
        lines.append(f'    """{_sentence(random_source)}"""')
        for _ in range(random_source.randint(2, 9)):
            kind = random_source.randrange(5)
            if kind == 0:
                lines.append(f"    {name()} = {name()}.{name()}({name()}, key={name()}[{random_source.randrange(9)}])")
            elif kind == 1:
                lines.append(f'    {name()} = "{" ".join(random_source.choices(WORDS, k=4))}"')
            elif kind == 2:
                lines.append(f"    if {name()} > {random_source.random():.4f} and not {name()}:")
                lines.append(f"        raise ValueError({name()!r})")
            elif kind == 3:
                lines.append(f"    {name()}[0x{random_source.getrandbits(32):08x}] = {name()}")
            else:
                lines.append(f"    # {_sentence(random_source)}")
        lines += [f"    return {name()}", "", ""]
    return "\n".join(lines)


def _docs(random_source: random.Random) -> str:
    blocks = []
    for _ in range(random_source.randint(3, 12)):
        blocks.append("## " + " ".join(random_source.choices(WORDS, k=3)).title())
        blocks += [_paragraph(random_source, random_source.randint(2, 6)) for _ in range(random_source.randint(1, 3))]
        if random_source.random() < 0.4:
            blocks.append("\n".join(f"- {_sentence(random_source, 3, 8)}" for _ in range(4)))
    return "\n\n".join(blocks) + "\n"


def _chat(random_source: random.Random) -> str:
    turns = []
    for turn in range(random_source.randint(1, 5)):
        speaker = "User" if turn % 2 == 0 else "Assistant"
        turns.append(f"{speaker}: {_paragraph(random_source, random_source.randint(1, 4))}")
    return "\n".join(turns)


def _json(random_source: random.Random) -> str:
    def value(depth: int) -> object:
        kind = random_source.randrange(6 if depth else 5)
        if kind == 0:
            return random_source.randint(0, 10**9)
        if kind == 1:
            return random_source.random() < 0.5
        if kind in (2, 3):
            return _sentence(random_source, 2, 12)
        if kind == 4:
            return f"2024-{random_source.randint(1, 12):02}-{random_source.randint(1, 28):02}T08:00:00Z"
        return [value(depth - 1) for _ in range(random_source.randint(1, 4))]

    rows = [
        {"_".join(random_source.choices(WORDS, k=2)): value(2) for _ in range(random_source.randint(3, 9))}
        for _ in range(random_source.randint(3, 30))
    ]
    return json.dumps({"items": rows, "next": None}, indent=random_source.choice([None, 2]))


MAKERS = {"code": _code, "docs": _docs, "chat": _chat, "json": _json}


def documents(name: str, byte_count: int = CORPUS_BYTES, seed: int = SEED) -> list[str]:
    """Documents of the corpus `name`, at least `byte_count` bytes in all; the same for the same seed."""
    random_source = random.Random(f"{seed}/{name}")
    made: list[str] = []
    total = 0
    while total < byte_count:
        text = MAKERS[name](random_source)
        if random_source.random() < 0.05:
            # Without a finding here and there an engine that finds nothing would have the right count.
            text += f"\n{fakes.make(random_source.choice(fakes.SECRETS), random_source).value}\n"
        made.append(text)
        total += len(made[-1].encode())
    return made


def filler(random_source: random.Random, characters: int) -> str:
    """Exactly `characters` of plain words: text in which no engine finds anything."""
    words: list[str] = []
    length = 0
    while length <= characters:
        words.append(random_source.choice(WORDS))
        length += len(words[-1]) + 1
    return " ".join(words)[:characters]
