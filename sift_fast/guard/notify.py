"""Notifications of escalation records: a signed webhook, or a message as Slack takes it. No text, a link.

The signature is `sift-signature: t=<unix seconds>,v1=<hex>`, HMAC-SHA256 over `<t>.<body>` with a shared key: the
receiver refuses what is older than a few minutes, so that a captured message cannot be sent again later.
"""

from __future__ import annotations

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


class Notifier:
    """Sends notifications on a thread of its own, a few times if need be. A verdict never waits for it.

    What cannot be sent is counted in `failed`: the record is there all the same.

    Args:
        settings: table `[escalation]`.

    Raises:
        ConfigError: the address or the key is wrong.
    """

    def __init__(self, settings: EscalationConfig) -> None:
        if not settings.webhook.startswith(("https://", "http://")):
            raise ConfigError("escalation: `webhook` must begin with https:// or http://")
        self._settings = settings
        self._key = b""
        if settings.webhook_key_env:
            try:
                self._key = bytes.fromhex(os.environ.get(settings.webhook_key_env, ""))
            except ValueError:
                self._key = b""
            if len(self._key) < 16:
                name = settings.webhook_key_env
                raise ConfigError(f"escalation: `{name}` must hold a key of 16 bytes or more, hexadecimal")
        self._queue: queue.Queue[bytes | threading.Event] = queue.Queue(_QUEUE)
        self.failed = 0
        threading.Thread(target=self._work, name="sift-notify", daemon=True).start()

    def send(self, record: Record) -> None:
        """Queue a notification; one too many is counted as failed."""
        try:
            self._queue.put_nowait(message(record, form=self._settings.format, link=self._settings.link))
        except queue.Full:
            self.failed += 1

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Wait until what was queued is sent or given up; whether that is so."""
        done = threading.Event()
        self._queue.put(done)
        return done.wait(timeout_s)

    def _work(self) -> None:
        while True:
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
