"""What the guard remembers of conversations: bounded, in this process, forgotten when unused."""

from __future__ import annotations

import hashlib
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
_SOURCE_NAMES = 10_000
_CALLED = 1_000


class Memory:
    """One conversation."""

    __slots__ = (
        "_vault",
        "called",
        "calls",
        "chars",
        "fingerprints",
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
        self._vault: Vault | None = None

    @property
    def vault(self) -> Vault | None:
        """The conversation's vault, if something was ever put into it."""
        return self._vault

    def make_vault(self) -> Vault:
        """The conversation's vault, made when it is first needed."""
        with self.lock:
            if self._vault is None:
                self._vault = Vault(secrets.token_bytes(32), max_entries=_VAULT_ENTRIES, max_bytes=_VAULT_BYTES)
            return self._vault

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
    """Conversations by tenant and name, the longest unused given up first.

    Args:
        most: how many.
        ttl_s: seconds an unused one is kept.
    """

    def __init__(self, most: int, ttl_s: int) -> None:
        self._most = most
        self._ttl = ttl_s
        self._lock = threading.Lock()
        self._all: OrderedDict[tuple[str, str], Memory] = OrderedDict()

    def __len__(self) -> int:
        return len(self._all)

    def get(self, tenant: str, conversation: str | None) -> Memory | None:
        """The memory of a conversation, made if it is new; None for a request without one."""
        if conversation is None:
            return None
        key = (tenant, conversation)
        now = time.monotonic()
        with self._lock:
            memory = self._all.get(key)
            if memory is not None and now - memory.used > self._ttl:
                del self._all[key]
                memory = None
            if memory is None:
                memory = self._all[key] = Memory()
                while len(self._all) > self._most:
                    self._all.popitem(last=False)
            else:
                self._all.move_to_end(key)
            memory.used = now
            return memory

    def forget(self, tenant: str, conversation: str) -> None:
        """Drop what is known of a conversation, its vault with it."""
        with self._lock:
            self._all.pop((tenant, conversation), None)


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

    def tell(self, text: str, context: RequestContext, *, allowed: bool) -> None:
        """Say what became of a new turn."""
        if allowed and not self._all:
            return
        print_ = self._print(text, context)
        with self._lock:
            if allowed:
                self._all.pop(print_, None)
                return
            self._all[print_] = None
            while len(self._all) > self._most:
                self._all.popitem(last=False)

    def holds(self, text: str, context: RequestContext) -> bool:
        """Whether a turn of this tenant and role did not go on when it was new."""
        return bool(self._all) and self._print(text, context) in self._all

    def _print(self, text: str, context: RequestContext) -> bytes:
        said = f"{len(context.tenant)} {len(context.role)} {context.tenant}{context.role}{text}"
        return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key).digest()
