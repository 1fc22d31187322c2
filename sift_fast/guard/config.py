"""`sift.toml`, version 1: tables, presets, loading, and the hash that names a configuration in every verdict."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from sift_fast.errors import ConfigError
from sift_fast.guard._declare import build, option, options, schema
from sift_fast.guard._presets import PRESETS
from sift_fast.guard.verdict import Stage

__all__ = ["KINDS", "GuardConfig", "GuardrailConfig", "PresetName", "config_schema", "reference"]

PresetName: TypeAlias = Literal["chat", "rag", "agent", "strict", "monitor-only"]
Violation: TypeAlias = Literal["block", "redact", "escalate", "flag", "monitor"]
Mode: TypeAlias = Literal["enforce", "monitor"]
OnError: TypeAlias = Literal["fail_closed", "fail_open"]
OperatorName: TypeAlias = Literal["replace", "mask", "remove", "pseudonym"]

#: Most bytes of a configuration file.
_MAX_FILE = 1 << 20
#: Texts that a topic is learned from: fewer tell nothing, and more take longer than a second.
_LEAST_EXAMPLES = 8
_MOST_EXAMPLES = 2_000
_LONGEST_EXAMPLE = 1_000
#: Most pairs of a tenant and a role whose overrides are checked together when the file is read.
_MOST_PAIRS = 1_000


@dataclass(frozen=True, kw_only=True)
class GuardrailConfig:
    """What every guardrail has."""

    kind: str = option("", "What it checks; the table's name where that is a kind.")
    enabled: bool = option(True, "Whether it runs at all.")
    stages: tuple[Stage, ...] = option((), "Where it runs; empty for the stages its kind is made for.")
    on_violation: Violation = option("block", "What a violation leads to. `monitor` only records it.")
    min_score: float = option(0.5, "A violation needs at least this score, 0 to 1.", low=0, high=1)
    escalate_at: float | None = option(None, "From this score on a violation goes to a person.", low=0, high=1)
    block_at: float | None = option(None, "From this score on a violation is blocked.", low=0, high=1)
    on_error: OnError = option("fail_closed", "What an error of the check leads to; it is reported either way.")
    on_limit: OnError = option("fail_closed", "What a hit limit leads to: a text of which a part was not read.")
    timeout_ms: int = option(100, "Milliseconds a check that waits for others may take.", low=1, high=60_000)
    mode: Mode = option("enforce", "`monitor` records what it would have decided and lets the text pass.")
    message: str = option("", "What a user may be shown; empty for the configured answer.")


@dataclass(frozen=True, kw_only=True)
class ScanConfig(GuardrailConfig):
    """Reads the shared scan. One for each category: `secrets`, `pii`, `injection`, `leak`."""

    entities: tuple[str, ...] = option((), "Only these entity types; empty for all of the category.")
    exclude: tuple[str, ...] = option((), "Entity types and rule ids that are left out.")
    operator: OperatorName = option("replace", "What is put in the place of a finding. `pseudonym` can be put back.")


@dataclass(frozen=True, kw_only=True)
class LengthConfig(GuardrailConfig):
    """Length and token budget of one text and of a conversation."""

    max_chars: int = option(200_000, "Most characters of one text.", low=1)
    max_tokens: int | None = option(None, "Most tokens of one text, by `chars_per_token`.", low=1)
    chars_per_token: float = option(4.0, "Characters that make a token.", low=0.1, high=100)
    max_turns: int | None = option(None, "Most user turns of a conversation.", low=1)
    max_conversation_chars: int | None = option(None, "Most characters a user sends in a conversation.", low=1)


@dataclass(frozen=True, kw_only=True)
class WordsConfig(GuardrailConfig):
    """A list of words and phrases of the application; found as whole words, whatever the case."""

    words: tuple[str, ...] = option((), "The words and phrases.")
    file: str | None = option(None, "A file with one per line, besides; relative to the configuration.")


@dataclass(frozen=True, kw_only=True)
class TopicConfig:
    """One topic: how it is recognised, and what is said about it."""

    phrases: tuple[str, ...] = option((), "Words and phrases that stand for it.")
    answer: str = option("", "What the user is told; empty for the configured answer.")
    examples: tuple[str, ...] = option(
        (), "Texts about a denied topic, 8 or more: a small classifier learns it from them."
    )
    counter_examples: tuple[str, ...] = option((), "Texts that are not about it, though they share its words.")
    threshold: float = option(
        0.5,
        "How likely a text must be about it by the examples; `sift-fast config topics` says what a threshold leads to.",
        low=0.05,
        high=0.99,
    )


@dataclass(frozen=True, kw_only=True)
class TopicsFile:
    """Topics in a file of their own."""

    deny: dict[str, TopicConfig] = option(doc="As in the guardrail.", factory=dict)
    allow: dict[str, TopicConfig] = option(doc="As in the guardrail.", factory=dict)
    others: tuple[str, ...] = option((), "As in the guardrail.")


@dataclass(frozen=True, kw_only=True)
class TopicsConfig(GuardrailConfig):
    """Denied and allowed topics, by the words that stand for them; denied ones by examples too."""

    deny: dict[str, TopicConfig] = option(doc="Topics that are not spoken about.", factory=dict)
    allow: dict[str, TopicConfig] = option(doc="If any: a text about none of them is a violation.", factory=dict)
    short: int = option(40, "Texts of up to this many characters need no allowed topic.", low=0)
    others: tuple[str, ...] = option((), "Ordinary texts about no denied topic, for topics that have examples.")
    file: str | None = option(
        None, "A TOML file with more of `deny`, `allow` and `others`; relative to the configuration."
    )
    examples_at: tuple[Stage, ...] = option(
        ("input",),
        "Stages, of those above, whose texts are judged by examples; a stream so judged is shown when it has ended.",
    )


@dataclass(frozen=True, kw_only=True)
class AclConfig(GuardrailConfig):
    """Which retrieved documents this caller may read, by their metadata, before anything reads them."""

    tenant_key: str = option("tenant", "Metadata key with the tenant a document belongs to.")
    shared_tenants: tuple[str, ...] = option((), "Tenants whose documents everybody may read.")
    roles_key: str = option("", "Metadata key with the roles that may read it, string or array; empty for none.")
    users_key: str = option("", "Metadata key with the users that may read it; empty for none.")


@dataclass(frozen=True, kw_only=True)
class ToolsConfig(GuardrailConfig):
    """Which tools may be called, by role and by the state of the conversation; `[tools.NAME]` says which."""

    unlisted: Literal["deny", "allow"] = option("deny", "What happens to a tool that has no table.")
    max_calls: int | None = option(None, "Most tool calls of a conversation.", low=1)


@dataclass(frozen=True, kw_only=True)
class ProvenanceConfig(GuardrailConfig):
    """Arguments that repeat what a document or a tool result brought into the conversation."""

    arguments: tuple[str, ...] = option(
        (
            "recipient",
            "receiver",
            "payee",
            "beneficiary",
            "target",
            "to",
            "cc",
            "bcc",
            "email",
            "address",
            "phone",
            "url",
            "uri",
            "link",
            "href",
            "host",
            "hostname",
            "domain",
            "endpoint",
            "webhook",
            "destination",
            "path",
            "file",
            "filename",
            "filepath",
            "folder",
            "directory",
            "command",
            "cmd",
            "script",
            "query",
            "sql",
            "account",
            "iban",
        ),
        "Names of arguments, at any depth, that may not come from an untrusted source; `url` stands for `target_url` "
        "and `urls` too.",
    )
    trusted: tuple[str, ...] = option((), "Tools whose results are no untrusted source.")
    max_entries: int = option(
        16_384,
        "Most fingerprints of each sort kept for a conversation, 8 bytes each; a power of two.",
        low=16,
        high=16_777_216,
    )


@dataclass(frozen=True, kw_only=True)
class ConversationConfig(GuardrailConfig):
    """What adds up over the turns of a conversation: risk, and attacks that are split over turns."""

    window_chars: int = option(400, "Characters of earlier turns read together with the new one.", low=0, high=16_384)
    decay: float = option(0.7, "What is left of the risk at the next turn.", low=0, high=1)
    risk_at: float = option(1.5, "Sum of scores from which the conversation itself is a violation.", low=0.01)


@dataclass(frozen=True, kw_only=True)
class PromptLeakConfig(GuardrailConfig):
    """The system prompt in the model's answer: canaries, and runs of words of the real prompt."""

    canaries: tuple[str, ...] = option(
        (),
        "Strings that stand in the prompt and nowhere else; 8 characters or more. One with a digit is found also where "
        "its letters stand apart.",
    )
    prompt: str = option("", "The system prompt itself.")
    prompt_file: str | None = option(None, "A file with it; relative to the configuration.")
    words: int = option(12, "A run of this many words of the prompt is a leak.", low=4, high=64)


