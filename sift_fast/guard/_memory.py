"""What the guard remembers of conversations: bounded, in this process, forgotten when unused."""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
import threading
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from sift_fast.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_fast._core import _Fingerprints
    from sift_fast.guard.verdict import RequestContext

__all__ = ["Known", "Memories", "Memory", "Refused"]

#: Values one conversation's vault holds; a conversation is no corpus.
_VAULT_ENTRIES = 10_000
_VAULT_BYTES = 4 << 20
#: Callers of one conversation, by role and user.
_VAULTS = 16
_SOURCE_NAMES = 10_000
_CALLED = 1_000
#: Characters of a name that is kept: of a document, a tool, a call. Longer ones are of nobody's making who means well.
_NAME = 512
#: What is counted for a conversation without anything in it, for an entry of a table, for a fingerprint and for a value
#: of a vault besides what it says, bytes: rounded up from what `tracemalloc` and the process show.
_EMPTY = 2_048
_ENTRY = 128
_PRINT = 32
_VALUE = 256
#: Most bytes of a value that the scanner takes out.
_LONGEST = 8_192
#: Conversations that are known to have been given up, for each that is kept: 16 bytes each.
_GONE = 16


class Texts:
    """Texts in the order in which they came, the oldest given up.

    Attributes:
        bytes: what they take.
    """

    __slots__ = ("_all", "_chars", "bytes")

    def __init__(self) -> None:
        self._all: deque[str] = deque()
        self._chars = 0
        self.bytes = 0

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def add(self, text: str, most: int) -> None:
        """Keep a text, and of all of them at most so many characters."""
        text = text[:most]
        if not text:
            return
        self._all.append(text)
        self._chars += len(text)
        self.bytes += sys.getsizeof(text)
        while self._chars > most and len(self._all) > 1:
            text = self._all.popleft()
            self._chars -= len(text)
            self.bytes -= sys.getsizeof(text)


class Memory:
    """One conversation.

    Attributes:
        bytes: what it took when it was last measured.
    """

    __slots__ = (
        "_values",
        "_vaults",
        "bytes",
        "called",
        "calls",
        "chars",
        "fingerprints",
        "forgotten",
        "lock",
        "retries",
        "risk",
        "said",
        "source_names",
        "sources",
        "turns",
        "used",
        "waiting",
        "window",
    )

    def __init__(self) -> None:
        #: Whether there was an earlier memory of it, which was given up: what was brought in then, nobody knows.
        self.forgotten = False
        self.window = ""
        self.risk = 0.0
        self.turns = 0
        self.calls = 0
        #: Ids of calls that the model made, and the tools they are for.
        self.called: dict[str, str] = {}
        self.chars = 0
        #: Retrieved text, for grounding.
        self.sources = Texts()
        #: What the user said, likewise: a number that he asked about is not made up.
        self.said = Texts()
        #: Ids of the documents, for citations.
        self.source_names: set[str] = set()
        #: Answers of a wrong shape in a row.
        self.retries = 0
        self.fingerprints: _Fingerprints | None = None
        #: Actions that wait for an approval of the kernel, and for each its id and the escalation record.
        self.waiting: dict[str, tuple[str, str | None]] = {}
        self.used = 0.0
        self.lock = threading.Lock()
        #: By who asks: whoever names a conversation of somebody else's gets nothing of what was taken out for him.
        self._vaults: dict[tuple[str, str | None], Vault] = {}
        #: Of each vault, how many values it had when it was last measured, and what they may take.
        self._values: dict[tuple[str, str | None], tuple[int, int]] = {}
        self.bytes = 0

    def measure(self, read: int) -> int:
        """Bytes that it takes, about, and at least.

        Args:
            read: characters of the text that was read last: what was put into a vault stood in it.
        """
        with self.lock:
            out = _EMPTY + len(self.window) * 4 + self.sources.bytes + self.said.bytes
            out += (len(self.called) + len(self.source_names)) * (_ENTRY + _NAME) + len(self.waiting) * _ENTRY
            if self.fingerprints is not None:
                out += len(self.fingerprints) * _PRINT
            for key, vault in self._vaults.items():
                out += self._taken(key, vault, read)
            self.bytes, grown = out, out - self.bytes
        return grown

    def _taken(self, key: tuple[str, str | None], vault: Vault, read: int) -> int:
        known, taken = self._values.get(key, (0, 0))
        try:
            new = len(vault) - known
        except Exception:  # noqa: BLE001 -- whatever is wrong with it, whoever needs it is told
            return _VAULT_BYTES
        if new > 0:
            most = _VAULT_BYTES + (known + new) * _VALUE
            taken = min(taken + min(new * _LONGEST, read * 4) + new * _VALUE, most)
            self._values[key] = known + new, taken
        return taken

    def vault(self, context: RequestContext) -> Vault | None:
        """The vault of who asks in this conversation, if something was ever put into it."""
        return self._vaults.get((context.role, context.user))

    def make_vault(self, context: RequestContext) -> Vault:
        """The same, made when it is first needed; that of who came first is given up when there are too many."""
        key = (context.role, context.user)
        with self.lock:
            if key not in self._vaults:
                while len(self._vaults) >= _VAULTS:
                    first = next(iter(self._vaults))
                    del self._vaults[first]
                    self._values.pop(first, None)
                self._vaults[key] = Vault(secrets.token_bytes(32), max_entries=_VAULT_ENTRIES, max_bytes=_VAULT_BYTES)
            return self._vaults[key]

    def note_call(self, call: str, tool: str) -> None:
        """Keep which tool a call is for, the oldest given up. One of a very long name is nobody's."""
        if len(call) > _NAME or len(tool) > _NAME:
            return
        with self.lock:
            self.called[call] = tool
            while len(self.called) > _CALLED:
                del self.called[next(iter(self.called))]

    def remember_source(self, text: str, name: str, most: int) -> None:
        """Keep a retrieved text for grounding, the oldest given up beyond `most` characters. A document of a very long
        name cannot be cited.
        """
        with self.lock:
            if name and len(name) <= _NAME and len(self.source_names) < _SOURCE_NAMES:
                self.source_names.add(name)
            self.sources.add(text, most)

    def remember_said(self, text: str, most: int) -> None:
        """Keep what the user said, likewise."""
        with self.lock:
            self.said.add(text, most)


