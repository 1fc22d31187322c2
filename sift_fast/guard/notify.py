"""Notifications of escalation records: a signed webhook, or a message as Slack takes it. No text, a link.

The signature is `sift-signature: t=<unix seconds>,v1=<hex>`, HMAC-SHA256 over `<t>.<body>` with a shared key: the
receiver refuses what is older than a few minutes, so that a captured message cannot be sent again later.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

from sift_fast.errors import ConfigError, InvalidSignature

if TYPE_CHECKING:
    from sift_fast.guard.config import EscalationConfig
    from sift_fast.guard.escalation import Record

__all__ = ["Notifier", "message", "sign", "verify"]

_TIMEOUT_S = 5.0
_TRIES = 4
_QUEUE = 1_000
#: Seconds between two looks at a full queue.
_FULL_S = 0.05


def message(record: Record, *, form: str, link: str) -> bytes:
    """What is sent about a record: where and why, and how to get to it.

    Args:
        record: the record.
        form: `json` or `slack`.
        link: prefix of the link; the id is appended.
    """
    where = f"{link}{record.id}" if link else record.id
    document: dict[str, Any] = {
        "type": "escalation",
        "id": record.id,
        "link": where,
        "stage": record.stage,
        "decision": record.decision,
        "reason": record.reason,
        "owner": record.owner,
        "expires_ms": record.expires_ms,
    }
    if form == "slack":
        shown = f"<{where}|{record.id}>" if link else record.id
        text = f"Escalation {shown}: {record.decision} at {record.stage}, {record.reason}"
        document = {"text": text + (f", for {record.owner}" if record.owner else "")}
    return json.dumps(document, separators=(",", ":")).encode()


def sign(body: bytes, key: bytes, *, now_s: int) -> str:
    """The header's value for a body, HMAC-SHA256 (RFC 2104)."""
    mac = hmac.new(key, f"{now_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={now_s},v1={mac}"


def verify(body: bytes, header: str, key: bytes, *, now_s: int, tolerance_s: int = 300) -> None:
    """Check a notification, for its receiver.

    Args:
        body: as it came, before it is parsed.
        header: the value of `sift-signature`.
        key: the shared key.
        now_s: seconds since 1970.
        tolerance_s: seconds it may be old, or early.

    Raises:
        InvalidSignature: it is not from the guard, or too old.
    """
    fields = dict(part.partition("=")[::2] for part in header.split(","))
    try:
        sent = int(fields.get("t", ""))
    except ValueError:
        raise InvalidSignature("the notification has no time") from None
    if not hmac.compare_digest(sign(body, key, now_s=sent), header) or abs(now_s - sent) > tolerance_s:
        raise InvalidSignature("the notification's signature does not verify, or is too old")


def _key(settings: EscalationConfig) -> bytes:
    """The key of the signature; empty for none.

    Raises:
        ConfigError: it is not where the settings say, or too short.
    """
    name = settings.webhook_key_env
    if not name:
        return b""
    try:
        key = bytes.fromhex(os.environ.get(name, ""))
    except ValueError:
        key = b""
    if len(key) < 16:
        raise ConfigError(f"escalation: `{name}` must hold a key of 16 bytes or more, hexadecimal")
    return key


class Notifier:
    """Sends notifications on a thread of its own, a few times if need be. A verdict never waits for it.

    What cannot be sent is counted in `failed`: the record is there all the same. The thread begins with the first
    notification.

    Args:
        settings: table `[escalation]`.

    Raises:
        ConfigError: the address or the key is wrong.
    """

    def __init__(self, settings: EscalationConfig) -> None:
        if not settings.webhook.startswith(("https://", "http://")):
            raise ConfigError("escalation: `webhook` must begin with https:// or http://")
        self._settings = settings
        self._key = _key(settings)
        self._queue: queue.Queue[bytes | threading.Event] = queue.Queue(_QUEUE)
        self._lock = threading.Lock()
        self._works = self._closed = False
        self.failed = 0

    def serves(self, settings: EscalationConfig) -> bool:
        """Whether notifications by these settings are those that it sends."""
        if not settings.webhook:
            return False
        wanted = (settings.webhook, settings.format, settings.link, _key(settings))
        return wanted == (self._settings.webhook, self._settings.format, self._settings.link, self._key)

    def send(self, record: Record) -> None:
        """Queue a notification; one too many is counted as failed."""
        try:
            self._put(message(record, form=self._settings.format, link=self._settings.link))
        except queue.Full:
            self.failed += 1

    def close(self) -> None:
        """Send what waits, and end the thread: another one is in its place."""
        with self._lock:
            self._closed = True
            if self._works:
                # A full queue needs nobody to wake the thread.
                with contextlib.suppress(queue.Full):
                    self._queue.put_nowait(threading.Event())

    def _put(self, item: bytes | threading.Event) -> None:
        with self._lock:
            self._queue.put_nowait(item)
            if not self._works:
                self._works = True
                threading.Thread(target=self._work, name="sift-notify", daemon=True).start()

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Wait until what was queued is sent or given up; whether that is so."""
        done, end = threading.Event(), time.monotonic() + timeout_s
        while True:
            try:
                self._put(done)
            except queue.Full:
                if time.monotonic() > end:
                    return False
                time.sleep(_FULL_S)
            else:
                return done.wait(max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._closed and self._queue.empty():
                    self._works = False
                    return
            item = self._queue.get()
            if isinstance(item, threading.Event):
                item.set()
            elif not any(self._try(item, number) for number in range(_TRIES)):
                self.failed += 1

    def _try(self, body: bytes, number: int) -> bool:
        import urllib.error
        import urllib.request

        from sift_fast.guard._slow import opener

        if number:
            time.sleep(min(8.0, 0.25 * 2**number))
        headers = {"content-type": "application/json"}
        if self._key:
            headers["sift-signature"] = sign(body, self._key, now_s=int(time.time()))
        request = urllib.request.Request(self._settings.webhook, body, headers, method="POST")  # noqa: S310 -- checked
        try:
            with opener().open(request, timeout=_TIMEOUT_S):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except (OSError, ValueError):
            return False
