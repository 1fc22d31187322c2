"""Verifies a receipt without sift_fast: `python verify_receipt.py RECEIPT.tlog-proof LOG_KEY KERNEL_KEY`.

The keys are the base64 of `keys.toml`. Checks signature and inclusion (SHA-256, RFC 6962); says what it checked.
"""

import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def main(path: str, log_key: str, kernel_key: str) -> None:
    log, kernel = (Ed25519PublicKey.from_public_bytes(base64.b64decode(key)) for key in (log_key, kernel_key))
    head, body, lines = open(path, encoding="utf-8").read().split("\n\n")
    magic, extra, index, *proof = head.split("\n")
    assert magic == "c2sp.org/tlog-proof@v1", "no tlog-proof"
    origin, size, root = (body + "\n").split("\n")[:3]
    signed = [base64.b64decode(line.split(" ")[2])[4:] for line in lines.splitlines() if line.split(" ")[1] == origin]
    log.verify(signed[0], (body + "\n").encode())  # raises InvalidSignature
    envelope = base64.b64decode(extra.removeprefix("extra "))
    node, place, last = hashlib.sha256(b"\0" + envelope).digest(), int(index.removeprefix("index ")), int(size) - 1
    assert place <= last, "the index lies outside of the tree"
    for sibling in map(base64.b64decode, proof):
        assert last > 0, "the proof is too long"
        if place % 2 or place == last:
            node = hashlib.sha256(b"\1" + sibling + node).digest()
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            node = hashlib.sha256(b"\1" + node + sibling).digest()
        place, last = place // 2, last // 2
    assert last == 0 and node == base64.b64decode(root), "the proof does not lead to the signed root"
    dsse = json.loads(envelope)
    kind, payload = dsse["payloadType"].encode(), base64.b64decode(dsse["payload"])
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    for signature in dsse["signatures"]:
        kernel.verify(base64.b64decode(signature["sig"]), pae)
    assert dsse["signatures"] or json.loads(payload)["predicate"]["class"] == "batched", "the signature was taken off"
    print(f"in {origin} at {index.removeprefix('index ')} of {size}; {len(dsse['signatures'])} signature(s) of the kernel")
    print(json.dumps(json.loads(payload), indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