@dataclass(frozen=True, kw_only=True)
class LinksConfig(GuardrailConfig):
    """Images and, if asked for, links to hosts that are not the application's: where they are shown, data leaves."""

    hosts: tuple[str, ...] = option((), "Hosts that may be linked; `acme.example` stands for its subdomains too.")
    links: bool = option(False, "Whether plain links count as well, not images only.")


@dataclass(frozen=True, kw_only=True)
class CodeConfig(GuardrailConfig):
    """What must not stand in an output that is run, or in the arguments of tools (`stages`) that run them."""

    languages: tuple[Literal["shell", "sql", "python", "template"], ...] = option(
        ("shell", "sql", "python", "template"), "As what it is run. HTML is read by `leak` and `links`."
    )


@dataclass(frozen=True, kw_only=True)
class GroundingConfig(GuardrailConfig):
    """Numbers, dates, quotes, links and citations of an answer that no retrieved text holds."""

    check: tuple[Literal["number", "date", "quote", "name", "link", "citation"], ...] = option(
        ("number", "date", "quote", "link", "citation"), "What must be found in the sources."
    )
    tolerated: int = option(0, "How many unsupported items are let pass.", low=0)


@dataclass(frozen=True, kw_only=True)
class SchemaConfig(GuardrailConfig):
    """The shape an answer must have: JSON that fits a JSON Schema or a pydantic model."""

    schema: dict[str, Any] = option(doc="The JSON Schema.", factory=dict)
    schema_file: str | None = option(None, "A file with it; relative to the configuration.")
    model: str = option("", "A pydantic model instead, `package.module:Class`; or given: `Guard(models={...})`.")
    retries: int = option(1, "Answers that do not fit are asked for again this often, then go to a person.", low=0)


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(GuardrailConfig):
    """The injection classifier: the one that comes with the package, or the one that the guard was given."""

    on_violation: Violation = option("flag", "What a score above the threshold leads to.")
    min_score: float = option(0.0, "The threshold; 0 for the classifier's own, that of `calibration`.", low=0, high=1)
    calibration: str | None = option(None, "A file of `sift-fast calibrate`, with thresholds by stage.")
    encoder: str | None = option(
        None, "Folder of an encoder, the third tier, for texts of which the others are unsure."
    )
    encoder_sha256: str = option("", "Expected hash of the encoder's manifest; empty takes the folder's word.")
    max_chars: int = option(1_000_000, "Longer texts count as a hit limit.", low=1)