class Memories:
    """Conversations by tenant and name, the longest unused given up first: of the tenant that has most of them, so
    that nobody's are pushed out by another tenant's. Of one that is given up it is remembered that it was there.

    Args:
        most: how many.
        ttl_s: seconds an unused one is kept.
        most_bytes: what all of them take together, about: beyond it the longest unused of the tenant is given up that
            takes most.
    """

    def __init__(self, most: int, ttl_s: int, most_bytes: int) -> None:
        self._most = most
        self._ttl = ttl_s
        self._most_bytes = most_bytes
        self._bytes: dict[str, int] = {}
        #: What all of them take, about.
        self.bytes = 0
        self._lock = threading.Lock()
        self._key = secrets.token_bytes(16)
        self._tenants: dict[str, OrderedDict[str, Memory]] = {}
        self._count = 0
        #: Hashes of conversations that were given up and had sources, the oldest forgotten.
        self._gone: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return self._count

    def get(self, tenant: str, conversation: str | None) -> Memory | None:
        """The memory of a conversation, made if it is new; None for a request without one."""
        if conversation is None:
            return None
        now = time.monotonic()
        with self._lock:
            mine = self._tenants.setdefault(tenant, OrderedDict())
            memory = mine.get(conversation)
            if memory is not None and now - memory.used > self._ttl:
                self._give_up(tenant, conversation)
                mine = self._tenants.setdefault(tenant, OrderedDict())
                memory = None
            if memory is None:
                memory = mine[conversation] = Memory()
                memory.forgotten = bool(self._gone) and self._hash(tenant, conversation) in self._gone
                self._count += 1
                while self._count > self._most:
                    full = self._fullest(tenant)
                    self._give_up(full, next(iter(self._tenants[full])))
            else:
                mine.move_to_end(conversation)
            memory.used = now
            return memory

    def measure(self, tenant: str, conversation: str, memory: Memory, read: int) -> None:
        """Count what was put into a conversation, and make room if that is too much.

        Args:
            tenant: whose it is.
            conversation: its name.
            memory: it.
            read: as for `Memory.measure`.
        """
        grown = memory.measure(read)
        if not grown:
            return
        with self._lock:
            mine = self._tenants.get(tenant)
            if mine is None or mine.get(conversation) is not memory:
                # It was given up meanwhile.
                return
            self._bytes[tenant] = self._bytes.get(tenant, 0) + grown
            self.bytes += grown
            while self._count > 1 and self.bytes > self._most_bytes:
                full = max(self._bytes, key=self._bytes.__getitem__)
                self._give_up(full, next(iter(self._tenants[full])))

    def forget(self, tenant: str, conversation: str) -> None:
        """Drop what is known of a conversation, its vaults with it."""
        with self._lock:
            if conversation in self._tenants.get(tenant, ()):
                self._drop(tenant, conversation)
            self._gone.pop(self._hash(tenant, conversation), None)

    def _fullest(self, tenant: str) -> str:
        """Whose conversation is given up for a new one of a tenant: his own, where he has his share or more."""
        mine = len(self._tenants[tenant])
        if mine > 1 and mine * len(self._tenants) >= self._most:
            return tenant
        return max(self._tenants, key=lambda name: len(self._tenants[name]))

    def _give_up(self, tenant: str, conversation: str) -> None:
        memory = self._drop(tenant, conversation)
        if memory.forgotten or memory.fingerprints:
            self._gone[self._hash(tenant, conversation)] = None
            while len(self._gone) > self._most * _GONE:
                self._gone.popitem(last=False)

    def _drop(self, tenant: str, conversation: str) -> Memory:
        memory = self._tenants[tenant].pop(conversation)
        # What was put in since it was measured last is in nobody's sum.
        self._bytes[tenant] = self._bytes.get(tenant, 0) - memory.bytes
        self.bytes -= memory.bytes
        if not self._tenants[tenant]:
            del self._tenants[tenant]
            del self._bytes[tenant]
        self._count -= 1
        return memory

    def _hash(self, tenant: str, conversation: str) -> bytes:
        return _print(self._key, tenant, conversation)


