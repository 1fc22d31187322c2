"""The native half of sift_fast: what `rust/sift-py` exports. Use the package, not this module."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, TypedDict, final, overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from sift_fast.receipts import Receipt
from sift_fast.redact import Operators
from sift_fast.types import (
    ArrowArray,
    ArrowStream,
    BytesLike,
    Category,
    EncodingName,
    EngineName,
    IncompleteName,
    Limits,
    Outcome,
    Severity,
    Text,
    Tier,
    Unit,
    ViewName,
)

__all__ = [
    "ActionRequest",
    "Approval",
    "ApprovalSignature",
    "Authorization",
    "Batch",
    "Credential",
    "Explanation",
    "FileFinding",
    "FileReport",
    "FileScan",
    "Finding",
    "Findings",
    "Item",
    "KernelServer",
    "Keys",
    "NgramScorer",
    "Permit",
    "PermitRegister",
    "PolicySet",
    "Redaction",
    "Restorer",
    "Rule",
    "Rules",
    "Scanner",
    "Session",
    "SignedElevation",
    "SignedGrant",
    "SigningKey",
    "Stream",
    "Vault",
    "_Document",
    "_Fingerprints",
    "_Kernel",
    "_Key",
    "_Ledger",
    "_PromptRuns",
    "_PromptStream",
    "_TopicModel",
    "_Verifier",
    "_Waker",
    "_check_mask",
    "_decrypt",
    "_restore_finding",
    "_restore_findings",
    "audit_ledger",
    "blinded_action",
    "build_info",
    "check_rules",
    "examples",
    "generate",
    "import_tools",
    "kernel_socket",
    "opening_of",
    "rule_sets",
    "rule_table",
    "rules_cost",
    "sign_elevation",
    "sign_grant",
    "sign_request",
    "trusted_credential",
    "verify_permit",
    "withdrawn_rules",
]

_Path: TypeAlias = str | os.PathLike[str]

@final
class _Columns(TypedDict):
    """Findings column by column, 24 bytes each. The arrays are read-only."""

    doc: NDArray[np.int64]
    rule: NDArray[np.uint32]
    start: NDArray[np.uint32]
    end: NDArray[np.uint32]
    score: NDArray[np.float32]

@final
class _BuildInfo(TypedDict):
    """What a build is."""

    version: str
    profile: Literal["release", "debug"]
    engine: EngineName
    engine_version: str | None
    cpu_level: str
    rules_version: str
    rule_hash: str
    target: str

@disjoint_base
class Scanner:
    """Rules compiled once, for any number of texts, from any thread, before and after a fork.

    `sift_fast.Scanner` is this class with the asynchronous methods on top; its documentation tells the
    arguments.
    """

    def __new__(
        cls,
        rules: str | Iterable[str] = "default",
        *,
        rule_files: _Path | Iterable[_Path] = (),
        entities: str | Iterable[str] | None = None,
        exclude: str | Iterable[str] = (),
        min_score: float = 0.0,
        decode: bool | EncodingName | Iterable[EncodingName] = True,
        allow_list: Iterable[Text] = (),
        limits: Limits | None = None,
        engine: EngineName | None = None,
    ) -> Self: ...
    @property
    def rules(self) -> Rules:
        """The table of rules; `rule` in `columns()` is a position in it."""

    @property
    def hash(self) -> str:
        """SHA-256 over everything in the rules that decides what is found, 64 hexadecimal digits."""

    @property
    def engine(self) -> EngineName:
        """The pattern engine in use."""

    @property
    def longest_hold(self) -> int:
        """The longest end of a text, in bytes, that a stream of this scanner holds back for an open question.

        Values that an operator asked to see come on top, up to `Limits.finding_bytes`. The first call builds
        what streams need.
        """

    @property
    def database_bytes(self) -> int:
        """Bytes of the engine's databases; 0 for the automata engine."""

    def scan(self, text: Text) -> Findings:
        """Find everything in a text.

        A `str` is read as UTF-8: in place if it is ASCII; otherwise CPython makes the UTF-8 once, which doubles
        the time of the first scan, and keeps it with the string as long as that lives. A mutable buffer is
        copied, a read-only contiguous one is read in place. The GIL is released for texts above 4 KiB; Ctrl-C is
        noticed in texts above 1 MiB.

        Args:
            text: `str`, `bytes`, `bytearray` or `memoryview` of bytes. Lone surrogates are scanned as U+FFFD.

        Returns:
            Findings in text order, not overlapping; the same empty object for every text without any. Offsets
            are code points for `str` and bytes for the others.

        Raises:
            LimitExceeded: the text is longer than `Limits.text_bytes`.
            TypeError: it is no text.

        Example:
            >>> import sift_fast
            >>> sift_fast.Scanner().scan("nothing to see here")
            Findings(0 found)
        """

    def explain(self, text: Text) -> list[Explanation]:
        """Tell why something was found, and why not: each candidate and the check that dropped it.

        Args:
            text: as for `scan`.

        Returns:
            Candidates in text order, those of rules that are switched off among them.

        Raises:
            LimitExceeded: the text is longer than `Limits.text_bytes`, or a limit was hit that would hide a candidate.
            TypeError: it is no text.

        Example:
            >>> import sift_fast
            >>> sift_fast.Scanner().explain("nothing to see here")
            []
        """

    def redact(
        self, text: Text, operators: Operators | None = None, vault: Vault | None = None, *, min_score: float = 0.5
    ) -> Redaction:
        """Edit secrets and personal data out of a text.

        Args:
            text: as for `scan`.
            operators: one operator, or a mapping from entity type to operator with `"default"` for the rest;
                None for `Replace()`, or `Pseudonym()` where there is a vault. A function `f(value, entity_type)`
                is an operator too.
            vault: where `Pseudonym()` keeps values, to be restored later; None for numbers that begin anew.
            min_score: the least score of what is edited, 0 to 1; the scanner's own `min_score` applies as well.

        Returns:
            The text, and what was done to it. `bytes` come back for every binary type.

        Raises:
            ConfigError: operators are not usable, or name an entity type that no rule of this scanner has; `min_score`
                is out of its range.
            LimitExceeded: the text is longer than `Limits.text_bytes`, a limit was hit that would have let
                something through, or the vault is full; nothing was added to it then.
            StateUnavailable: the vault belongs to the process that this one was forked from.
            TypeError: it is no text, or a function did not return what it was given.

        Example:
            >>> import sift_fast
            >>> sift_fast.Scanner().redact("nothing to see here").text
            'nothing to see here'
        """

    def stream(
        self, operators: Operators | None = None, vault: Vault | None = None, *, min_score: float = 0.5
    ) -> Stream:
        """Begin to redact a text that arrives in pieces.

        Of `Limits`, `findings` and `finding_bytes` apply: they bound what is reported, all is edited. `text_bytes`
        and `time_ms` do not: a stream keeps only what is undecided, and has no clock.

        Args:
            operators: as for `redact`.
            vault: as for `redact`.
            min_score: as for `redact`.

        Returns:
            A stream; best used in a `with` statement, which aborts it when it is left before `finish`.

        Raises:
            ConfigError: operators or `min_score` are not usable.

        Example:
            >>> import sift_fast
            >>> with sift_fast.Scanner().stream() as stream:
            ...     "".join([stream.feed("nothing "), stream.feed("to see"), stream.finish()])
            'nothing to see'
        """

    def _document(
        self, operators: Operators | None = None, vault: Vault | None = None, min_score: float = 0.5
    ) -> _Document: ...
    def _redact_between(self, document: _Document, text: str, before: str, after: str) -> Redaction | None: ...
    def _look_between(self, document: _Document, text: str, before: str, after: str) -> bool: ...
    def _next(self, document: _Document, text: str) -> Redaction | None: ...
    @overload
    def scan_batch(self, texts: Iterable[str | None], threads: int | None = None) -> Batch:
        """Find everything in many texts, on several threads.

        Args:
            texts: an iterable of `str` or one of binary types, or an Arrow column (array or chunked) of strings
                or binaries, plain, large, view or dictionary, from any library that speaks the C data
                interface; Arrow values are read in place. An iterable is taken in whole first. None and null
                have no findings. Of a mapping give `.values()`.
            threads: 1 to 1024; None for all cores. Batches up to 64 KiB are scanned on the calling thread.

        Returns:
            Findings by document, in the order of the documents, however many threads there were.

        Raises:
            ConfigError: `threads` is not usable.
            LimitExceeded: a text is longer than `Limits.text_bytes`; the message says which document.
            TypeError: something is no text, `str` and binary types are mixed, or `texts` is one text or a mapping.
            KeyboardInterrupt: Ctrl-C was pressed; noticed within some 20 ms.

        Example:
            >>> import sift_fast
            >>> sift_fast.Scanner().scan_batch(["one text", "another"])
            Batch(2 documents, 0 found)
        """

    @overload
    def scan_batch(self, texts: Iterable[BytesLike | None], threads: int | None = None) -> Batch: ...
    @overload
    def scan_batch(self, texts: ArrowArray | ArrowStream, threads: int | None = None) -> Batch: ...

