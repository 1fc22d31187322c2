"""`sift-fast config`: begin or check a configuration of the guard, and print its schema and its reference."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, TextIO

import click

from sift_fast.cli.app import CLEAN
from sift_fast.errors import ConfigError

if TYPE_CHECKING:
    from sift_fast.guard.config import GuardConfig

__all__ = ["config"]

#: Thresholds of which `config topics` tells what they lead to.
_THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
#: What `config init` writes. Tables that need an answer of the user's are there to be filled in.
_START = """\
# The guard's configuration, begun by `sift-fast config init`. Every key: `sift-fast config reference`.
# An unknown key is an error; `sift-fast config check` reads the file as the guard would.

version = 1
preset = "{preset}"
policy_id = "{preset}"             # names this configuration in verdicts and events

[guardrails.prompt_leak]
canaries = ["{canary}"]   # write it into your system prompt: an answer that holds it is stopped
# prompt_file = "prompt.txt"    # the system prompt: an answer that repeats a run of its words is stopped

[guardrails.links]
hosts = []                      # hosts whose images an answer may show

# [guardrails.grounding]        # numbers, dates and quotes of an answer must stand in what was retrieved
# on_violation = "block"

# [tools.lookup]                # a table for each tool; with the guardrail `tools`, what is not listed is refused

# [events]
# file = "events.jsonl"         # what was decided, never what was read
"""


@click.group()
def config() -> None:
    """Begin or check the guard's configuration; its schema and reference."""


