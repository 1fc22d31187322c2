"""sift_fast itself, from the installed wheel. A debug build is refused: its times mean nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benches import HERE
from benches.engines.base import Runner, StreamEngine, require
from benches.errors import BenchError, EngineMissing, WrongCount

PACKAGE = "sift-fast (`make wheel`, then pip install dist/*.whl)"

#: Rules for e-mail, URL and card numbers: the kinds that the rivals' streams cover and `secrets` does not.
STREAM_RULES = HERE / "rules" / "stream.toml"

KINDS = ("email", "url", "credit_card", "github", "slack")


def module() -> Any:
    """The package, after its build was found fit to be measured."""
    sf = require("sift_fast", PACKAGE)
    if not hasattr(sf, "build_info"):
        raise EngineMissing(f"only the source folder of sift_fast was found; install {PACKAGE}")
    profile = sf.build_info()["profile"]
    if profile != "release":
        raise BenchError(f"the installed sift_fast is a `{profile}` build; build the wheel with the release profile")
    return sf


def build() -> dict[str, Any]:
    """Build identity of what is measured."""
    return {key: value for key, value in module().build_info().items() if isinstance(value, str | int | float | bool)}


def _read(found: Any) -> int:
    seen = 0
    for finding in found:
        _ = finding.rule_id, finding.start, finding.end
        seen += 1
    return seen


def _runner(name: str, rules: Sequence[str], entities: Sequence[str] | None = None, *, decode: bool = False) -> Runner:
    sf = module()
    scanner = sf.Scanner(rules=list(rules), entities=entities, decode=decode)
    info = build()

    def many(texts: Sequence[str], threads: int) -> int:
        return len(scanner.scan_batch(texts, threads=threads).columns()["start"])

    return Runner(
        name=name,
        version=str(getattr(sf, "__version__", info.get("version", "unknown"))),
        settings=f"rules={list(rules)}, decoding {'on' if decode else 'off'}"
        + (f", {len(entities)} entities" if entities else ""),
        scan=scanner.scan,
        count=len,
        read=_read,
        batch=many,
        redact=lambda text: str(scanner.redact(text).text),
        facts={
            "rules": len(scanner.rules),
            "hash": scanner.hash,
            "build": info,
            "entities": entities,
            "decode": decode,
        },
    )


def runner(rules: Sequence[str]) -> Runner:
    """The rule sets of the definition."""
    return _runner("sift_fast", rules)


def runner_decoding(rules: Sequence[str]) -> Runner:
    """The rule sets of the definition, with all decoders."""
    return _runner("sift_fast_decoding", rules, decode=True)


def runner_default(rules: Sequence[str]) -> Runner:
    """The rule set `default` with all decoders, whatever the definition says: what `Scanner()` is."""
    del rules
    return _runner("sift_fast_default", ["default"], decode=True)


def runner_pii(rules: Sequence[str]) -> Runner:
    """The rule sets of the definition and `pii`."""
    return _runner("sift_fast_pii", [*rules, "pii"])


def runner_shared(rules: Sequence[str]) -> Runner:
    """Of the rule sets of the definition, the entities that LiteLLM ships a pattern for."""
    from benches.engines.litellm import shared

    return _runner("sift_fast_shared", rules, sorted(set(shared(rules).values())))


def runner_presidio(rules: Sequence[str]) -> Runner:
    """Of all personal data, the entities that Presidio looks for in English, whatever the definition says."""
    from benches.engines.presidio import entities

    del rules
    sets = ["pii-all"]
    known = {rule.entity_type for rule in module().Scanner(rules=sets).rules}
    return _runner("sift_fast_presidio", sets, [entity for entity in entities() if entity in known])


class _Stream:
    complete = True

    def __init__(self, name: str, rules: Sequence[str], rule_files: Sequence[str]) -> None:
        sf = module()
        self.name = name
        self.version = str(getattr(sf, "__version__", "unknown"))
        self.settings = f"rules={list(rules)}" + (
            " and benches/rules/stream.toml, all kinds at once" if rule_files else ""
        )
        self.scanner = sf.Scanner(rules=list(rules), rule_files=list(rule_files))

    def covers(self, kind: str) -> bool:
        return kind in KINDS

    def whole(self, kind: str, text: str) -> str:
        del kind
        return str(self.scanner.redact(text).text)

    def run(self, kind: str, chunks: Sequence[str]) -> list[str]:
        del kind
        stream = self.scanner.stream()
        out = [stream.feed(chunk) for chunk in chunks]
        out.append(stream.finish())
        return out

    def feeder(self, kind: str) -> Callable[[str], Callable[[], int]]:
        del kind
        feed = self.scanner.stream().feed
        return lambda chunk: lambda: len(feed(chunk))


def stream(rules: Sequence[str]) -> StreamEngine:
    """The rule sets of the definition."""
    return _Stream("sift_fast", rules, [])


def stream_kinds(rules: Sequence[str]) -> StreamEngine:
    """The same and the rules of `benches/rules/stream.toml`, so that every kind a rival covers is covered."""
    return _Stream("sift_fast_kinds", rules, [str(STREAM_RULES)])


def held_after_each(rules: Sequence[str], documents: Sequence[str]) -> list[int]:
    """`stream.held` after every character of every document, one new stream per document.

    Where nothing is edited, what went in less what came out must be the same number: the counter is
    ours, so it is not taken on trust.
    """
    scanner = module().Scanner(rules=list(rules))
    held: list[int] = []
    for document in documents:
        untouched = scanner.redact(document).text == document
        stream = scanner.stream()
        feed = stream.feed
        inside = 0
        for character in document:
            inside += 1 - len(feed(character))
            held.append(stream.held)
            if untouched and inside != held[-1]:
                raise WrongCount(f"`stream.held` says {held[-1]} where {inside} characters are inside")
        stream.finish()
    return held


def second_engine(rules: Sequence[str], entities: Sequence[str] | None = None, *, decode: bool) -> Callable[[str], Any]:
    """`scan` of the second engine, for verifying counts: other code, same rules."""
    try:
        scanner = module().Scanner(rules=list(rules), entities=entities, decode=decode, engine="automata")
    except TypeError as error:
        raise BenchError("this build of sift_fast has no choice of engine, so nothing can verify its counts") from error
    scan: Callable[[str], Any] = scanner.scan
    return scan