@final
class Finding:
    """One confirmed span. Holds no text; equal and hashed by all it says."""

    @property
    def rule_id(self) -> str:
        """Stable id of the rule, `category.provider.kind`."""

    @property
    def category(self) -> Category:
        """What kind of thing it is; the first part of `rule_id`."""

    @property
    def entity_type(self) -> str:
        """What it is, as `GITHUB_TOKEN`."""

    @property
    def start(self) -> int:
        """First code point (`str`) or byte (binary types)."""

    @property
    def end(self) -> int:
        """One past the last."""

    @property
    def score(self) -> float:
        """How sure it is, 0 to 1; 1.0 only if proven."""

    @property
    def severity(self) -> Severity:
        """How bad it is if true."""

    @property
    def decoded(self) -> tuple[EncodingName, ...]:
        """The encodings it was found in, outermost first; empty for what stands there as it is."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Findings(Sequence[Finding]):
    """The findings of one text, in text order. A frozen sequence; `Finding` objects are made when asked for."""

    @property
    def incomplete(self) -> tuple[IncompleteName, ...]:
        """Names of the limits that were hit; empty if everything was looked at."""

    @property
    def unit(self) -> Unit:
        """What offsets count."""

    def columns(self) -> _Columns:
        """The findings as numpy arrays; `doc` is 0 throughout.

        Returns:
            Read-only arrays `doc` int64, `rule` uint32 (position in `scanner.rules`), `start` and `end` uint32,
            `score` float32.

        Raises:
            ConfigError: numpy is not installed.
            LimitExceeded: an offset of a stream of more than 4 GiB does not fit.
        """

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int, /) -> Finding: ...
    @overload
    def __getitem__(self, index: slice, /) -> Findings: ...
    def __iter__(self) -> Iterator[Finding]: ...
    def __contains__(self, item: object, /) -> bool: ...
    def index(self, value: object) -> int:  # type: ignore[override]
        """The first position of an equal finding; `ValueError` if there is none."""

    def count(self, value: object) -> int:
        """How many equal findings there are."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Explanation:
    """One candidate, and what became of it."""

    @property
    def rule_id(self) -> str:
        """The rule."""

    @property
    def start(self) -> int:
        """First code point (`str`) or byte (binary types)."""

    @property
    def end(self) -> int:
        """One past the last."""

    @property
    def view(self) -> ViewName:
        """The derived text it was found in."""

    @property
    def decoded(self) -> tuple[EncodingName, ...]:
        """The encodings that were undone before that, outermost first."""

    @property
    def outcome(self) -> Outcome:
        """`found`, `dropped` by a check or an option, or `overlapped` by one that comes first."""

    @property
    def reason(self) -> str | None:
        """Stable code of what dropped it: the name of a check, `min_score`, `allow_list`, ..."""

    @property
    def score(self) -> float:
        """Its score; 0 where it was dropped before that was known."""

@final
class Redaction:
    """A text without its findings. Shown and pickled without the text."""

    @property
    def text(self) -> Any:
        """The edited text: `str` for `str`, `bytes` for binary types."""

    @property
    def findings(self) -> Findings:
        """What was edited; offsets in the input."""

    @property
    def items(self) -> tuple[Item, ...]:
        """What was put in; offsets in the output."""

    @property
    def incomplete(self) -> tuple[IncompleteName, ...]:
        """Limits that were hit without letting anything through."""

@final
class Item:
    """One edit, in the output."""

    @property
    def start(self) -> int:
        """First code point (`str`) or byte (binary types) of what was put in."""

    @property
    def end(self) -> int:
        """One past the last."""

    @property
    def entity_type(self) -> str:
        """What was there."""

    @property
    def operator(self) -> Literal["replace", "remove", "mask", "hash", "encrypt", "pseudonym", "callable"]:
        """What was done; `replace` as well where the value was too long for another operator to see."""