@dataclass(frozen=True, kw_only=True)
class ExternalConfig(GuardrailConfig):
    """A judge or moderation endpoint: `POST {"text", "stage"}`, answered by `{"score", "reason"}`."""

    url: str = option("", "Where it is asked.")
    token_env: str = option("", "Environment variable with a bearer token.")
    failures: int = option(
        3, "Failures in a row for one tenant after which it is not asked for his texts for a while.", low=1
    )
    pause_ms: int = option(10_000, "How long it is then not asked, milliseconds.", low=1)
    concurrency: int = option(
        8, "Most questions at a time; others wait for a place within `deadline_ms`.", low=1, high=1024
    )


@dataclass(frozen=True, kw_only=True)
class CustomConfig(GuardrailConfig):
    """A guardrail of yours: given to `Guard(guardrails=...)` by name, or an entry point."""

    entry_point: str = option("", "Name in the entry point group `sift_fast.guardrails`; empty: given by name.")
    failures: int = option(0, "As for `external`; 0 asks it however often it failed.", low=0)
    pause_ms: int = option(10_000, "As for `external`.", low=1)


#: Kind, its table, the stages it is made for.
KINDS: dict[str, tuple[type[GuardrailConfig], tuple[Stage, ...]]] = {
    "secrets": (ScanConfig, ("input", "retrieval", "tool_input", "tool_output", "output")),
    # Not `tool_input`: a tool that writes to somebody needs the address.
    "pii": (ScanConfig, ("input", "retrieval", "tool_output", "output")),
    "injection": (ScanConfig, ("input", "retrieval", "tool_output")),
    "leak": (ScanConfig, ("output",)),
    "length": (LengthConfig, ("input", "retrieval", "tool_input", "tool_output", "output")),
    "words": (WordsConfig, ("input", "output")),
    "topics": (TopicsConfig, ("input", "output")),
    "acl": (AclConfig, ("retrieval",)),
    "tools": (ToolsConfig, ("tool_input", "tool_output")),
    "provenance": (ProvenanceConfig, ("tool_input",)),
    "conversation": (ConversationConfig, ("input",)),
    "prompt_leak": (PromptLeakConfig, ("output",)),
    "links": (LinksConfig, ("output",)),
    "code": (CodeConfig, ("output",)),
    "grounding": (GroundingConfig, ("output",)),
    "schema": (SchemaConfig, ("output",)),
    "classifier": (ClassifierConfig, ("input", "retrieval", "tool_output")),
    "external": (ExternalConfig, ("input", "output")),
    "custom": (CustomConfig, ("input", "output")),
}


@dataclass(frozen=True, kw_only=True)
class ScannerConfig:
    """The one scanner that all guardrails share."""

    rules: tuple[str, ...] = option(("secrets", "pii", "injection", "leak"), "Rule sets.")
    rule_files: tuple[str, ...] = option((), "Rule documents of yours; relative to the configuration.")
    exclude: tuple[str, ...] = option((), "Entity types and rule ids that are not looked for.")
    allow_list: tuple[str, ...] = option((), "Values that are never findings.")
    decode: bool = option(True, "Read what is written in base64, hex, escapes or disguised characters as well.")
    text_bytes: int = option(16 << 20, "Most bytes of one text.", low=1, high=2**32 - 1)
    time_ms: int | None = option(1_000, "Milliseconds one scan may take.", low=1)


