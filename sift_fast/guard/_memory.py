"""What the guard remembers of conversations: bounded, in this process, forgotten when unused."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from sift_fast.vault import Vault

if TYPE_CHECKING:
    from sift_fast._core import _Fingerprints
    from sift_fast.guard.verdict import RequestContext

__all__ = ["Memories", "Memory", "Refused"]

#: Values one conversation's vault holds; a conversation is no corpus.
_VAULT_ENTRIES = 10_000
_VAULT_BYTES = 4 << 20
#: Callers of one conversation, by role and user.
_VAULTS = 16
_SOURCE_NAMES = 10_000
_CALLED = 1_000
#: Conversations that are known to have been given up, for each that is kept: 16 bytes each.
_GONE = 16


class Memory:
    """One conversation."""

    __slots__ = (
        "_vaults",
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
        self.sources: list[str] = []
        #: What the user said, likewise: a number that he asked about is not made up.
        self.said: list[str] = []
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

    def vault(self, context: RequestContext) -> Vault | None:
        """The vault of who asks in this conversation, if something was ever put into it."""
        return self._vaults.get((context.role, context.user))

    def make_vault(self, context: RequestContext) -> Vault:
        """The same, made when it is first needed; that of who came first is given up when there are too many."""
        key = (context.role, context.user)
        with self.lock:
            if key not in self._vaults:
                while len(self._vaults) >= _VAULTS:
                    del self._vaults[next(iter(self._vaults))]
                self._vaults[key] = Vault(secrets.token_bytes(32), max_entries=_VAULT_ENTRIES, max_bytes=_VAULT_BYTES)
            return self._vaults[key]

    def note_call(self, call: str, tool: str) -> None:
        """Keep which tool a call is for, the oldest given up."""
        with self.lock:
            self.called[call] = tool
            while len(self.called) > _CALLED:
                del self.called[next(iter(self.called))]

    def remember_source(self, text: str, name: str, most: int) -> None:
        """Keep a retrieved text for grounding, the oldest given up beyond `most` characters."""
        with self.lock:
            if name and len(self.source_names) < _SOURCE_NAMES:
                self.source_names.add(name)
            _keep(self.sources, text, most)

    def remember_said(self, text: str, most: int) -> None:
        """Keep what the user said, likewise."""
        with self.lock:
            _keep(self.said, text, most)


def _keep(texts: list[str], text: str, most: int) -> None:
    texts.append(text[:most])
    while sum(map(len, texts)) > most and len(texts) > 1:
        texts.pop(0)


class Memories:
    """Conversations by tenant and name, the longest unused given up first: of the tenant that has most of them, so
    that nobody's are pushed out by another tenant's. Of one that is given up it is remembered that it was there.

    Args:
        most: how many.
        ttl_s: seconds an unused one is kept.
    """

    def __init__(self, most: int, ttl_s: int) -> None:
        self._most = most
        self._ttl = ttl_s
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
        if not self._tenants[tenant]:
            del self._tenants[tenant]
        self._count -= 1
        return memory

    def _hash(self, tenant: str, conversation: str) -> bytes:
        return _print(self._key, tenant, conversation)


def _print(key: bytes, *parts: str) -> bytes:
    """A keyed hash, 16 bytes."""
    said = json.dumps(parts).encode()
    return hashlib.blake2b(said, digest_size=16, key=key).digest()


class Refused:
    """Turns that did not go on, as keyed hashes: a client that keeps them in its history sends them again.

    Args:
        most: how many; the oldest is given up.
    """

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._all: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._all)

    def tell(self, text: str, context: RequestContext, *, allowed: bool, alone: bool = True) -> None:
        """Say what became of a new turn.

        Args:
            text: the turn.
            context: who said it.
            allowed: whether it went on.
            alone: whether that is true of the text by itself, and not of it in its conversation alone.
        """
        if allowed and not self._all:
            return
        everywhere, here = self._prints(text, context)
        with self._lock:
            if allowed:
                self._all.pop(everywhere, None)
                self._all.pop(here, None)
                return
            self._all[everywhere if alone else here] = None
            while len(self._all) > self._most:
                self._all.popitem(last=False)

    def holds(self, text: str, context: RequestContext) -> bool:
        """Whether a turn of this caller did not go on when it was new, here or, for what it says itself, anywhere."""
        return bool(self._all) and any(each in self._all for each in self._prints(text, context))

    def _prints(self, text: str, context: RequestContext) -> tuple[bytes, bytes]:
        who = (context.tenant, context.role, context.user or "", text)
        return _print(self._key, *who), _print(self._key, *who, context.conversation or "")