@final
class Stream:
    """A redaction in pieces: what comes out, joined, is what `redact` makes of all that went in.

    Fed `str` or binary types, whichever comes first. Any error ends it: what it holds is discarded, and it can only
    be looked at. For one thread at a time; a second one gets a `SiftError`, and the stream goes on.
    """

    @overload
    def feed(self, piece: str) -> str:
        """Take the next piece and give out what has become certain.

        Args:
            piece: any length, cut anywhere. `str` may hold lone surrogates, even halves of a pair.

        Returns:
            Text that no piece to come can change; often empty.

        Raises:
            SiftError: the stream is finished, aborted or has failed, is in use by another thread, or gets `str`
                after `bytes` or the other way round.
            TypeError: it is no text.
        """

    @overload
    def feed(self, piece: BytesLike) -> bytes: ...
    def finish(self) -> Any:
        """End the text and give out the rest, once.

        Returns:
            `str` or `bytes` as was fed; an empty `str` if nothing was.

        Raises:
            SiftError: as for `feed`.
        """

    def abort(self) -> None:
        """Discard what is held. Nothing of it is given out, now or later."""

    @property
    def held(self) -> int:
        """Code points (`str`) or bytes (binary types) that were fed and are neither given out nor edited."""

    @property
    def findings(self) -> Findings:
        """What was found so far; offsets in the whole input."""

    @property
    def incomplete(self) -> tuple[IncompleteName, ...]:
        """Limits that were hit so far. Edits go on when findings are no longer recorded."""

    @property
    def memory(self) -> int:
        """Bytes of memory this stream holds, apart from what it shares with its scanner."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

@disjoint_base
class Vault:
    """A reversible map between values and placeholders, for any number of texts and threads of one process.

    `sift_fast.Vault` is this class with what needs Python on top; its documentation tells the arguments.
    """

    def __new__(
        cls, key: bytes, *, max_entries: int = 100_000, max_bytes: int = ..., _path: _Path | None = None
    ) -> Self: ...
    @property
    def tag(self) -> str:
        """What its placeholders end with: six letters and digits, chosen at random when it was made."""

    @property
    def key_id(self) -> str:
        """Eight digits that tell keys apart and say nothing about them."""

    def __len__(self) -> int:
        """How many values it holds."""

    def __bool__(self) -> bool: ...
    def save(self, path: _Path) -> None:
        """Write it into a file, sealed with its key and readable by the owner only: all of it or nothing.

        Args:
            path: the file; an empty one or one of this vault is replaced, no other.

        Raises:
            StateUnavailable: the file cannot be written, holds anything else or was saved by another process since
                it was read, or the process is a forked child.
        """

    @overload
    def restore(self, text: str, entities: str | Iterable[str] | None = None, *, urls: bool = False) -> str:
        """Put values back in the place of this vault's placeholders.

        Any part of a redacted text will do, in any order. Placeholders of other vaults and numbers that were never
        given out stay as they are, as do those in web addresses: a value in an address leaves with the next click,
        or with none where images are shown.

        Args:
            text: `str`, or a binary type.
            entities: only these entity types; None for all.
            urls: inside web addresses too.

        Returns:
            `str` for `str`, `bytes` for binary types. Values from binary texts that are no UTF-8 come back into
            binary texts only.

        Raises:
            StateUnavailable: the process is a forked child.
            TypeError: it is no text.

        Example:
            >>> import sift_fast
            >>> vault = sift_fast.Vault(bytes(32))
            >>> vault.restore("nothing to restore")
            'nothing to restore'
        """

    @overload
    def restore(self, text: BytesLike, entities: str | Iterable[str] | None = None, *, urls: bool = False) -> bytes: ...
    def restorer(self, entities: str | Iterable[str] | None = None, *, urls: bool = False) -> Restorer:
        """Begin to restore a text that arrives in pieces.

        Args:
            entities: as for `restore`.
            urls: as for `restore`.

        Raises:
            StateUnavailable: the process is a forked child.
        """

@final
class Restorer:
    """Restores in pieces: what comes out, joined, is what `Vault.restore` makes of all that went in.

    Holds back what may be the beginning of a placeholder, a hundred characters at most. Any error ends it.
    """

    @overload
    def feed(self, piece: str) -> str:
        """Take the next piece and give out what has become certain.

        Args:
            piece: any length, cut anywhere; all `str` or all binary.

        Raises:
            SiftError: it is finished, has failed, is in use by another thread, or gets `str` after `bytes`.
            StateUnavailable: the process is a forked child.
            TypeError: it is no text.
        """

    @overload
    def feed(self, piece: BytesLike) -> bytes: ...
    def finish(self) -> Any:
        """End the text and give out the rest, once."""

@final
class _Key:
    """A key that operators and vaults hold instead of its bytes; wiped when the last of them goes."""

    def __new__(cls, key: bytes | _Key) -> Self: ...
    @property
    def id(self) -> str:
        """Eight digits that tell keys apart and say nothing about them."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: Any, /) -> Self: ...

@final
class _Document:
    """What the texts of one JSON document share."""

    def _number(self) -> None: ...

@final
class _Fingerprints:
    """What documents and tool results brought into one conversation: keyed hashes, no text.

    Args:
        most: most fingerprints that are kept; the oldest are given up.
    """

    def __new__(cls, most: int) -> Self: ...
    def add(self, text: str, source: str) -> None:
        """Take in what a source brought."""

    def say(self, text: str) -> None:
        """Take in what the user said: that is no taint, whoever repeats it."""

    def sources_of(self, argument: str) -> list[str]:
        """The sources that an argument repeats: a value of it, or half of its runs of three words."""

    def __len__(self) -> int: ...

@final
class _PromptRuns:
    """The runs of words of a system prompt, as it is and backwards, by words and by letters: hashes, no text.

    Words are what stands between white space and ASCII marks, without their case.

    Args:
        prompt: it.
        words: of a run, 2 to 64.

    Raises:
        ConfigError: `words` is out of bounds.

    Example:
        >>> _PromptRuns("Never say what the pump costs.", 4).within("NEVER say: what -- the pump")
        True
    """

    def __new__(cls, prompt: str, words: int) -> Self: ...
    def within(self, text: str) -> bool:
        """Whether a run of the prompt is in a text."""

    def stream(self) -> _PromptStream:
        """The same for a text that comes in pieces."""

    def __len__(self) -> int: ...

@final
class _PromptStream:
    """What a text has come to that comes in pieces. From `_PromptRuns.stream`."""

    def feed(self, piece: str, *, last: bool = False) -> tuple[bool, int]:
        """Take the next piece.

        Args:
            piece: it.
            last: whether nothing follows.

        Returns:
            Whether a word of this piece completed a run, and how many characters at the end of the text must wait,
            because the word that they begin may complete one.
        """

@final
class _TopicModel:
    """Whether a text is about a topic: logistic regression over hashed words, learned from examples.

    The same examples in the same order give the same scores. Holds hashes of words and no text.

    Args:
        belong: texts about it.
        others: texts that are not.

    Example:
        >>> law = _TopicModel(["Can I sue him in court?", "Is it void by law?"], ["Where is it?", "Is it red?"])
        >>> law.score("Is that the law?") > law.score("Is that red?")
        True
    """

    def __new__(cls, belong: Iterable[str], others: Iterable[str]) -> Self: ...
    @staticmethod
    def held_out(belong: Iterable[str], others: Iterable[str]) -> list[float]:
        """What each example scores where it was left out, a tenth of them at a time; those that belong first."""

    def score(self, text: Text) -> float:
        """How likely a text is about the topic, 0 to 1, by its most likely 32 words."""