@dataclass(frozen=True, kw_only=True)
class ToolConfig:
    """One tool: who may call it when, what it takes and returns."""

    roles: tuple[str, ...] = option((), "Roles that may call it; empty for every role.")
    states: tuple[str, ...] = option((), "States of a conversation in which it may be called; empty for any.")
    escalate: bool = option(False, "Each call goes to a person.")
    args: dict[str, Any] = option(doc="JSON Schema of its arguments; empty for none.", factory=dict)
    returns: dict[str, Any] = option(doc="JSON Schema of its result; empty for none.", factory=dict)
    personal: dict[str, tuple[str, ...]] = option(
        doc="Fields of the result, `customer.email`, and the roles that see them; others get them removed.",
        factory=dict,
    )
    tenant_field: str = option(
        "", "Field of the result, `row.tenant`, that must name the caller's tenant wherever it stands, and must stand."
    )
    untrusted: bool = option(True, "Whether its results are an untrusted source for later arguments.")


@dataclass(frozen=True, kw_only=True)
class KernelKeyConfig:
    """The key with which requests of one tenant are signed."""

    agent: str = option("", "Name of the agent whose key it is.")
    id: str = option("", "Id of the key in the kernel's `keys.toml`.")
    file: str = option("", "File with the private key.")


@dataclass(frozen=True, kw_only=True)
class KernelConfig:
    """The action kernel that every tool call passes after the guardrails. Without folder and socket: none."""

    folder: str | None = option(None, "Its folder, for a kernel in this process.")
    socket: str | None = option(None, "Its Unix socket, for a kernel in a process of its own.")
    agent: str = option("", "Agent in requests that no key signs, for a kernel that trusts its process.")
    keys: dict[str, KernelKeyConfig] = option(doc="Keys by tenant.", factory=dict)
    session_s: int = option(
        3_600, "Seconds of a session, one for each conversation; 0 signs every request.", low=0, high=86_400
    )
    session_tools: tuple[str, ...] = option(
        (), "Tools that a session may call without a person's elevation; empty for all that the policy allows."
    )
    timeout_ms: int = option(5_000, "Milliseconds an answer, durable receipt included, may take.", low=1, high=60_000)


@dataclass(frozen=True, kw_only=True)
class EventsConfig:
    """The record of what was decided. Holds no text."""

    file: str | None = option(None, "File of JSON lines that events are appended to.")
    ledger: str | None = option(None, "Folder of a transparency log that events are appended to; made if it is new.")
    ledger_name: str = option("", "Name of the log where it is new; empty for a random one.")
    on_error: OnError = option("fail_closed", "What it leads to that an event cannot be written; it is reported.")
    sample_allow: float = option(0.0, "Part of the allow events that is recorded, 0 to 1.", low=0, high=1)
    tenant: bool = option(True, "Whether events name the tenant; metrics never do.")
    queue: int = option(10_000, "Most events that wait to be written; then verdicts wait.", low=1)


@dataclass(frozen=True, kw_only=True)
class EscalationConfig:
    """Records for people."""

    file: str | None = option(None, "SQLite file; without one, records last as long as the process.")
    owner: str = option("", "Who works on them.")
    expires_s: int = option(86_400, "Seconds until a record that nobody decided is refused.", low=1)
    on_block: bool = option(False, "Whether a block opens a record too; an approval of one lets nothing pass.")
    keep_s: int = option(2_592_000, "Seconds for which a record is kept after it has expired.", low=0)
    records: int = option(
        100_000,
        "Most records. Closed ones are given up first; where all of them wait, what would wait too is blocked.",
        low=100,
    )
    webhook: str = option("", "Where a signed notification is sent; it names the record and holds no text.")
    webhook_key_env: str = option("", "Environment variable with the key of the signature, hexadecimal.")
    format: Literal["json", "slack"] = option("json", "Form of the notification.")
    link: str = option("", "Prefix of the link to a record.")


@dataclass(frozen=True, kw_only=True)
class AnswersConfig:
    """What users are told. None of them is a dead end: `contact` is appended."""

    block: str = option("This request cannot be answered: it breaks a rule of this service.", "After a block.")
    escalate: str = option("This request waits for a person to look at it.", "After an escalation.")
    error: str = option("This request cannot be checked at the moment. Please try again later.", "After an error.")
    contact: str = option("", "How to reach a person.")


@dataclass(frozen=True, kw_only=True)
class LimitsConfig:
    """Bounds of what the guard remembers."""

    conversations: int = option(10_000, "Most conversations remembered; the longest unused is forgotten.", low=1)
    conversation_ttl_s: int = option(86_400, "Seconds after which an unused conversation is forgotten.", low=1)
    memory_bytes: int = option(
        256 << 20,
        "Most bytes that all conversations take together, about; the longest unused of the tenant that takes most is "
        "forgotten.",
        low=1 << 20,
    )
    source_chars: int = option(200_000, "Most characters of retrieved text kept for grounding.", low=0)
    documents: int = option(1_000, "Most documents of one retrieval.", low=1)
    deadline_ms: int = option(2_000, "Milliseconds all checks of one text together may take.", low=1)


@dataclass(frozen=True, kw_only=True)
class OverrideConfig:
    """Settings for a tenant, a role or both; later ones win."""

    tenant: str | None = option(None, "The tenant it is for; none for all.")
    role: str | None = option(None, "The role it is for; none for all.")
    guardrails: dict[str, Any] = option(doc="Keys of guardrails that differ.", factory=dict)