@config.command()
@click.argument("path", default="sift.toml")
@click.option(
    "--preset",
    type=click.Choice(["chat", "rag", "agent", "strict", "monitor-only"]),
    default="agent",
    show_default=True,
    help="What the configuration begins with.",
)
def init(path: str, preset: str) -> int:
    """Write a configuration to PATH (default: sift.toml), to be filled in. A file that is there is left alone."""
    import secrets

    text = _START.format(preset=preset, canary=f"canary-{secrets.token_hex(8)}")
    try:
        with open(path, "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise ConfigError(f"`{path}` is there already: name another file, or remove it") from None
    click.echo(f"wrote `{path}`: preset {preset}; next: sift-fast attack {path}")
    return CLEAN


@config.command()
@click.argument("path", default="sift.toml")
def check(path: str) -> int:
    """Load PATH (default: sift.toml) as the guard would, and say what is in force.

    Guardrails of your own and the classifier are given by the application; their tables are checked, they are not.
    """
    from sift_fast.guard._plan import Plans, Stuff
    from sift_fast.guard._rules import make_scanner
    from sift_fast.guard._slow import make_slow
    from sift_fast.guard.config import GuardConfig
    from sift_fast.guard.notify import Notifier

    loaded = GuardConfig.load(path)
    scanner, owners = make_scanner(loaded)
    stand = _Stand()
    # Everything a guard is made of, but no file is opened that it would write, and no kernel that another process has.
    plans = Plans(Stuff(loaded, scanner, owners, lambda name, table: make_slow(name, table, {name: stand})))
    if loaded.escalation.webhook:
        Notifier(loaded.escalation)
    _check_kernel(loaded)
    _check_places(loaded)
    lacking = plans.lacking()
    click.echo(f"{path}: policy `{loaded.policy_id}`, mode {loaded.mode}, hash {loaded.hash[:12]}")
    for name, table in loaded.guardrails.items():
        state = (
            "off"
            if not table.enabled
            else "idle"
            if name in lacking
            else "watches"
            if "monitor" in {table.mode, loaded.mode}
            else "enforces"
        )
        click.echo(f"  {name:16} {state:9} {table.on_violation:9} at {', '.join(table.stages)}")
        if name in lacking:
            click.echo(f"  {'':16} finds nothing: it needs {lacking[name]}")
    place = loaded.kernel.folder or loaded.kernel.socket
    click.echo(f"  {'kernel':16} {'asked' if place else 'none':9} {place or ''}".rstrip())
    kept = [name for name in (loaded.events.file, loaded.events.ledger) if name]
    click.echo(f"  {'events':16} {'written' if kept else 'nowhere':9} {', '.join(kept)}".rstrip())
    click.echo(f"  {len(loaded.tools)} tools, {len(loaded.override)} overrides, {len(scanner.rules)} rules")
    return CLEAN


@config.command()
@click.argument("path", default="sift.toml")
@click.option(
    "--lines", type=click.File(encoding="utf-8"), help="A file of texts, one a line, to be judged; - reads them."
)
def topics(path: str, lines: TextIO | None) -> int:
    """Say how well the examples of denied topics in PATH (default: sift.toml) tell them, at every threshold.

    Each example is judged by a classifier that has not seen it. With --lines, texts of your own are judged by all of
    them, and shown by their numbers. Only what examples say: phrases deny besides.
    """
    from sift_fast import _core
    from sift_fast.errors import ConfigError
    from sift_fast.guard._topics import learn, samples
    from sift_fast.guard.config import GuardConfig, TopicsConfig

    loaded = GuardConfig.load(path)
    tables = {name: table for name, table in loaded.guardrails.items() if isinstance(table, TopicsConfig)}
    if not any(samples(table) for table in tables.values()):
        raise ConfigError(f"`{path}` has no denied topic with `examples`: see docs/guard.md, topics by example")
    texts = None if lines is None else [line.strip() for line in lines]
    for name, table in tables.items():
        models = learn(table)
        for topic, given in samples(table).items():
            threshold = table.deny[topic].threshold
            click.echo(
                f"{name}.{topic}: {len(given.belong)} examples, {len(given.others)} others, threshold {threshold:g}"
            )
            if texts is None:
                scores = _core._TopicModel.held_out(*given)
                mine, others = scores[: len(given.belong)], scores[len(given.belong) :]
                for at in sorted({*_THRESHOLDS, threshold}):
                    found, wrong = (sum(score >= at for score in part) for part in (mine, others))
                    mark = "  <- in the file" if at == threshold else ""
                    click.echo(
                        f"  {at:4.2f}  {found:4} of {len(mine)} found  {wrong:4} of {len(others)} others denied{mark}"
                    )
            for number, text in enumerate(texts or (), 1):
                score = models[topic].score(text)
                click.echo(f"  line {number}  {score:.2f}  {'denied' if score >= threshold else 'passes'}")
    return CLEAN


@config.command()
def schema() -> int:
    """Print the JSON Schema of `sift.toml`, for editors."""
    from sift_fast.guard.config import config_schema

    click.echo(json.dumps(config_schema(), indent=2))
    return CLEAN


@config.command()
def reference() -> int:
    """Print the reference of `sift.toml`, in Markdown."""
    from sift_fast.guard.config import reference as text

    click.echo(text(), nl=False)
    return CLEAN


def _check_kernel(loaded: GuardConfig) -> None:
    """Read what the kernel would: its policies, and the keys that requests are signed with.

    Raises:
        ConfigError: something is not there.
        PolicyError: a policy is wrong.
    """
    from sift_fast._core import PolicySet

    kernel = loaded.kernel
    if kernel.folder is not None:
        PolicySet.load(loaded.path(kernel.folder))
    for tenant, key in kernel.keys.items():
        if not os.path.isfile(loaded.path(key.file)):
            raise ConfigError(f"kernel: the key file of tenant `{tenant}` is not there")


def _check_places(loaded: GuardConfig) -> None:
    """Look at the folders that a guard would write to.

    Raises:
        ConfigError: one is not there.
    """
    written = {
        "`[events] file`": loaded.events.file,
        "`[events] ledger`": loaded.events.ledger,
        "`[escalation] file`": loaded.escalation.file,
    }
    for key, name in written.items():
        if name is None:
            continue
        place = loaded.path(name)
        # The ledger makes its folders.
        if name is not loaded.events.ledger and not os.path.isdir(os.path.dirname(os.path.abspath(place))):
            raise ConfigError(f"{key}: the folder that it would stand in is not there: make it")
        if os.path.exists(place) and os.path.isdir(place) != (name is loaded.events.ledger):
            raise ConfigError(f"{key}: something else is in its place: name another one")


class _Stand:
    """Stands for what only the application has."""

    @staticmethod
    def score(_text: str) -> float:
        return 0.0

    @staticmethod
    def check(_text: str, _stage: str) -> float:
        return 0.0
