"""Verifies a receipt without sift_fast: `python verify_receipt.py RECEIPT.tlog-proof LOG_KEY KERNEL_KEY`.

The keys are `public` of the entries of `keys.toml` with the purposes `log` and `receipt`.
Checks the ledger's signature, inclusion (RFC 6962) and the kernel's signature, and prints the statement; ends with an
error at the first that does not hold.
"""

import base64
import json
import sys
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def need(holds: bool, otherwise: str) -> None:
    """End with a sentence, unless it holds."""
    if not holds:
        sys.exit(f"FAILED: {otherwise}")


def main(path: str, log_key: str, kernel_key: str) -> None:
    """Verify one file; a signature that does not hold raises `InvalidSignature`."""
    log, kernel = base64.b64decode(log_key), base64.b64decode(kernel_key)
    head, note, signatures = Path(path).read_text("utf-8").split("\n\n")
    magic, extra, index, *proof = head.split("\n")
    need(magic == "c2sp.org/tlog-proof@v1", "it is no tlog-proof")
    origin, size, root = note.split("\n")[:3]
    ours = sha256(f"{origin}\n\x01".encode() + log).digest()[:4]
    lines = [base64.b64decode(line.split(" ")[2]) for line in signatures.splitlines()]
    found = [line[4:] for line in lines if line[:4] == ours]
    need(bool(found), "the ledger's key, which is the first of the two, did not sign the checkpoint")
    Ed25519PublicKey.from_public_bytes(log).verify(found[0], f"{note}\n".encode())

    envelope = base64.b64decode(extra.removeprefix("extra "))
    node, place, last = sha256(b"\0" + envelope).digest(), int(index.removeprefix("index ")), int(size) - 1
    need(0 <= place <= last, "the index lies outside of the tree")
    for sibling in map(base64.b64decode, proof):
        need(last > 0, "the proof is too long")
        if place % 2 or place == last:
            node = sha256(b"\1" + sibling + node).digest()
            while place and place % 2 == 0:
                place, last = place // 2, last // 2
        else:
            node = sha256(b"\1" + node + sibling).digest()
        place, last = place // 2, last // 2
    need(last == 0 and node == base64.b64decode(root), "the proof does not lead to the signed root")

    dsse = json.loads(envelope)
    kind, payload = dsse["payloadType"].encode(), base64.b64decode(dsse["payload"])
    statement = json.loads(payload)
    need(dsse["signatures"] or statement["predicate"]["class"] == "batched", "the kernel's signature was taken off")
    for signature in dsse["signatures"]:
        signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
        Ed25519PublicKey.from_public_bytes(kernel).verify(base64.b64decode(signature["sig"]), signed)
    print(f"in {origin}, {index} of {size}, signatures of the kernel: {len(dsse['signatures'])}")
    print(json.dumps(statement, indent=1))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(f"usage: python verify_receipt.py RECEIPT.tlog-proof LOG_KEY KERNEL_KEY\n{__doc__.split(chr(10))[2]}")
    main(*sys.argv[1:])