@dataclass(frozen=True, kw_only=True)
class GuardConfig:
    """A configuration of the guard, checked.

    Example:
        >>> GuardConfig.from_dict({"version": 1, "preset": "chat"}).guardrails["secrets"].on_violation
        'redact'
    """

    version: int = option(doc="Version of the format: 1.", low=1, high=1)
    policy_id: str = option("default", "Names the configuration in verdicts and events.")
    preset: PresetName | None = option(None, "What to begin with; tables of the file change it key by key.")
    mode: Mode = option("enforce", "`monitor`: nothing is enforced, everything is recorded.")
    guardrails: dict[str, Any] = option(doc="The guardrails by name.", factory=dict)
    tools: dict[str, ToolConfig] = option(doc="The tools by name.", factory=dict)
    scanner: ScannerConfig = option(doc="The shared scanner.", factory=ScannerConfig)
    kernel: KernelConfig = option(doc="The action kernel.", factory=KernelConfig)
    events: EventsConfig = option(doc="The record.", factory=EventsConfig)
    escalation: EscalationConfig = option(doc="Records for people.", factory=EscalationConfig)
    answers: AnswersConfig = option(doc="What users are told.", factory=AnswersConfig)
    limits: LimitsConfig = option(doc="Bounds.", factory=LimitsConfig)
    override: tuple[OverrideConfig, ...] = option((), "Settings for tenants and roles.")
    #: Folder that paths are relative to.
    base: str = field(default="", init=False)
    hash: str = field(default="", init=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, base: str = "", where: str = "configuration") -> GuardConfig:
        """A configuration from the tables of a file.

        Args:
            values: as TOML gives them.
            base: folder that paths are relative to; empty for the working directory.
            where: names the file in messages.

        Raises:
            ConfigError: a key is unknown, a value is wrong, or a file it names cannot be read.
        """
        if values.get("version") != 1:
            raise ConfigError(f"{where}: `version` must be 1")
        preset = values.get("preset")
        if preset is not None and preset not in PRESETS:
            raise ConfigError(f"{where}: `preset` must be one of {', '.join(PRESETS)}")
        merged = _merge(PRESETS[preset] if preset else {}, values)
        config = build(cls, merged, where)
        tables = {name: _guardrail(name, table, where, base) for name, table in config.guardrails.items()}
        put = object.__setattr__
        put(config, "guardrails", tables)
        put(config, "base", base)
        if config.kernel.folder is not None and config.kernel.socket is not None:
            raise ConfigError(f"{where}: `kernel` has a `folder` or a `socket`, not both")
        config._check_tables(tables, where)
        for number, override in enumerate(config.override):
            # By itself first: a message that names one override is the shortest way to it.
            place = f"{where}: override {number + 1}"
            config._check_tables(config._overridden(tables, override, place), place)
        for matching in config._matches():
            if len(matching) > 1:
                place = _together(where, matching)
                config._check_tables(config._merged(matching, place), place)
        put(config, "hash", config._digest())
        return config

    @classmethod
    def from_toml(cls, text: str, *, base: str = "", where: str = "configuration") -> GuardConfig:
        """A configuration from the text of a file.

        Raises:
            ConfigError: as for `from_dict`, or it is no TOML.
        """
        return cls.from_dict(_read_toml(text, where), base=base, where=where)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> GuardConfig:
        """Read a configuration from a file.

        Raises:
            ConfigError: as for `from_toml`, or the file cannot be read or is larger than 1 MiB.
        """
        name = os.fspath(path)
        try:
            os.lstat(name)
        except FileNotFoundError:
            raise ConfigError(f"`{name}` is not there: make one with `sift-fast config init`") from None
        except OSError:
            # Said by what reads it.
            pass
        text = read_text(name, limit=_MAX_FILE)
        return cls.from_toml(text, base=os.path.dirname(os.path.abspath(name)), where=f"`{os.path.basename(name)}`")

    def guardrails_for(self, tenant: str, role: str) -> dict[str, GuardrailConfig]:
        """The guardrails as they are for a caller: those of the file, with the overrides that match.

        Raises:
            ConfigError: these overrides contradict one another.
        """
        matching = self.matching(tenant, role)
        tables = self._merged(matching, "configuration")
        if matching:
            self._check_tables(tables, _together("configuration", matching))
        return tables

    def matching(self, tenant: str, role: str) -> tuple[int, ...]:
        """Which overrides hold for a caller, by their places in the file."""
        return tuple(
            number
            for number, override in enumerate(self.override)
            if override.tenant in {None, tenant} and override.role in {None, role}
        )

    def runs(self, name: str) -> bool:
        """Whether a guardrail runs for anybody: one that is off in the file may be on for a tenant."""
        changes = (override.guardrails.get(name, {}) for override in self.override)
        return self.guardrails[name].enabled or any(change.get("enabled") is True for change in changes)

    def _matches(self) -> set[tuple[int, ...]]:
        """The combinations of overrides that there are callers for: the first of them, where tenants and roles make
        very many. The others are checked when such a caller comes.
        """
        # Who is named nowhere is met by those that name nobody.
        tenants = sorted({override.tenant or "" for override in self.override} | {""})
        roles = sorted({override.role or "" for override in self.override} | {""})
        pairs = itertools.islice(itertools.product(tenants, roles), _MOST_PAIRS)
        return {self.matching(tenant, role) for tenant, role in pairs}

    def _merged(self, matching: Iterable[int], where: str) -> dict[str, GuardrailConfig]:
        tables: dict[str, GuardrailConfig] = dict(self.guardrails)
        for number in matching:
            tables = self._overridden(tables, self.override[number], where)
        return tables

    def _check_tables(self, tables: Mapping[str, GuardrailConfig], where: str) -> None:
        """Refuse guardrails that could not work, by themselves or together: for whomever they are."""
        self._check_tools(tables, where)
        for name, table in tables.items():
            if table.enabled:
                _check_table(name, table, where)
        lists = [name for name, table in tables.items() if table.kind == "acl" and table.enabled]
        if len(lists) > 1:
            raise ConfigError(f"{where}: `{lists[0]}` and `{lists[1]}` are both of kind `acl`: say in one who may read")

    def _check_tools(self, tables: Mapping[str, GuardrailConfig], where: str) -> None:
        """Refuse what is said about tools where nothing reads it: whoever wrote it relies on it."""
        readers = [table for table in tables.values() if table.kind == "tools" and table.enabled]
        if not readers and any(table.kind == "tools" and table.enabled for table in self.guardrails.values()):
            # Switched off for somebody: that is said in so many words.
            return
        stages = {stage for table in readers for stage in table.stages}
        for name, tool in self.tools.items():
            called = tool.roles or tool.states or tool.escalate or tool.args
            if (called and "tool_input" not in stages) or (
                (tool.returns or tool.personal or tool.tenant_field) and "tool_output" not in stages
            ):
                raise ConfigError(
                    f"{where}: `tools.{name}` says who may call it or what it takes and returns, and no guardrail "
                    "reads that at its stage: add `[guardrails.tools]`, or use the preset `agent`"
                )

    def offline(self) -> GuardConfig:
        """The same without what reaches outside: no judge is asked, no file is written, nobody is notified."""
        import copy
        from dataclasses import replace

        out = copy.copy(self)
        kept = {name: table for name, table in self.guardrails.items() if table.kind not in {"external", "custom"}}
        put = object.__setattr__
        put(out, "guardrails", kept)
        put(out, "kernel", KernelConfig())
        put(out, "events", EventsConfig())
        put(out, "escalation", replace(self.escalation, file=None, webhook=""))
        overrides = tuple(
            replace(entry, guardrails={name: keys for name, keys in entry.guardrails.items() if name in kept})
            for entry in self.override
        )
        put(out, "override", overrides)
        return out

    def path(self, name: str) -> str:
        """A path of the file, relative to where the file is."""
        return os.path.join(self.base, name)

    @staticmethod
    def _overridden(
        tables: Mapping[str, GuardrailConfig], override: OverrideConfig, where: str
    ) -> dict[str, GuardrailConfig]:
        out = dict(tables)
        for name, changes in override.guardrails.items():
            if name not in out:
                raise ConfigError(f"{where}: there is no guardrail `{name}` to change")
            if not isinstance(changes, Mapping):
                raise ConfigError(f"{where}: `{name}` must be a table")
            fixed = {"kind", *_FIXED} & set(changes)
            if fixed:
                raise ConfigError(f"{where}: `{min(fixed)}` of `{name}` is the same for everybody")
            out[name] = _guardrail(name, {**_given(out[name]), **changes}, where)
        return out

    def _digest(self) -> str:
        shown = {name: value for name, value in asdict(self).items() if name not in {"base", "hash"}}
        digest = hashlib.sha256(json.dumps(shown, sort_keys=True, default=str).encode())
        for name in sorted(self._files()):
            digest.update(b"\0" + hashlib.sha256(read_text(self.path(name)).encode("utf-8", "surrogatepass")).digest())
        return digest.hexdigest()

    def _files(self) -> Iterable[str]:
        yield from self.scanner.rule_files
        for table in self.guardrails.values():
            for key in ("file", "prompt_file", "schema_file", "calibration"):
                if getattr(table, key, None):
                    yield getattr(table, key)