@final
class _Ledger:
    """A ledger that this process writes: events in, receipts of class `batched` in a transparency log.

    Args:
        folder: of the log; made if it is not there.
        origin: name of the log.
        key: private key that signs checkpoints.
        keys: public keys of the log, this one's among them.
        interval_us: how long an event waits for company before a commit, microseconds.
        queue_bytes: most bytes of events that wait for a commit.

    Raises:
        ConfigError: a setting is wrong, or another process writes this ledger.
        StateUnavailable: what is on the disk is not what a ledger leaves behind, or it cannot be read.
    """

    def __new__(
        cls, folder: _Path, origin: str, key: _Path, keys: Keys, interval_us: int, queue_bytes: int
    ) -> Self: ...
    def append(
        self,
        *,
        event: str,
        id: str,  # noqa: A002 -- the word of the receipt
        tenant: str,
        role: str,
        tool: str,
        decision: str,
        reason: str,
        rules: list[str],
        policy_version: str | None,
        engine: str,
        at_ms: int,
        document: bytes,
    ) -> None:
        """Put an event in line: it is on the disk after the next commit.

        The subject of its receipt is `id` with SHA-256 of the canonical form of `document` (RFC 8785), a JSON object
        that stands in the receipt as `details`.

        Raises:
            StateUnavailable: a write failed earlier, the queue is full, or the process is a forked child.
            LimitExceeded: the receipt would be longer than 65,535 bytes.
            ConfigError: `document` has no canonical form.
        """

    def flush(self, timeout_ms: int) -> None:
        """Wait until everything that was put in line is on the disk, and publish it for readers.

        Raises:
            StateUnavailable: it is not.
        """

    @property
    def queued(self) -> int:
        """Bytes that wait for a commit."""

    @property
    def full(self) -> bool:
        """Whether the next event may have to wait."""

    @property
    def size(self) -> int:
        """How many events are on the disk."""

    def proof(self, index: int) -> str:
        """The `.tlog-proof` of an entry."""

    def entry(self, index: int) -> bytes:
        """The envelope of an entry."""

    def close(self) -> None:
        """Write out what waits and let go of the folder. Again: nothing.

        Raises:
            StateUnavailable: something could not be written; it is closed all the same.
        """

@final
class Batch:
    """The findings of many texts, by document."""

    def __len__(self) -> int:
        """How many documents there are."""

    def __getitem__(self, index: int, /) -> Findings: ...
    @property
    def unit(self) -> Unit:
        """What offsets count."""

    @property
    def incomplete(self) -> tuple[IncompleteName, ...]:
        """Limits that were hit in any document; `batch[i].incomplete` says in which."""

    def columns(self) -> _Columns:
        """All findings as numpy arrays, in document and text order. See `Findings.columns`."""

    def to_arrow(self) -> Any:
        """All findings as a `pyarrow.RecordBatch` with the columns of `columns()`.

        Returns:
            A record batch; its metadata name the unit of the offsets and the hash of the rules.

        Raises:
            ConfigError: pyarrow is not installed.
        """

@final
class NgramScorer:
    """The n-gram scorer for prompt injections: a linear model in half a megabyte, shared by threads.

    Args:
        path: weights other than the built-in ones.
        sha256: their expected hash, in hexadecimal digits; goes with `path`.

    Raises:
        ConfigError: the weights have another hash, or are no weights of this scorer.
        OSError: the file cannot be read.

    Example:
        >>> NgramScorer().score("nothing to see here")[0] < 0
        True
    """

    def __new__(cls, path: _Path | None = None, sha256: str | None = None) -> Self: ...
    @property
    def hash(self) -> str:
        """SHA-256 of the weights, in hexadecimal digits."""

    def score(self, text: Text) -> tuple[float, int, int, tuple[str, ...], bool]:
        """The log-odds of an attack, and where.

        Args:
            text: any text of any length; the time is linear in it.

        Returns:
            Log-odds; begin and end of the window of about 256 bytes that scored, in code points of `str` and bytes of
            everything else; how that window is encoded; whether something encoded was left unread.

        Raises:
            TypeError: it is no text.
        """

    def score_batch(
        self, texts: Iterable[Text], threads: int | None = None
    ) -> list[tuple[float, int, int, tuple[str, ...], bool]]:
        """`score` of many texts, on threads.

        Args:
            texts: any iterable of texts.
            threads: 1 to 1024; None for one for each core.

        Returns:
            What `score` returns, in order.

        Raises:
            ConfigError: `threads` is out of range.
            TypeError: something in it is no text.
        """

@final
class Rules(Sequence[Rule]):
    """The table of a scanner's rules, sorted by id. Looked up by position, or by id or former id."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, key: int | str, /) -> Rule: ...
    @overload
    def __getitem__(self, key: slice, /) -> list[Rule]: ...
    def __iter__(self) -> Iterator[Rule]: ...
    def __contains__(self, key: object, /) -> bool:
        """Whether it holds a rule, or one with this id or former id."""

    def index(self, value: object) -> int:  # type: ignore[override]
        """The position of a rule; `ValueError` if it is not there."""

    def count(self, value: object) -> int:
        """1 for a rule that is there, else 0."""

@final
class Rule:
    """One rule. Equal by all that decides what it finds."""

    @property
    def id(self) -> str:
        """Stable id, `category.provider.kind`."""

    @property
    def title(self) -> str:
        """A few words for people."""

    @property
    def category(self) -> Category:
        """What kind of thing it finds."""

    @property
    def entity_type(self) -> str:
        """What it finds, as `GITHUB_TOKEN`."""

    @property
    def tier(self) -> Tier:
        """How sure its shape alone is."""

    @property
    def severity(self) -> Severity:
        """How bad a true finding is."""

    @property
    def score(self) -> float:
        """Score before checks and context."""

    @property
    def threat(self) -> tuple[str, ...]:
        """Ids of the OWASP LLM Top 10."""

    @property
    def references(self) -> tuple[str, ...]:
        """Documents of the vendor."""

    @property
    def source(self) -> str:
        """The document it came from."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class FileScan:
    """A scan of files, once, for the command line. `run` blocks; `progress` and `stop` are for another thread."""

    def __new__(
        cls,
        scanner: Scanner,
        paths: Sequence[_Path],
        *,
        text: tuple[_Path, bytes] | None = None,
        ignore_files: bool = True,
        inline_ignore: bool = True,
        max_size: int | None = None,
        threads: int | None = None,
        salt: bytes | None = None,
    ) -> Self: ...
    def run(self) -> None:
        """Scan everything. Hears no signals: call it on a thread of its own and watch it from the main one."""

    def stop(self) -> None:
        """End the run after the files that are being scanned at this moment."""

    def progress(self) -> tuple[int, int, int]:
        """Files, bytes and findings so far."""

    def totals(self) -> dict[str, Any]:
        """Numbers of the whole run: `files`, `bytes`, `findings`, `skipped` by reason, and how many files and folders
        are `ignored`.
        """

    def skipped(self) -> list[tuple[str, str]]:
        """Path and reason of each skipped file that was named by the caller or is too large."""

    def files(self) -> list[FileReport]:
        """The files that there is something to say of, sorted by path. Given away: a second call has none."""

    def texts(self, most: int) -> list[bytes]:
        """Texts that the scan would read, `most` bytes at most together."""

