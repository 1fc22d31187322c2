"""`EncoderTier`: the encoder as the cascade uses it: cached, batched, with a deadline, and honest about its state."""

from __future__ import annotations

import collections
import hashlib
import secrets
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from typing import Literal, NamedTuple, TypeAlias

from sift_fast.classifier.batcher import Batcher
from sift_fast.classifier.encoder import Encoder, Judgement
from sift_fast.errors import ConfigError, StateUnavailable

#: How the encoder stands to one text: there is none; it was not needed; it answered, now or for the same text
#: before; it did not answer in time; it failed.
Asked: TypeAlias = Literal["none", "unasked", "answered", "cached", "late", "failed"]

_CACHE = 8_192


class ModelStatus(NamedTuple):
    """State of the encoder, for whoever watches the service.

    `state` is `none` (no model was given), `ready`, `late` or `failed`: what the last text that was asked about got.
    The numbers count texts since the start: asked about, answered from the cache, late, failed; `waiting` is now.
    """

    state: Literal["none", "ready", "late", "failed"]
    model: str | None
    asked: int
    cached: int
    late: int
    failed: int
    waiting: int
    batches: int


class EncoderTier:
    """Asks an encoder about texts.

    Args:
        encoder: the model.
        key: what an answer holds for beside text and model: thresholds and their like.
        timeout_ms: how long a caller waits for an answer, its place in the queue included.
        threads: how many batches are computed at a time.
        queue: most texts that wait.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(self, encoder: Encoder, *, key: str, timeout_ms: float, threads: int, queue: int) -> None:
        if not 0 < timeout_ms <= 600_000:
            raise ConfigError("`timeout_ms` must be above 0, and 600000 at most")
        if not 1 <= threads <= 64 or not 1 <= queue <= 65_536:
            raise ConfigError("an encoder has 1 to 64 threads and a queue of 1 to 65536 texts")
        self.encoder = encoder
        self._timeout = timeout_ms / 1_000
        self._batcher: Batcher[str, Judgement] = Batcher(encoder.judge, threads=threads, queue=queue)
        # The digests are keyed: whoever sees the cache cannot try texts on it.
        self._key = secrets.token_bytes(32)
        self._kind = f"{encoder.hash}\0{key}\0".encode()
        self._lock = threading.Lock()
        self._seen: collections.OrderedDict[bytes, Judgement] = collections.OrderedDict()
        self._counts = dict.fromkeys(("asked", "cached", "late", "failed"), 0)
        self._state: Literal["ready", "late", "failed"] = "ready"

    @property
    def status(self) -> ModelStatus:
        """State and counts."""
        load = self._batcher.load
        return ModelStatus(self._state, self.encoder.hash, **self._counts, waiting=load.waiting, batches=load.batches)

    def ask(self, text: str) -> tuple[Asked, Judgement | None]:
        """What the encoder says, from any thread, within the deadline."""
        key = self._digest(text)
        known = self._known(key)
        if known is not None:
            return "cached", known
        until = time.monotonic() + self._timeout
        future: Future[Judgement] | None = None
        try:
            future = self._batcher.submit(text, self._timeout)
            return self._answered(key, future.result(max(0.0, until - time.monotonic())))
        except BaseException as error:  # noqa: BLE001 -- raised again there unless it is the encoder's
            return self._missed(error, future)

    async def ask_async(self, text: str) -> tuple[Asked, Judgement | None]:
        """The same for a task; cancelling the task takes its text out of the queue."""
        import asyncio

        key = self._digest(text)
        known = self._known(key)
        if known is not None:
            return "cached", known
        until = time.monotonic() + self._timeout
        future: Future[Judgement] | None = None
        try:
            # Waiting for a place must not keep the event loop from the tasks that would make one.
            while self._batcher.full and time.monotonic() < until:  # noqa: ASYNC110 -- places are made by threads
                await asyncio.sleep(0.002)
            future = self._batcher.submit(text, 0.0)
            # Not `wait_for`: before Python 3.12 it loses a cancellation that comes together with the answer.
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                answer = await asyncio.wrap_future(future)
            return self._answered(key, answer)
        except BaseException as error:  # noqa: BLE001 -- raised again there unless it is the encoder's
            return self._missed(error, future)

    def ask_now(self, text: str) -> tuple[Asked, Judgement | None]:
        """The same on the caller's thread and without a deadline, for batches that nobody waits for."""
        key = self._digest(text)
        known = self._known(key)
        if known is not None:
            return "cached", known
        try:
            return self._answered(key, self.encoder.judge([text])[0])
        except Exception as error:  # noqa: BLE001 -- whatever the model's operators raise
            return self._missed(error, None)

    def close(self) -> None:
        """End the threads."""
        self._batcher.close()

    def _digest(self, text: str) -> bytes:
        return hashlib.blake2b(
            self._kind + text.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key
        ).digest()

    def _known(self, key: bytes) -> Judgement | None:
        with self._lock:
            self._counts["asked"] += 1
            found = self._seen.get(key)
            if found is not None:
                self._seen.move_to_end(key)
                self._counts["cached"] += 1
            return found

    def _answered(self, key: bytes, answer: Judgement) -> tuple[Asked, Judgement]:
        with self._lock:
            self._state = "ready"
            self._seen[key] = answer
            if len(self._seen) > _CACHE:
                self._seen.popitem(last=False)
        return "answered", answer

    def _missed(self, error: BaseException, future: Future[Judgement] | None) -> tuple[Asked, None]:
        """No answer. What is not the encoder's failing goes on to the caller."""
        if future is not None:
            future.cancel()
        late = isinstance(error, (LateError, TimeoutError, StateUnavailable))
        if not late and not isinstance(error, Exception):
            raise error
        name: Literal["late", "failed"] = "late" if late else "failed"
        with self._lock:
            self._state = name
            self._counts[name] += 1
        return name, None
