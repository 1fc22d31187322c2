"""Receipts: verify one with public keys alone, or audit a whole ledger.

A receipt is the signed statement of one authorization; `docs/receipts.md` says what it holds and how others
verify it. Three questions are answered apart: is the signature the kernel's, is the receipt in the ledger, did
witnesses see the ledger. Nothing here reaches for a network or for a private key.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias, final

from sift_fast import _core
from sift_fast._clock import now_ms
from sift_fast._core import ActionRequest, Keys
from sift_fast.errors import ConfigError, InvalidReceipt, InvalidSignature
from sift_fast.types import Value

__all__ = [
    "Audit",
    "Check",
    "Keys",
    "Receipt",
    "Statement",
    "Verified",
    "audit_ledger",
    "check_receipt",
    "receipt_opening",
    "verify_receipt",
]

_MAGIC = b"c2sp.org/tlog-proof@v1\n"
_MAX_FILE = 256 << 10

_Path: TypeAlias = str | os.PathLike[str]
Word: TypeAlias = Literal["valid", "missing", "invalid"]


@final
class Check(Value):
    """The answer to one question about a receipt.

    Args:
        word: `valid`; `missing`, when nothing was given to tell it from; `invalid`.
        detail: By whom, or why not.
    """

    __slots__ = ("word", "detail")  # noqa: RUF023 -- the order of `repr`

    word: Word
    detail: str

    def __init__(self, word: Word, detail: str) -> None:
        object.__setattr__(self, "word", word)
        object.__setattr__(self, "detail", detail)

    @property
    def valid(self) -> bool:
        """Whether the answer is yes."""
        return self.word == "valid"


@final
class Statement(Value):
    """What a receipt says.

    Args:
        request_id: Identity of the request.
        action_hash: What stands for the action, hexadecimal: SHA-256 with 32 bytes that are not in the receipt.
        predicate: The rest, by the names of `docs/receipts.md`: `decision`, `reason`, `tenant`, `tool`, ...
    """

    __slots__ = ("request_id", "action_hash", "predicate")  # noqa: RUF023 -- the order of `repr`

    request_id: str
    action_hash: str
    predicate: Mapping[str, Any]

    def __init__(self, request_id: str, action_hash: str, predicate: Mapping[str, Any]) -> None:
        object.__setattr__(self, "request_id", request_id)
        object.__setattr__(self, "action_hash", action_hash)
        object.__setattr__(self, "predicate", predicate)

    def is_of(self, action: ActionRequest, opening: str) -> bool:
        """Whether this is the receipt of an action.

        Args:
            action: The whole action: tenant, agent, role, tool, arguments, session, conversation, model, estimate.
            opening: `auth.opening`, or what `receipt_opening` gives.

        Raises:
            ConfigError: An opening is 64 hexadecimal digits.

        Example:
            ```python
            sf.verify_receipt(receipt, keys).is_of(request, auth.opening)
            ```
        """
        try:
            raw = bytes.fromhex(opening)
        except ValueError:
            raw = b""
        if len(raw) != 32:
            raise ConfigError("an opening is 64 hexadecimal digits")
        return _core.blinded_action(action, raw) == self.action_hash


@final
class Verified(Value):
    """A receipt and the three answers about it.

    Args:
        statement: What the receipt says. Believe it only as far as the answers go.
        signature: Whether the kernel signed it, by itself or through the ledger's checkpoint.
        inclusion: Whether it is in the ledger.
        witness: Whether enough known witnesses saw the ledger at that size.
        index: Its place in the ledger from 0, when inclusion is valid.
    """

    __slots__ = ("statement", "signature", "inclusion", "witness", "index")  # noqa: RUF023 -- the order of `repr`

    statement: Statement
    signature: Check
    inclusion: Check
    witness: Check
    index: int | None

    def __init__(
        self, statement: Statement, signature: Check, inclusion: Check, witness: Check, index: int | None
    ) -> None:
        object.__setattr__(self, "statement", statement)
        object.__setattr__(self, "signature", signature)
        object.__setattr__(self, "inclusion", inclusion)
        object.__setattr__(self, "witness", witness)
        object.__setattr__(self, "index", index)


@final
class Receipt(Value):
    """A receipt as it is kept: the envelope, byte for byte, and the proof that it is in the ledger.

    Args:
        envelope: DSSE envelope, JSON.
        proof: `.tlog-proof` text, if there is one.

    Example:
        >>> Receipt.parse(b'{"payload":"e30=","payloadType":"t","signatures":[]}').proof is None
        True
    """

    __slots__ = ("envelope", "proof")

    envelope: bytes
    proof: str | None

    def __init__(self, envelope: bytes, proof: str | None = None) -> None:
        object.__setattr__(self, "envelope", envelope)
        object.__setattr__(self, "proof", proof)

    @classmethod
    def parse(cls, data: bytes) -> Receipt:
        """A receipt from the bytes of a file: an envelope, or a `.tlog-proof` that carries one as extra data.

        Raises:
            InvalidReceipt: The file is longer than 256 KiB, or a proof without an envelope.
        """
        import base64
        import binascii

        if len(data) > _MAX_FILE:
            raise InvalidReceipt("receipt: longer than 256 KiB")
        if not data.startswith(_MAGIC):
            return cls(data)
        extra = data[len(_MAGIC) :].split(b"\n", 1)[0]
        if not extra.startswith(b"extra "):
            raise InvalidReceipt("receipt: the proof carries no envelope as extra data: give the envelope too")
        try:
            return cls(base64.b64decode(extra[6:], validate=True), data.decode())
        except (binascii.Error, UnicodeDecodeError) as error:
            raise InvalidReceipt("receipt: the proof is no text, or its extra data no base64") from error

    @classmethod
    def load(cls, path: _Path, proof: _Path | None = None) -> Receipt:
        """A receipt from a file, with its proof from another when it does not carry it.

        Raises:
            InvalidReceipt: As `parse`.
            OSError: A file cannot be read.
        """
        receipt = cls.parse(_read(path))
        return receipt if proof is None else cls(receipt.envelope, _read_text(proof))

    def to_bytes(self) -> bytes:
        """One file: a `.tlog-proof` that carries the envelope, or the envelope where there is no proof."""
        import base64

        if self.proof is None:
            return self.envelope
        head, _, rest = self.proof.partition("\n")
        if rest.startswith("extra "):
            rest = rest.partition("\n")[2]
        return f"{head}\nextra {base64.b64encode(self.envelope).decode()}\n{rest}".encode()


@final
class Audit(Value):
    """A ledger that is what was signed, and whose kept checkpoints agree.

    Args:
        size: How many entries it has.
        origin: Its name.
        log_keys: Ids of the keys that signed its checkpoint.
        agreeing: How many kept checkpoints agree, hand-overs of keys counted.
        witnesses: Ids of witnesses that saw this checkpoint.
        valid: Receipts whose signature holds.
        invalid: Receipts whose signature does not, or that are none.
        failures: The first 100 of those: place and reason.
    """

    __slots__ = ("size", "origin", "log_keys", "agreeing", "witnesses", "valid", "invalid", "failures")  # noqa: RUF023 -- the order of `repr`

    size: int
    origin: str
    log_keys: tuple[str, ...]
    agreeing: int
    witnesses: tuple[str, ...]
    valid: int
    invalid: int
    failures: tuple[tuple[int, str], ...]

    def __init__(
        self,
        size: int,
        origin: str,
        log_keys: tuple[str, ...],
        agreeing: int,
        witnesses: tuple[str, ...],
        valid: int,
        invalid: int,
        failures: tuple[tuple[int, str], ...],
    ) -> None:
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "origin", origin)
        object.__setattr__(self, "log_keys", log_keys)
        object.__setattr__(self, "agreeing", agreeing)
        object.__setattr__(self, "witnesses", witnesses)
        object.__setattr__(self, "valid", valid)
        object.__setattr__(self, "invalid", invalid)
        object.__setattr__(self, "failures", failures)


def _read(path: _Path) -> bytes:
    with open(path, "rb") as stream:
        return stream.read(_MAX_FILE + 1)


def _read_text(path: _Path) -> str:
    try:
        return _read(path).decode()
    except UnicodeDecodeError as error:
        raise InvalidReceipt(f"`{os.fspath(path)}` is no proof: it is no UTF-8") from error


def check_receipt(
    receipt: Receipt | bytes,
    keys: Keys,
    *,
    origin: str | None = None,
    witnesses: int = 1,
    now: int | None = None,
) -> Verified:
    """Answer the three questions about a receipt, offline.

    Args:
        receipt: A receipt, or the bytes of its file.
        keys: Public keys of kernel, ledger and witnesses.
        origin: The ledger it must be in; None accepts each that has a key.
        witnesses: How many must have seen the ledger for `witness` to be valid, at least 1.
        now: Milliseconds since 1970; None takes the system's clock.

    Returns:
        Statement and answers; read them, this raises for none of them.

    Raises:
        InvalidReceipt: Envelope or proof cannot be read at all.
    """
    if isinstance(receipt, bytes):
        receipt = Receipt.parse(receipt)
    verifier = _core._Verifier(keys, origin, max(witnesses, 1))
    request_id, action_hash, predicate, signature, inclusion, witness, index = verifier.verify(
        receipt.envelope, receipt.proof, now_ms(now)
    )
    return Verified(
        Statement(request_id, action_hash, json.loads(predicate)),
        Check(*signature),
        Check(*inclusion),
        Check(*witness),
        index,
    )


def verify_receipt(
    receipt: Receipt | bytes,
    keys: Keys,
    *,
    inclusion: bool = False,
    witnesses: int = 0,
    origin: str | None = None,
    now: int | None = None,
) -> Statement:
    """The statement of a receipt, if it can be believed.

    Args:
        receipt: A receipt, or the bytes of its file.
        keys: Public keys of kernel, ledger and witnesses.
        inclusion: Whether a proof that it is in the ledger must be there. One that is there must hold anyway.
        witnesses: How many witnesses must have seen the ledger; asks for inclusion as well.
        origin: The ledger it must be in; None accepts each that has a key.
        now: Milliseconds since 1970; None takes the system's clock.

    Raises:
        InvalidSignature: The signature is not the kernel's, or its key could not be used then.
        InvalidReceipt: It cannot be read, its proof does not hold, or what was asked for is not there.
    """
    seen = check_receipt(receipt, keys, origin=origin, witnesses=witnesses, now=now)
    if seen.inclusion.word == "invalid":
        raise InvalidReceipt(f"receipt: inclusion: {seen.inclusion.detail}")
    if not seen.signature.valid:
        raise InvalidSignature(f"receipt: signature: {seen.signature.detail}")
    if (inclusion or witnesses > 0) and not seen.inclusion.valid:
        raise InvalidReceipt(f"receipt: inclusion: {seen.inclusion.detail}")
    if seen.witness.word == "invalid" or (witnesses > 0 and not seen.witness.valid):
        raise InvalidReceipt(f"receipt: witness: {seen.witness.detail}")
    return seen.statement


def receipt_opening(key: _Path, statement: Statement, action: ActionRequest) -> str:
    """The opening of a receipt, made again by whoever has the kernel's private key and knows the action.

    Args:
        key: File of the private key that the kernel signed receipts with at the time.
        statement: What the receipt says.
        action: The action; for any other the result opens nothing.

    Returns:
        64 hexadecimal digits, for `Statement.is_of`.

    Raises:
        ConfigError: The key cannot be read.
    """
    lease = statement.predicate.get("lease")
    return _core.opening_of(key, statement.request_id, lease if isinstance(lease, str) else None, action)


def audit_ledger(
    folder: _Path,
    keys: Keys,
    *,
    seen: Iterable[str] = (),
    origin: str | None = None,
    now: int | None = None,
) -> Audit:
    """Read a whole ledger and say whether it is what was signed and what others saw.

    Args:
        folder: Where it is; it may be in use.
        keys: Public keys of kernel, ledger and witnesses.
        seen: Checkpoints kept elsewhere, or `.tlog-proof` texts, which end in one.
        origin: The ledger it must be; None accepts each that has a key.
        now: Milliseconds since 1970; None takes the system's clock.

    Raises:
        InvalidReceipt: The message begins with what was done to it: altered, cut, forked, rebuilt, re-signed.
        ConfigError: A kept checkpoint is none of this ledger's.
        StateUnavailable: A file cannot be read.
    """
    notes = []
    for text in seen:
        head, separator, note = text.partition("\n\n")
        proof = head.startswith(_MAGIC.decode())
        if proof and not separator:
            raise ConfigError("a kept proof has no checkpoint")
        notes.append(note if proof else text)
    size, name, log_keys, agreeing, saw, valid, invalid, failures = _core.audit_ledger(
        os.fspath(folder), keys, origin, notes, now_ms(now)
    )
    return Audit(size, name, tuple(log_keys), agreeing, tuple(saw), valid, invalid, tuple(failures))