@final
class FileReport:
    """What there is to say of one file."""

    @property
    def path(self) -> str:
        """The path, as the walk came to it."""

    @property
    def findings(self) -> tuple[FileFinding, ...]:
        """In text order."""

    @property
    def error(self) -> str | None:
        """Why it could not be read or scanned."""

    @property
    def incomplete(self) -> tuple[IncompleteName, ...]:
        """Limits that were hit."""

@final
class FileFinding:
    """One finding in a file, with its place. Lines and columns count from 1."""

    @property
    def rule(self) -> int:
        """Position in `scanner.rules`."""

    @property
    def start(self) -> int:
        """First byte."""

    @property
    def end(self) -> int:
        """One past the last byte."""

    @property
    def score(self) -> float:
        """How sure it is, 0 to 1."""

    @property
    def line(self) -> int:
        """Line of the first character."""

    @property
    def column(self) -> int:
        """Column of the first character, in code points."""

    @property
    def utf16_column(self) -> int:
        """Column of the first character, in UTF-16 code units."""

    @property
    def end_line(self) -> int:
        """Line of the end."""

    @property
    def end_column(self) -> int:
        """Column of the end, in code points."""

    @property
    def utf16_end_column(self) -> int:
        """Column of the end, in UTF-16 code units."""

    @property
    def decoded(self) -> tuple[EncodingName, ...]:
        """How it was encoded, from the outermost encoding to the innermost; empty for plain text."""

    @property
    def preview(self) -> str:
        """What can be shown of it: a prefix that every such value has, the rest masked."""

    @property
    def fingerprint(self) -> bytes | None:
        """Keyed hash of rule and value for baselines; None without a salt."""

    @property
    def ignored(self) -> bool:
        """Whether a comment on its line says that it is to be ignored."""

def build_info() -> _BuildInfo:
    """What this build is: for bug reports, and for benchmarks that refuse a debug build.

    Returns:
        Version, cargo profile, engine and its version, instruction set, version of the built-in rules, hash of
        the default ones, target.

    Example:
        >>> build_info()["profile"]
        'release'
    """

def rule_sets() -> list[str]:
    """Names of the rule sets that a selection may name, sorted."""

def rule_table(sets: Sequence[str], files: Sequence[_Path] = ()) -> list[dict[str, Any]]:
    """Everything there is to know about rules.

    Args:
        sets: names of rule sets.
        files: rule documents.

    Returns:
        One row for each rule, sorted by id, with the keys `id aliases title category entity tier severity threat
        score source builtin references known_misses examples negatives literal_reason words pattern group format
        checks min_entropy context widths`; `words` name the provider of a family's rule and are empty
        for others, `widths` are the longest `before`, `group` and `after` in bytes.

    Raises:
        RuleError: a set or a document is wrong.
    """

def withdrawn_rules() -> list[tuple[str, str, str]]:
    """Ids that releases had and this one has not: they name no rule any more.

    Returns:
        Id, the first version of the rules without it, and the reason.
    """

def check_rules(sets: Sequence[str], files: Sequence[_Path] = ()) -> list[tuple[str, str, str]]:
    """Lint rules, then run every example, counter-example and mutant in every engine and mode.

    Args:
        sets: names of rule sets.
        files: rule documents.

    Returns:
        File, rule id and reason of each fault; empty for a clean set.

    Raises:
        RuleError: nothing can be loaded at all.
    """

def generate(rule_id: str, seed: int, n: int, sets: Sequence[str], files: Sequence[_Path] = ()) -> list[str]:
    """Fake secrets of a rule's format; the same for the same seed.

    Args:
        rule_id: id or former id.
        seed: 0 to 2**64 - 1.
        n: how many.
        sets: names of rule sets that the rule is in.
        files: rule documents.

    Returns:
        `n` values that the rule accepts.

    Raises:
        ConfigError: there is no such rule, or it has no format.
        RuleError: a set or a document is wrong.
    """

def examples(
    rule_id: str, seed: int, sets: Sequence[str], files: Sequence[_Path] = ()
) -> list[tuple[str, tuple[int, int] | None]]:
    """The examples of a rule with generated secrets in them.

    Args:
        rule_id: id or former id.
        seed: 0 to 2**64 - 1.
        sets: names of rule sets that the rule is in.
        files: rule documents.

    Returns:
        Text, and where the secret stands in its UTF-8, in bytes; None for an example without one.

    Raises:
        ConfigError: there is no such rule.
        RuleError: a set or a document is wrong.
    """

def rules_cost(
    sets: Sequence[str],
    files: Sequence[_Path],
    folders: Sequence[_Path],
    *,
    max_bytes: int,
    piece: int,
    rounds: int,
    dearest: int,
) -> dict[str, Any]:
    """What each pattern costs on a corpus, as a multiple of a reference pattern in the same run.

    Args:
        sets: names of rule sets.
        files: rule documents.
        folders: where the corpus is.
        max_bytes: most bytes of it that are read.
        piece: bytes that are scanned at once.
        rounds: how often each is measured; the quickest counts.
        dearest: for how many of the dearest patterns the whole set is measured without them.

    Returns:
        The reference, the corpus, and rows for patterns, whole sets and sets without one pattern.

    Raises:
        ConfigError: there is no Hyperscan, or a folder cannot be read.
        RuleError: a set or a document is wrong.
    """

def _check_mask(char: str, keep_first: int, keep_last: int) -> None: ...
@overload
def _decrypt(key: _Key, text: str, entities: str | Iterable[str] | None, urls: bool) -> str: ...
@overload
def _decrypt(key: _Key, text: BytesLike, entities: str | Iterable[str] | None, urls: bool) -> bytes: ...
def _restore_finding(
    row: tuple[str, str, str, str], start: int, end: int, score: float, decoded: list[str]
) -> Finding: ...
def _restore_findings(
    rows: list[tuple[int, tuple[str, str, str, str]]],
    found: list[tuple[int, int, int, float, list[str]]],
    incomplete: list[str],
    unit: str,
) -> Findings: ...

@final
class Keys:
    """Public keys and what each may sign, as `keys.toml` has them.

    Example:
        >>> len(Keys(""))
        0
    """

    def __new__(cls, text: str) -> Self:
        """Read the text of a `keys.toml`.

        Raises:
            ConfigError: A key is wrong, weak, there twice, or there for two uses; nothing was taken in.
        """

    @staticmethod
    def load(path: _Path) -> Keys:
        """Read a file.

        Raises:
            ConfigError: It cannot be read, or as the constructor.
        """

    def items(self) -> list[tuple[str, str]]:
        """Id and purpose of each key."""

    def __len__(self) -> int: ...

_Answer: TypeAlias = tuple[Literal["valid", "missing", "invalid"], str]

@final
class _Verifier:
    def __new__(cls, keys: Keys, origin: str | None, witnesses: int) -> Self: ...
    def verify(
        self, envelope: bytes | None, proof: str | None, now: int
    ) -> tuple[str, str, str, _Answer, _Answer, _Answer, int | None]: ...

def blinded_action(request: ActionRequest, opening: bytes) -> str:
    """What a receipt says of an action; `sift_fast.receipts.Statement.is_of` compares."""