def _print(key: bytes, *parts: str | None) -> bytes:
    """A keyed hash, 16 bytes."""
    said = json.dumps(parts).encode()
    return hashlib.blake2b(said, digest_size=16, key=key).digest()


class Known:
    """Texts of which something is known, as keyed hashes, the oldest given up.

    Args:
        most: how many.

    Example:
        >>> known = Known()
        >>> known.add("asked", "acme", "Hello")
        >>> known.has("asked", "acme", "Hello"), known.has("asked", "globex", "Hello")
        (True, False)
    """

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._all: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._all)

    def add(self, *parts: str | None) -> None:
        """Note something: what is known, of whom, the text."""
        mark = _print(self._key, *parts)
        with self._lock:
            self._all[mark] = None
            self._all.move_to_end(mark)
            while len(self._all) > self._most:
                self._all.popitem(last=False)

    def drop(self, *parts: str | None) -> None:
        """Forget it."""
        with self._lock:
            self._all.pop(_print(self._key, *parts), None)

    def has(self, *parts: str | None) -> bool:
        """Whether it was noted."""
        return bool(self._all) and _print(self._key, *parts) in self._all


class Refused:
    """Turns that did not go on: a client that keeps them in its history sends them again.

    Args:
        most: how many; the oldest is given up.
    """

    def __init__(self, most: int = 100_000) -> None:
        self._known = Known(most)

    def __len__(self) -> int:
        return len(self._known)

    def tell(self, text: str, context: RequestContext, *, allowed: bool, alone: bool = True) -> None:
        """Say what became of a new turn.

        Args:
            text: the turn.
            context: who said it.
            allowed: whether it went on.
            alone: whether that is true of the text by itself, and not of it in its conversation alone.
        """
        if allowed and not self._known:
            return
        everywhere, here = _turn(text, context)
        if allowed:
            self._known.drop(*everywhere)
            self._known.drop(*here)
        else:
            self._known.add(*(everywhere if alone else here))

    def holds(self, text: str, context: RequestContext) -> bool:
        """Whether a turn of this caller did not go on when it was new, here or, for what it says itself, anywhere."""
        return bool(self._known) and any(self._known.has(*parts) for parts in _turn(text, context))


def _turn(text: str, context: RequestContext) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A turn of a caller, wherever he said it, and in this conversation alone."""
    who = (context.tenant, context.role, context.user or "", text)
    return who, (*who, context.conversation or "")
