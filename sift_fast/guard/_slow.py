"""Guardrails that wait for something: the classifier, your own, and judges behind HTTP. They only tighten.

Each has its own threads, deadline and circuit breaker, gets the text and the stage and nothing else, and what it
answers is checked: no number between 0 and 1, no answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import math
import os
import re
import secrets
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from sift_fast._json import once
from sift_fast.errors import ConfigError, LimitExceeded, StateUnavailable
from sift_fast.guard._checks import Call, Check
from sift_fast.guard.config import ClassifierConfig, CustomConfig, ExternalConfig, GuardrailConfig
from sift_fast.guard.verdict import Guardrail, Opinion, Signal, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Background", "HttpJudge", "Slow", "Threads", "load_entry_point", "opener"]

#: Texts at a time before a classifier with an encoder, and before one that is somebody else's.
_TASKS = 256
_SCORERS = 4
#: Questions to one guardrail that wait for a place.
_WAITING = 16_384
_CACHE_ENTRIES = 4_096
_CACHE_S = 60.0
#: Tenants of whose failures a guardrail keeps count.
_TENANTS = 1_000
_MAX_ANSWER = 64 * 1024
#: What a server says that means the text and not itself: a bad request, too large, not to be processed.
_ITS_TEXT = {400, 413, 415, 422}
#: A stable code: words of letters in one case, each with a number of up to three digits. No key or address is one.
_CODE = re.compile(r"(?:[a-z]{1,24}|[A-Z]{1,24})\d{0,3}(?:[._-](?:(?:[a-z]{1,24}|[A-Z]{1,24})\d{0,3}|\d{1,3})){0,7}")


class Place:
    """One question that is asked, until what it asks has ended."""

    __slots__ = ("is_lost",)

    def __init__(self) -> None:
        #: Whether nobody waits for it any more, and it goes on.
        self.is_lost = False


class Threads:
    """Threads for one thing that may hang. Who finds no place waits for one as long as he likes; where all are held by
    what nobody waits for any more, he is refused.

    Args:
        name: of what runs there.
        most: how many.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._busy = self._lost = 0
        self._lock = threading.Lock()
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._pool = ThreadPoolExecutor(most, thread_name_prefix=f"sift-{name}")

    async def enter(self) -> Place:
        """Take a place, or wait for one.

        Raises:
            StateUnavailable: there will be none, or too many wait.
        """
        place = Place()
        with self._lock:
            if self._busy < self._most:
                self._busy += 1
                return place
            if self._lost >= self._most or len(self._waiting) >= _WAITING:
                raise StateUnavailable(f"`{self._name}` is not asked: too many questions at a time")
            turn = asyncio.get_running_loop().create_future()
            self._waiting[turn] = None
        try:
            await turn
        except BaseException:
            with self._lock:
                is_given = turn not in self._waiting
                self._waiting.pop(turn, None)
            if is_given:
                # It came together with the end of the wait.
                self.leave(place)
            raise
        return place

    def lose(self, place: Place) -> None:
        """Nobody waits any more for what has a place."""
        with self._lock:
            place.is_lost = True
            self._lost += 1

    def leave(self, place: Place) -> None:
        """Give a place back: to who has waited longest, in whatever loop he does."""
        with self._lock:
            self._lost -= place.is_lost
            while self._waiting:
                turn, _ = self._waiting.popitem(last=False)
                try:
                    turn.get_loop().call_soon_threadsafe(_hand, turn)
                except RuntimeError:
                    # His loop is closed.
                    continue
                return
            self._busy -= 1

    async def run(self, timeout_s: float, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function returns that blocks. A thread that is given up keeps its place until it ends.

        Raises:
            StateUnavailable: all threads are busy with what nobody waits for.
            TimeoutError: it did not return in time, or there was no thread.
        """
        end = time.monotonic() + timeout_s
        async with asyncio.timeout(timeout_s):
            place = await self.enter()
        return await self.run_at(place, end - time.monotonic(), function, *arguments)

    async def run_at(self, place: Place, timeout_s: float, function: Callable[..., Any], *arguments: Any) -> Any:
        """As `run`, with a place from `enter`."""
        try:
            future = self._pool.submit(_contained, function, *arguments)
        except BaseException:
            self.leave(place)
            raise
        # Not `wait_for`: before Python 3.12 it loses a cancellation that comes together with the answer.
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.wrap_future(future)
        finally:
            if not future.done():
                self.lose(place)
            # Also where it is given up before a thread took it.
            future.add_done_callback(lambda _: self.leave(place))

    def post(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have something done that nobody waits for, whether or not there is a place."""
        self._pool.submit(_contained, function, *arguments)


def _hand(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


def _contained(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call it; what would end a program, or look like the caller's own cancellation, is an error like any other."""
    try:
        return function(*arguments)
    except Exception:
        raise
    except BaseException as error:  # noqa: BLE001 -- as said
        raise StateUnavailable(f"a guardrail ended with {type(error).__name__}") from None


class Slow(Check):
    """A guardrail that waits.

    Args:
        name: its name.
        table: its settings.
        judge: what is asked.
        workers: most questions at a time that wait in threads.
    """

    slow = True

    def __init__(self, name: str, table: GuardrailConfig, judge: Callable[[str, Stage], Any], workers: int) -> None:
        super().__init__(name, table)
        self._judge = judge
        self._is_async = inspect.iscoroutinefunction(judge)
        self._threads = Threads(name, workers)
        self._key = secrets.token_bytes(32)
        self._seen: OrderedDict[bytes, tuple[float, Opinion]] = OrderedDict()
        self._lock = threading.Lock()
        #: By tenant, so that nobody switches it off for others: failures in a row, and when it is asked again.
        self._circuits: OrderedDict[str, tuple[int, float]] = OrderedDict()
        breaks = isinstance(table, ExternalConfig | CustomConfig)
        self._limit = table.failures if breaks else 0  # type: ignore[attr-defined]
        self._pause = table.pause_ms / 1_000 if breaks else 0.0  # type: ignore[attr-defined]
        self._chars = table.max_chars if isinstance(table, ClassifierConfig) else None
        self._reason = f"{table.kind}.score"

    async def ask(self, call: Call) -> Signal | None:
        """What it says about a call, within its deadline.

        Raises:
            LimitExceeded: the text is longer than it reads.
            StateUnavailable: its circuit is open, or it is asked too much at a time.
            TimeoutError: it does not answer in time.
            TypeError: it answers something that is no score.
        """
        text = call.text
        if self._chars is not None and len(text) > self._chars:
            raise LimitExceeded(f"guardrail `{self.name}` reads at most {self._chars} characters")
        key = hashlib.blake2b(
            f"{call.stage}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16, key=self._key
        ).digest()
        opinion = self._remembered(key)
        if opinion is None:
            opinion = await self._asked(text, call.stage, call.context.tenant)
            with self._lock:
                self._seen[key] = (time.monotonic(), opinion)
                while len(self._seen) > _CACHE_ENTRIES:
                    self._seen.popitem(last=False)
        if opinion.score <= 0:
            return None
        return Signal(self._reason if opinion.reason == "custom" else opinion.reason, opinion.score)

    def _remembered(self, key: bytes) -> Opinion | None:
        with self._lock:
            entry = self._seen.get(key)
            if entry is None or time.monotonic() - entry[0] > _CACHE_S:
                return None
            self._seen.move_to_end(key)
            return entry[1]

    async def _asked(self, text: str, stage: Stage, tenant: str) -> Opinion:
        self._is_open(tenant)
        place = await self._threads.enter()
        try:
            self._is_open(tenant)
        except BaseException:
            self._threads.leave(place)
            raise
        try:
            opinion = _opinion(await self._answer(place, text, stage), self.name)
        except Unanswerable:
            # The next text may be another matter.
            raise
        except BaseException:
            if self._limit:
                self._failed(tenant)
            raise
        if self._circuits:
            with self._lock:
                self._circuits.pop(tenant, None)
        return opinion

    def _is_open(self, tenant: str) -> None:
        if self._limit and time.monotonic() < self._circuits.get(tenant, (0, 0.0))[1]:
            raise StateUnavailable(f"guardrail `{self.name}` is not asked: it failed too often")

    def _failed(self, tenant: str) -> None:
        """Count a failure; from the limit on it is not asked for a while."""
        with self._lock:
            failures = self._circuits.pop(tenant, (0, 0.0))[0] + 1
            resume = time.monotonic() + self._pause if failures >= self._limit else 0.0
            self._circuits[tenant] = failures, resume
            while len(self._circuits) > _TENANTS:
                self._circuits.popitem(last=False)

    async def _answer(self, place: Place, text: str, stage: Stage) -> Any:
        timeout_s = self.table.timeout_ms / 1_000
        if not self._is_async:
            return await self._threads.run_at(place, timeout_s, self._judge, text, stage)
        try:
            task = asyncio.ensure_future(self._own(text, stage))
        except BaseException:
            self._threads.leave(place)
            raise
        # One that does not let itself be cancelled is left behind, and keeps its place.
        task.add_done_callback(lambda _: self._threads.leave(place))
        task.add_done_callback(_heard)
        try:
            done, _ = await asyncio.wait({task}, timeout=timeout_s)
        finally:
            if not task.done():
                self._threads.lose(place)
                task.cancel()
        if not done:
            raise TimeoutError(f"guardrail `{self.name}` did not answer in time")
        return task.result()

    async def _own(self, text: str, stage: Stage) -> Any:
        task = asyncio.current_task()
        try:
            return await self._judge(text, stage)
        except asyncio.CancelledError:
            if task is not None and task.cancelling():
                raise
            raise StateUnavailable("a guardrail ended with CancelledError") from None
        except (SystemExit, KeyboardInterrupt) as error:
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                # That one is from the keyboard.
                raise
            raise StateUnavailable(f"a guardrail ended with {type(error).__name__}") from None


def _heard(task: asyncio.Task[Any]) -> None:
    """Take note of an error that came too late: nobody else would, and it would be logged with all that it says."""
    if not task.cancelled():
        task.exception()


def _opinion(answer: Any, name: str) -> Opinion:
    opinion = answer if isinstance(answer, Opinion) else Opinion(answer)
    # Whatever the type says, others wrote it.
    score: Any = opinion.score
    reason: Any = opinion.reason
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        raise TypeError(f"guardrail `{name}` answered something that is no score")
    if not 0 <= score <= 1 or not isinstance(reason, str) or len(reason) > 64:
        raise TypeError(f"guardrail `{name}` answered a score that is not from 0 to 1, or no short reason")
    # It stands in events and records, and may be a piece of the text: what is no code for sure is not repeated.
    return Opinion(float(score), reason if _CODE.fullmatch(reason) else "custom.score")


class Unanswerable(StateUnavailable):
    """A judge does not judge this text, and works."""


class HttpJudge:
    """A judge or moderation endpoint: `POST {"text", "stage"}`, answered by `{"score", "reason"}`.

    Args:
        table: its settings.

    Raises:
        ConfigError: the environment variable with its token is not set.
    """

    def __init__(self, table: ExternalConfig) -> None:
        self._url = table.url
        self._timeout = table.timeout_ms / 1_000
        self._headers = {"content-type": "application/json"}
        if table.token_env:
            token = os.environ.get(table.token_env)
            if not token:
                raise ConfigError(f"the environment variable `{table.token_env}` is not set")
            self._headers["authorization"] = f"Bearer {token}"

    def check(self, text: str, stage: Stage) -> Opinion:
        """Ask it; blocks.

        Raises:
            StateUnavailable: it cannot be reached, or its answer is no such document; `Unanswerable` where it refuses
                this text alone.
            TimeoutError: it does not answer in time.
        """
        import urllib.error
        import urllib.request

        body = json.dumps({"text": text, "stage": stage}).encode()
        request = urllib.request.Request(self._url, body, self._headers, method="POST")  # noqa: S310 -- checked when loaded
        try:
            with opener().open(request, timeout=self._timeout) as response:
                document = json.loads(response.read(_MAX_ANSWER), object_pairs_hook=once)
            return Opinion(document["score"], str(document.get("reason", "custom")))
        except urllib.error.HTTPError as error:
            # It holds the connection.
            error.close()
            if error.code in _ITS_TEXT:
                raise Unanswerable(f"the judge does not judge this text: status {error.code}") from None
            raise StateUnavailable(f"the judge gave no answer: status {error.code}") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            # The connection's deadline and the guardrail's are the same: either may be the first to notice.
            if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
                raise TimeoutError("the judge did not answer in time") from None
            raise StateUnavailable(f"the judge gave no answer: {type(error).__name__}") from None


def opener() -> Any:
    """What asks a server, and that server alone."""
    import urllib.request

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        """A server that sends its questions elsewhere is not followed: the text would go along."""

        def redirect_request(self, *_: Any) -> None:
            return None

    # A proxy that the environment names would read the text too.
    return urllib.request.build_opener(NoRedirect, urllib.request.ProxyHandler({}))


def load_entry_point(name: str) -> Guardrail:
    """A guardrail from the entry point group `sift_fast.guardrails`.

    Raises:
        ConfigError: there is none of that name, or it cannot be loaded.
    """
    from importlib.metadata import entry_points

    found = entry_points(group="sift_fast.guardrails", name=name)
    if not found:
        raise ConfigError(f"no installed package has a guardrail `{name}`")
    try:
        loaded = next(iter(found)).load()
        guardrail: Guardrail = loaded() if isinstance(loaded, type) else loaded
    except Exception as error:
        raise ConfigError(f"the guardrail `{name}` cannot be loaded: {type(error).__name__}") from error
    return guardrail


def make_classifier(name: str, table: ClassifierConfig, classifier: Any, thresholds: Mapping[Stage, float]) -> Slow:
    """A classifier that waits: one with an encoder, or somebody else's."""
    if hasattr(classifier, "assess_async"):
        from sift_fast.guard._injection import asking

        return Slow(name, table, asking(classifier, thresholds), _TASKS)

    def score(text: str, stage: Stage) -> Any:
        answer = classifier.score(text)
        # Whatever is no number is an error, which is told where all answers are read.
        return 0.0 if isinstance(answer, float) and answer < thresholds[stage] else answer

    return Slow(name, table, score, _SCORERS)


def make_slow(name: str, table: GuardrailConfig, guardrails: Mapping[str, Guardrail]) -> Slow:
    """A waiting guardrail from its settings.

    Raises:
        ConfigError: what it needs was not given.
    """
    if isinstance(table, ExternalConfig):
        return Slow(name, table, HttpJudge(table).check, table.concurrency)
    assert isinstance(table, CustomConfig)  # noqa: S101 -- the kinds are these two
    guardrail = load_entry_point(table.entry_point) if table.entry_point else guardrails.get(name)
    if guardrail is None:
        raise ConfigError(f"guardrail `{name}` was not given: `Guard(config, guardrails={{...}})`")
    return Slow(name, table, guardrail.check, 16)


class Background:
    """An event loop on a thread, for synchronous callers of guardrails that wait. Made when first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._owner = 0

    def run(self, coroutine: Any, within_s: float | None = None) -> Any:
        """Run a coroutine to its end from any thread but the loop's own.

        Args:
            coroutine: it.
            within_s: seconds after which it is given up, and the loop with it: something in it blocks.

        Raises:
            StateUnavailable: it is asked from the loop itself, which would wait for its own end.
            TimeoutError: it is given up.
        """
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise StateUnavailable("a guardrail that waits asks the guard without waiting: use the methods that wait")
        with self._lock:
            alive = self._owner == os.getpid() and self._thread is not None and self._thread.is_alive()
            if self._loop is None or not alive:
                self._loop = asyncio.new_event_loop()
                self._owner = os.getpid()
                self._thread = threading.Thread(target=self._loop.run_forever, name="sift-guard", daemon=True)
                self._thread.start()
            loop = self._loop
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            return future.result(within_s)
        except BaseException as error:
            if isinstance(error, TimeoutError) and not future.done():
                with self._lock:
                    # Whoever comes next has another loop.
                    self._loop = None if self._loop is loop else self._loop
            # Interrupted: what nobody waits for any more ends.
            future.cancel()
            raise