def opening_of(key: _Path, name: str, lease: str | None, request: ActionRequest) -> str:
    """The opening of the receipts of a name, a lease and an action; `sift_fast.receipts` has the one to use."""

def audit_ledger(
    folder: _Path, keys: Keys, origin: str | None, seen: list[str], now: int
) -> tuple[int, str, list[str], int, list[str], int, int, list[tuple[int, str]]]:
    """Audit the ledger in a folder; `sift_fast.receipts` has the one to use."""

@final
class PolicySet:
    """Manifest and policies of a folder, for review. What is decided for real goes through the kernel.

    Example:
        >>> PolicySet.from_texts("version = 1", []).rules
        []
    """

    @staticmethod
    def load(folder: _Path) -> PolicySet:
        """Read `tools.toml` and `policy/*.cedar` of a folder.

        Raises:
            PolicyError: A file cannot be read, or a tool or policy is refused.
        """

    @staticmethod
    def from_texts(manifest: str, policies: list[tuple[str, str]]) -> PolicySet:
        """Load a manifest and policies, given as pairs of a file's name and its text.

        Raises:
            PolicyError: A tool or policy is refused.
        """

    @property
    def hash(self) -> str:
        """SHA-256 over manifest and policies, in hexadecimal digits."""

    @property
    def schema(self) -> str:
        """The Cedar schema that the manifest gives."""

    @property
    def tools(self) -> list[str]:
        """Names of the tools, sorted."""

    @property
    def rules(self) -> list[str]:
        """Ids of the policies, sorted."""

    def lint(self) -> list[tuple[Literal["warning", "note"], str, str, str]]:
        """Remarks as level, code, subject and text, warnings first."""

    def decide(self, request: str) -> str:
        """Decide a request given as JSON; the answer is JSON.

        Raises:
            ConfigError: The request is not of the documented form.
        """

    def explain(self, request: str) -> str:
        """Decide, and list the permits that were nearest to a default deny; the answer is JSON.

        Raises:
            ConfigError: The request is not of the documented form.
        """

    def test(self, text: str) -> list[tuple[str, list[str]]]:
        """Run the cases of a TOML text: names, and what differs from what was expected.

        Raises:
            ConfigError: The text is not of the documented form.
        """

    def replay(self, recorded: str) -> str | None:
        """Decide a recorded request again: None when nothing differs, else the difference as JSON.

        Raises:
            ConfigError: The record is not of the documented form.
        """

def import_tools(definitions: str) -> str:
    """Draft a `tools.toml` from MCP tool definitions or OpenAI tool schemas.

    Raises:
        ConfigError: It is neither, or a name cannot be taken over.
    """

_Decision: TypeAlias = Literal["allow", "escalate", "deny"]
_Ended: TypeAlias = tuple[Literal["settled", "cancelled", "unknown", "expired"], list[tuple[str, str, int]], bool, bool]

@final
class SigningKey:
    """A private Ed25519 key that signs requests, grants or approvals for one kernel.

    It is overwritten when the last reference goes, and is neither shown nor pickled.

    Example:
        >>> SigningKey.generate("bot-1", "kernel.acme").id
        'bot-1'
    """

    @staticmethod
    def generate(key_id: str, audience: str) -> SigningKey:
        """Make one from the system's randomness.

        Args:
            key_id: its name in `keys.toml`.
            audience: the kernel it speaks to, as `audience` of `kernel.toml`.
        """

    @staticmethod
    def load(path: _Path, key_id: str, audience: str) -> SigningKey:
        """Read PEM of PKCS #8, as `openssl genpkey -algorithm ed25519` writes it.

        Raises:
            ConfigError: there is none, or others than its owner may read it.
        """

    def save(self, path: _Path) -> None:
        """Write a new file that only its owner reads.

        Raises:
            ConfigError: the file is there already, or cannot be written.
        """

    @property
    def id(self) -> str:
        """Its name in `keys.toml`."""

    @property
    def audience(self) -> str:
        """The kernel it speaks to."""

    @property
    def public(self) -> str:
        """The public half, base64, as `keys.toml` takes it."""

@final
class ActionRequest:
    """What an agent wants to do.

    `sign_request` returns it with a stamp: `request_id`, `nonce`, `issued_at`, `expires_at` and `audience`, which are
    None before. `repr` shows no arguments.

    Args:
        tenant: for whom.
        agent: which agent.
        role: in which of the roles that its key has.
        tool: the tool, as the manifest has it.
        args: its arguments: JSON as Python has it, with integers of 64 bits, finite floats and no lone surrogates.
        session: id of an open session.
        conversation: the conversation it is done in.
        model: the model that asked for it.
        model_version: its version.
        trace_id: what it belongs to.
        estimate: what it is expected to cost, by unit, in the unit's smallest part.

    Raises:
        ConfigError: a name or a value that no kernel takes. The message names the field and not what is in it.
        TypeError: `args` holds something that JSON does not have.

    Example:
        >>> ActionRequest(tenant="acme", agent="bot", role="support", tool="refund", args={"cents": 5}).args
        {'cents': 5}
    """

    def __new__(
        cls,
        *,
        tenant: str,
        agent: str,
        role: str,
        tool: str,
        args: dict[str, Any],
        session: str | None = None,
        conversation: str | None = None,
        model: str | None = None,
        model_version: str | None = None,
        trace_id: str | None = None,
        estimate: dict[str, int] | None = None,
    ) -> Self: ...
    @staticmethod
    def from_json(text: bytes) -> ActionRequest:
        """Read a JSON object with these fields, strictly: a duplicate name or an unknown one is an error.

        Raises:
            ConfigError: as for the constructor.
        """

    def to_json(self) -> bytes:
        """The other way round, without the stamp."""

    @property
    def tenant(self) -> str:
        """For whom."""

    @property
    def agent(self) -> str:
        """Which agent."""

    @property
    def role(self) -> str:
        """In which role."""

    @property
    def tool(self) -> str:
        """Which tool."""

    @property
    def args(self) -> dict[str, Any]:
        """A copy of the arguments."""

    @property
    def session(self) -> str | None:
        """Id of the session."""

    @property
    def conversation(self) -> str | None:
        """The conversation."""

    @property
    def model(self) -> str | None:
        """The model."""

    @property
    def model_version(self) -> str | None:
        """Its version."""

    @property
    def trace_id(self) -> str | None:
        """What it belongs to."""

    @property
    def estimate(self) -> dict[str, int]:
        """Expected cost by unit."""

    @property
    def request_id(self) -> str | None:
        """Its unique name."""

    @property
    def nonce(self) -> bytes | None:
        """16 random bytes."""

    @property
    def issued_at(self) -> int | None:
        """Milliseconds since 1970."""

    @property
    def expires_at(self) -> int | None:
        """Milliseconds since 1970."""

    @property
    def audience(self) -> str | None:
        """The kernel it is for."""

    @property
    def action_hash(self) -> str:
        """SHA-256 of the canonical action (RFC 8785), hexadecimal: without nonce, times and trace."""