def _together(where: str, matching: Iterable[int]) -> str:
    return f"{where}: overrides {', '.join(str(number + 1) for number in matching)} together"


# What is compiled once for all callers.
_FIXED = (
    "words", "file", "canaries", "prompt", "prompt_file", "deny", "allow", "url", "entry_point", "calibration", "model",
    "encoder", "encoder_sha256", "others", "languages",
)  # fmt: skip


def _guardrail(name: str, table: Any, where: str, base: str) -> GuardrailConfig:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: guardrail `{name}` must be a table")
    kind = table.get("kind") or name
    if kind not in KINDS:
        raise ConfigError(f"{where}: guardrail `{name}` needs a `kind`: one of {', '.join(KINDS)}")
    config_type, stages = KINDS[kind]
    values = {**table, "kind": kind}
    values["stages"] = tuple(table.get("stages") or stages)
    config = build(config_type, values, f"{where}: guardrail `{name}`")
    impossible = [stage for stage in config.stages if kind in _ONLY and stage not in stages]
    if impossible:
        raise ConfigError(f"{where}: guardrail `{name}` of kind `{kind}` does not work at `{impossible[0]}`")
    if kind == "external" and not config.url.startswith(("https://", "http://")):  # type: ignore[attr-defined]
        raise ConfigError(f"{where}: guardrail `{name}`: `url` must begin with https:// or http://")
    if isinstance(config, TopicsConfig) and config.file:
        return _with_topics(config, name, os.path.join(base, config.file), where)
    return config