@final
class Credential:
    """What proves who asks, for one request."""

    @staticmethod
    def from_json(text: bytes) -> Credential:
        """Read one.

        Raises:
            ConfigError: it is none.
        """

    def to_json(self) -> bytes:
        """The other way round."""

    @property
    def request_id(self) -> str:
        """Name of the request."""

    @property
    def issued_at(self) -> int:
        """Milliseconds since 1970."""

    @property
    def expires_at(self) -> int:
        """Milliseconds since 1970."""

    @property
    def audience(self) -> str:
        """The kernel it is for."""

def sign_request(
    request: ActionRequest, key: SigningKey, *, lifetime_ms: int = 30_000
) -> tuple[ActionRequest, Credential]:
    """Sign a request with an agent's key.

    Args:
        request: what is to be done.
        key: the agent's key; it says for which kernel.
        lifetime_ms: how long the request holds, milliseconds.

    Returns:
        The request with its stamp, and the credential.

    Raises:
        ConfigError: an integer in the arguments beyond 2^53 - 1, which other readers of JSON would round.
        StateUnavailable: the system gives no randomness.
    """

def trusted_credential(audience: str, *, lifetime_ms: int = 30_000) -> Credential:
    """A credential that proves nothing, for a kernel with `trust_process = true`.

    Args:
        audience: the kernel it is for.
        lifetime_ms: how long it holds, milliseconds.
    """

@final
class SignedGrant:
    """A session grant with its signature, for `Kernel.open_session`."""

    @staticmethod
    def from_json(text: bytes) -> SignedGrant:
        """Read one.

        Raises:
            ConfigError: it is none.
        """

    def to_json(self) -> bytes:
        """The other way round."""

    @property
    def session(self) -> str:
        """Name of the session."""

    @property
    def expires_at(self) -> int:
        """Milliseconds since 1970."""

def sign_grant(
    key: SigningKey,
    session: str,
    tenant: str,
    agent: str,
    roles: set[str],
    tools: set[str] | None,
    conversation: str | None,
    seconds: int,
) -> SignedGrant:
    """`sift_fast.sign_grant` has the one to use."""

@final
class SignedElevation:
    """An elevation with its signature, for `Kernel.elevate`."""

    @staticmethod
    def from_json(text: bytes) -> SignedElevation:
        """Read one.

        Raises:
            ConfigError: it is none.
        """

    def to_json(self) -> bytes:
        """The other way round."""

    @property
    def id(self) -> str:
        """Its name."""

def sign_elevation(key: SigningKey, *, session: str, tenant: str, tools: set[str], seconds: int) -> SignedElevation:
    """Add tools to a session for a while; the only thing that widens one.

    Args:
        key: of a person in the group that `approval.elevation_group` of `kernel.toml` names.
        session: id of the session.
        tenant: of which tenant.
        tools: what is added.
        seconds: for how long, from now.

    Raises:
        ConfigError: no tool, a name that is none, no time.
    """

@final
class Session:
    """An open session: makes credentials in a microsecond. It holds a key and is not pickled."""

    @property
    def id(self) -> str:
        """What requests name as `session`."""

    def mac(self, request: ActionRequest, *, lifetime_ms: int = 30_000) -> Credential:
        """A credential for a request of this session.

        Args:
            request: it names this session.
            lifetime_ms: how long the request holds, milliseconds.

        Raises:
            ConfigError: it names another session, or has no canonical form.
        """

@final
class Approval:
    """Something that waits for people. Times are milliseconds since 1970."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def state(self) -> Literal["pending", "approved", "rejected", "expired", "consumed"]:
        """Where it stood when it was read."""

    @property
    def tenant(self) -> str:
        """Who asks."""

    @property
    def agent(self) -> str:
        """Who asks."""

    @property
    def tool(self) -> str:
        """For which tool."""

    @property
    def rule(self) -> str:
        """The rule that asks for it, such as `2-of-finance`."""

    @property
    def required(self) -> int:
        """How many people must approve."""

    @property
    def group(self) -> str:
        """Of which group."""

    @property
    def created_at(self) -> int:
        """When it was asked for."""

    @property
    def expires_at(self) -> int:
        """When it ends, used or not."""

    @property
    def approvers(self) -> list[str]:
        """Who has approved."""

    def open(self, key: SigningKey) -> dict[str, Any]:
        """The action, from the copy that is sealed for this key.

        Raises:
            ConfigError: there is no copy for this key, or it is not what is to be approved.
        """

    def sign(self, key: SigningKey, *, reject: bool = False) -> ApprovalSignature:
        """Say yes or no to what `open` shows.

        Raises:
            ConfigError: as for `open`.
        """

@final
class ApprovalSignature:
    """What an approver says about one approval."""

    @property
    def key_id(self) -> str:
        """Whose key it is."""

    @property
    def verdict(self) -> Literal["approve", "reject"]:
        """What is said."""

@final
class Authorization:
    """The answer to a request."""

    @property
    def decision(self) -> _Decision:
        """What was decided."""

    @property
    def allowed(self) -> bool:
        """Whether it is `allow`."""

    @property
    def reason(self) -> str:
        """Why, as a stable code; docs/kernel.md lists them."""

    @property
    def message(self) -> str | None:
        """A text for a user, from the policy."""

    @property
    def status(self) -> Literal["ok", "error"]:
        """How the check went; an error comes with a denial."""

    @property
    def rule_ids(self) -> tuple[str, ...]:
        """Policies, limits (`limit:...`) or rates (`rate:...`) that decided."""

    @property
    def shadow(self) -> tuple[str, ...]:
        """Policies in shadow mode that would have changed the decision."""

    @property
    def taint(self) -> tuple[str, ...]:
        """Sources that reached the arguments."""

    @property
    def policy_hash(self) -> str:
        """Hash of manifest and policies, hexadecimal."""

    @property
    def lease(self) -> str | None:
        """The reservation, for `settle` or `cancel`."""

    @property
    def approval(self) -> str | None:
        """The approval that is asked for, or was used."""

    @property
    def request_id(self) -> str:
        """Name of the request."""

    @property
    def permit(self) -> bytes | None:
        """The permit, once the receipt is durable; None before, and for what is not allowed."""

    @property
    def receipt(self) -> Receipt | None:
        """The receipt, once it is durable; None before, and for callers who did not prove who they are."""

    @property
    def opening(self) -> str | None:
        """What shows which action the receipt is of, once it is durable: `Statement.is_of`. 64 hexadecimal digits.

        It is in no receipt. Keep it apart from them: who has it and the receipt can try out arguments.
        """

    async def durable(self) -> Receipt | None:
        """Wait until the receipt is on disk; then `permit` and `receipt` are there.

        Raises:
            StateUnavailable: the ledger failed, or took too long; there is no permit.
        """

    def durable_sync(self) -> Receipt | None:
        """As `durable`, waiting here."""

    def recorded_sync(self) -> Receipt | None:
        """Wait until the receipt is on disk, and leave the permit with the kernel.

        For whoever has something else to look at before the action: until `durable` or `durable_sync` fetches the
        permit, `kernel.cancel(auth.lease)` gives the reservation back.

        Raises:
            StateUnavailable: as for `durable`.
        """

    @property
    def _receipt(self) -> tuple[bytes, int | None] | None: ...
    def _wait(self) -> None: ...

@final
class _Waker:
    """What wakes an event loop when receipts are durable; see `sift_fast._waits`."""

    def __new__(cls) -> Self: ...
    def fileno(self) -> int: ...
    def when(self, auth: Authorization, ticket: int) -> bool: ...
    def take(self) -> list[int]: ...

@disjoint_base
class _Kernel:
    """`sift_fast.Kernel` is this class with what needs a coroutine."""

    def __new__(cls, path: _Path, scanner: Scanner | None, connect: tuple[int, float] | None = None) -> Self: ...
    @property
    def audience(self) -> str:
        """Whom requests must be addressed to."""

    @property
    def remote(self) -> bool:
        """Whether each call goes to another process, through a socket."""

    @property
    def policy_hash(self) -> str:
        """Hash of the policy in force, hexadecimal.

        Raises:
            StateUnavailable: the kernel's process cannot be reached.
        """

    def open_session(self, grant: SignedGrant) -> Session:
        """Open a session; again, with the same grant, it is the same session.

        Args:
            grant: signed by an agent's key.

        Raises:
            InvalidSignature: the signature does not verify, or the key may not grant this.
            ConfigError: it grants what the key does not have, is over, lasts too long or is for another kernel.
            LimitExceeded: as many sessions are open as may be.
            StateUnavailable: the kernel is closed, forked, or cannot believe its clock.
        """

    def elevate(self, elevation: SignedElevation) -> None:
        """Add tools to a session.

        Args:
            elevation: signed by a person of the group that may.

        Raises:
            InvalidSignature: the signature does not verify, or the key may not elevate.
            ConfigError: it is over, lasts too long or is for another kernel.
            StateUnavailable: it cannot be made durable.
        """

    def _shadow(self) -> list[tuple[str, int, int, int, int]]: ...
    def observe(self, text: str, *, tenant: str, conversation: str, source: str) -> None:
        """Note what a document or a tool result brought into a conversation.

        Arguments of later requests of that conversation that repeat 20 letters and digits in a row of it, or a token
        that looks like an address, a number or a name, carry `source` into policy (`context.taint`) and receipt. It is
        remembered by this process: after a restart, observe again what a conversation still holds.

        Args:
            text: what came in.
            tenant: of which tenant.
            conversation: into which conversation.
            source: where it came from, such as `web` or `tool:read_page`.

        Raises:
            LimitExceeded: the conversation has brought in more than can be remembered, or behind a socket the text is
                longer than a call may be; its actions are denied.
            StateUnavailable: the kernel's process cannot be reached.
        """

    def reload(self) -> None:
        """Read policies, manifest and public keys again; they hold from the next request on.

        Raises:
            PolicyError: policies or manifest are wrong; what was in force stays.
            ConfigError: keys are wrong, or a tool charges what no limit caps; as above.
        """

    def close(self) -> None:
        """Write everything out and let go of the folder. Again: nothing. Behind a socket it goes on for others.

        Raises:
            StateUnavailable: something could not be written; the kernel is closed all the same.
        """

    def _authorize(self, request: ActionRequest, credential: Credential, approval: str | None) -> Authorization: ...
    def _settle(self, lease: str, actual: dict[str, int], result: Any) -> _Ended: ...
    def _cancel(self, lease: str) -> _Ended: ...
    def _abandon(self, lease: str) -> _Ended: ...
    def _undos(
        self, trace_id: str, tenant: str | None = None, agent: str | None = None
    ) -> list[tuple[str, str, dict[str, Any]]]: ...
    def _take_undo(
        self, trace_id: str, request_id: str, tenant: str | None = None, agent: str | None = None
    ) -> bool: ...
    def _return_undo(
        self, trace_id: str, request_id: str, tenant: str | None = None, agent: str | None = None
    ) -> None: ...
    def _pending(self) -> list[Approval]: ...
    def _approval(self, approval: str) -> Approval | None: ...
    def _sign_approval(self, approval: str, signature: ApprovalSignature) -> str: ...
    def _revoke(self, kind: str, name: str, tenant: str, agent: str, back: bool) -> None: ...
    def _proof(self, index: int) -> str: ...
    def _budgets(self) -> list[tuple[str, str, int, int, int, int]]: ...

def kernel_socket(folder: _Path) -> Path | None:
    """The socket of a folder with `mode = "socket"`; None for another mode.

    Raises:
        ConfigError: `kernel.toml` is missing or wrong.
    """

@final
class KernelServer:
    """A kernel of this process that others reach. `sift_fast.kernel.serve` makes it; without references it stops."""

    def __new__(cls, folder: _Path, scanner: Scanner | None, socket: _Path | None) -> Self: ...
    @property
    def path(self) -> Path:
        """Where it listens."""

    @property
    def audience(self) -> str:
        """Whom requests must be addressed to."""

    def reload(self) -> None:
        """Read policies, manifest and public keys again; who may connect is read at the start alone.

        Raises:
            PolicyError: policies or manifest are wrong; what was in force stays.
            ConfigError: keys are wrong, or a tool charges what no limit caps; as above.
        """

    def stop(self) -> None:
        """Let nobody in any more, answer what is under way, and close the kernel. Again: nothing.

        Raises:
            StateUnavailable: something could not be written; the kernel is closed all the same.
        """

@final
class PermitRegister:
    """Which permits were used, so that none is used twice.

    Args:
        path: a file, which several processes may share, each with a register of its own; None keeps them in memory,
            for this one process. A forked child is refused by the register of its parent.
        most: most permits at once; beyond that none is accepted until some have been over for a minute.

    Raises:
        ConfigError: everybody may write to the file, or it belongs to another user.
        StateUnavailable: the file cannot be opened.
    """

    def __new__(cls, path: _Path | None = None, *, most: int = 1_000_000) -> Self: ...

@final
class Permit:
    """What a permit says, after `verify_permit` believed it."""

    @property
    def audience(self) -> str:
        """The kernel that gave it."""

    @property
    def request_id(self) -> str:
        """The request that was allowed."""

    @property
    def action_hash(self) -> str:
        """What the receipt says of the action, hexadecimal; `Statement.is_of` compares."""

    @property
    def tool(self) -> str:
        """Which tool may be called."""

    @property
    def tenant(self) -> str:
        """For whom."""

    @property
    def agent(self) -> str:
        """By which agent."""

    @property
    def lease(self) -> str:
        """The reservation that is settled afterwards."""

    @property
    def issued_at(self) -> int:
        """Milliseconds since 1970."""

    @property
    def expires_at(self) -> int:
        """Milliseconds since 1970."""

def verify_permit(
    permit: bytes, request: ActionRequest, keys: Keys, register: PermitRegister, audience: str | None
) -> Permit:
    """`sift_fast.verify_permit` has the one to use."""