def _with_topics(table: TopicsConfig, name: str, path: str, where: str) -> TopicsConfig:
    """A table with the topics of its file."""
    from dataclasses import replace

    there = f"`{os.path.basename(path)}`"
    more = build(TopicsFile, _read_toml(read_text(path, limit=_MAX_FILE), there), there)
    for side in ("deny", "allow"):
        twice = sorted(getattr(table, side).keys() & getattr(more, side).keys())
        if twice:
            raise ConfigError(f"{where}: guardrail `{name}`: `{side}.{twice[0]}` stands in its `file` as well")
    return replace(
        table,
        deny={**table.deny, **more.deny},
        allow={**table.allow, **more.allow},
        others=(*table.others, *more.others),
    )


def _read_toml(text: str, where: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # Its message may quote a line; a place is enough.
        place = str(error).rpartition("(")[2].rstrip(")")
        raise ConfigError(f"{where} is no TOML: {place if place.startswith('at ') else 'it ends early'}") from None


def _check_table(name: str, table: GuardrailConfig, where: str) -> None:
    """Refuse what could never find or do anything: whoever wrote it relies on it.

    Raises:
        ConfigError: it could not.
    """
    for key in ("escalate_at", "block_at"):
        score = getattr(table, key)
        if score is not None and score < table.min_score:
            raise ConfigError(f"{where}: guardrail `{name}`: below `min_score` no score counts: raise `{key}`")
    if table.on_violation == "redact":
        _check_edits(name, table, where)
    if isinstance(table, WordsConfig) and not _said(table.words) and not table.file:
        raise ConfigError(f"{where}: guardrail `{name}` has neither `words` nor a `file` of them")
    if isinstance(table, TopicsConfig):
        _check_topics(name, table, where)
    for key in _NEEDED.get(table.kind, ()):
        if not _said(getattr(table, key)):
            raise ConfigError(f"{where}: guardrail `{name}`: without `{key}` it looks for nothing: name some")


#: Kinds and their lists that are full by themselves: who empties one has nothing left that could be found.
_NEEDED = {"code": ("languages",), "grounding": ("check",), "provenance": ("arguments",)}


def _said(phrases: Iterable[str]) -> bool:
    return any(phrase.strip() for phrase in phrases)


def _check_topics(name: str, table: TopicsConfig, where: str) -> None:
    if not table.deny and not table.allow:
        raise ConfigError(f"{where}: guardrail `{name}` has neither topics to `deny` nor to `allow`")
    for side, topics in (("deny", table.deny), ("allow", table.allow)):
        for topic, entry in topics.items():
            if not _said(entry.phrases) and not entry.examples:
                raise ConfigError(f"{where}: guardrail `{name}`: `{side}.{topic}` has neither `phrases` nor `examples`")
    _check_examples(name, table, where)


def _check_examples(name: str, table: TopicsConfig, where: str) -> None:
    every = {**{f"allow.{topic}": entry for topic, entry in table.allow.items()}, **table.deny}
    texts = [text for entry in every.values() for text in (*entry.examples, *entry.counter_examples)] + [*table.others]
    if len(texts) > _MOST_EXAMPLES or max(map(len, texts), default=0) > _LONGEST_EXAMPLE:
        raise ConfigError(
            f"{where}: guardrail `{name}`: at most {_MOST_EXAMPLES} examples of at most {_LONGEST_EXAMPLE} characters"
        )
    for topic, entry in table.allow.items():
        if entry.examples or entry.counter_examples:
            raise ConfigError(
                f"{where}: guardrail `{name}`: `allow.{topic}` has examples, and those can only deny: give it phrases"
            )
    for topic, entry in table.deny.items():
        others = len(texts) - len(entry.examples)
        if entry.counter_examples and not entry.examples:
            raise ConfigError(f"{where}: guardrail `{name}`: `deny.{topic}` has counter-examples and no examples")
        if entry.examples and min(len(entry.examples), others) < _LEAST_EXAMPLES:
            raise ConfigError(
                f"{where}: guardrail `{name}`: `deny.{topic}` needs {_LEAST_EXAMPLES} examples, and as many texts that "
                "are none: `counter_examples`, `others`"
            )


def _check_edits(name: str, table: GuardrailConfig, where: str) -> None:
    if table.kind in {"secrets", "pii"}:
        # The scanner edits them itself, from that score on.
        if table.min_score != 0.5:
            raise ConfigError(
                f"{where}: guardrail `{name}`: what is redacted scores 0.5 or more; leave `min_score` at 0.5"
            )
    elif table.kind not in {"injection", "leak", "words"}:
        raise ConfigError(
            f"{where}: guardrail `{name}`: kind `{table.kind}` has nothing to redact; choose another violation"
        )


# Kinds that need what only their stages have.
_ONLY = {"acl", "tools", "provenance", "conversation", "prompt_leak", "grounding", "schema"}


def _given(table: GuardrailConfig) -> dict[str, Any]:
    return {name: getattr(table, name) for name, _, _ in options(type(table)) if getattr(table, name) is not None}


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        out[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out


def read_text(name: str, *, limit: int = 16 << 20) -> str:
    """The text of a file that a configuration names.

    Raises:
        ConfigError: it cannot be read, is too large or no UTF-8.
    """
    try:
        with open(name, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        reason = (error.strerror or "not readable").lower()
        raise ConfigError(f"`{os.path.basename(name)}` cannot be read: {reason}") from None
    if len(data) > limit:
        raise ConfigError(f"`{os.path.basename(name)}` is larger than {limit} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"`{os.path.basename(name)}` is no UTF-8") from None


def config_schema() -> dict[str, Any]:
    """The JSON Schema of `sift.toml`, for editors that check TOML by one."""
    out = schema(GuardConfig)
    arms = []
    for kind, (table, _) in KINDS.items():
        one = schema(table)
        one["properties"]["kind"] = {"const": kind}
        one["title"] = kind
        arms.append(one)
    names = out["properties"]["guardrails"]
    names["properties"] = {arm["title"]: {**arm, "properties": dict(arm["properties"])} for arm in arms}
    names["additionalProperties"] = {"oneOf": [{**arm, "required": ["kind"]} for arm in arms]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "sift.toml, version 1", **out}


def reference() -> str:
    """The configuration reference, in Markdown."""
    lines = [
        "# Configuration reference: `sift.toml`, version 1",
        "",
        "Generated by `sift-fast config reference`. An unknown key is an error. Paths are relative to the file.",
        "",
        *_rows("The file", GuardConfig),
        *_rows("Every guardrail: `[guardrails.NAME]`", GuardrailConfig),
    ]
    common = {name for name, _, _ in options(GuardrailConfig)}
    for kind, (table, stages) in KINDS.items():
        lines += [f"### Kind `{kind}`", "", (table.__doc__ or "").strip(), "", f"Stages: {', '.join(stages)}.", ""]
        own = [entry for entry in options(table) if entry[0] not in common]
        if own:
            lines += [*_table(own), ""]
    sections: tuple[tuple[str, type[Any]], ...] = (
        ("`[scanner]`", ScannerConfig),
        ("`[tools.NAME]`", ToolConfig),
        ("`[guardrails.NAME.deny.TOPIC]` and `allow`", TopicConfig),
        ("`[answers]`", AnswersConfig),
        ("`[limits]`", LimitsConfig),
        ("`[kernel]`", KernelConfig),
        ("`[kernel.keys.TENANT]`", KernelKeyConfig),
        ("`[events]`", EventsConfig),
        ("`[escalation]`", EscalationConfig),
        ("`[[override]]`", OverrideConfig),
    )
    for title, section in sections:
        lines += _rows(title, section)
    lines += ["## Presets", ""]
    for name, preset in PRESETS.items():
        lines += [f"### `{name}`", "", "```toml", *_toml(preset), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _rows(title: str, table: type[Any]) -> list[str]:
    return [f"## {title}", "", (table.__doc__ or "").split("\n", 1)[0].strip(), "", *_table(options(table)), ""]


def _table(entries: list[tuple[str, Any, Any]]) -> list[str]:
    out = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, hint, entry in entries:
        value = entry.default
        shown = "" if not isinstance(value, str | int | float | bool | tuple) else json.dumps(value)
        out.append(f"| `{name}` | {_type_name(hint)} | {f'`{shown}`' if shown else ''} | {entry.metadata['doc']} |")
    return out


def _type_name(hint: Any) -> str:
    from typing import get_args, get_origin

    arguments = get_args(hint)
    origin = get_origin(hint)
    if origin is Literal:
        return " ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        return f"array of {_type_name(arguments[0])}"
    if origin is dict:
        return "table"
    if arguments:
        return _type_name(arguments[0])
    return {str: "string", int: "integer", float: "number", bool: "boolean"}.get(hint, "table")


def _toml(values: Mapping[str, Any], path: str = "") -> list[str]:
    plain = [(key, value) for key, value in values.items() if not isinstance(value, Mapping)]
    out = [f"[{path}]"] if path and plain else []
    out += [f"{key} = {json.dumps(value)}" for key, value in plain]
    for key, value in values.items():
        if isinstance(value, Mapping):
            out += _toml(value, f"{path}.{key}" if path else key)
    return out
