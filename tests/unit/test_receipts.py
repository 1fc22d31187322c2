"""Receipts and ledgers as a third party verifies them: from files, with public keys alone."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sift_fast as sf
from sift_fast.receipts import Check

DATA = Path(__file__).parents[1] / "data" / "ledger"
EXAMPLE = Path(__file__).parents[2] / "examples" / "verify_receipt.py"
NOW = 1_735_689_700_000


@pytest.fixture
def keys() -> sf.Keys:
    return sf.Keys.load(DATA / "keys.toml")


def read(name: str) -> bytes:
    return (DATA / name).read_bytes()


def words(seen: sf.Verified) -> list[str]:
    return [seen.signature.word, seen.inclusion.word, seen.witness.word]


@pytest.mark.parametrize("name", ["signed.tlog-proof", "batched.tlog-proof"])
def test_one_file_answers_three_questions(keys, name):
    seen = sf.check_receipt(read(name), keys, now=NOW)
    assert words(seen) == ["valid", "valid", "valid"]
    assert seen.statement.predicate["tool"] == "refund"
    assert seen.statement.request_id == f"request-{seen.index}"
    assert len(seen.statement.action_hash) == 64
    assert sf.verify_receipt(read(name), keys, inclusion=True, witnesses=1, now=NOW) == seen.statement


def test_an_envelope_alone_is_signed_and_no_more(keys):
    seen = sf.check_receipt(read("signed.json"), keys, now=NOW)
    assert words(seen) == ["valid", "missing", "missing"]
    assert seen.index is None
    assert sf.verify_receipt(read("signed.json"), keys, now=NOW) == seen.statement
    for wanted in ({"inclusion": True}, {"witnesses": 1}):
        with pytest.raises(sf.InvalidReceipt, match="inclusion: no proof"):
            sf.verify_receipt(read("signed.json"), keys, now=NOW, **wanted)


def test_the_system_clock_is_the_default(keys):
    # The kept receipts are dated in January 2025.
    before = sf.check_receipt(read("signed.json"), keys, now=NOW - 10**9)
    assert before.signature == Check("invalid", "it is dated in the future: check the clocks")
    assert sf.check_receipt(read("signed.json"), keys).signature.valid


def test_what_does_not_hold_raises(keys):
    receipt = sf.Receipt.parse(read("signed.tlog-proof"))
    envelope = json.loads(receipt.envelope)
    said = base64.b64decode(envelope["payload"]).replace(b'"allow"', b'"deny"')
    forged = sf.Receipt(json.dumps(envelope | {"payload": base64.b64encode(said).decode()}).encode())
    with pytest.raises(sf.InvalidSignature, match="does not verify with key `kernel`"):
        sf.verify_receipt(forged, keys, now=NOW)
    with pytest.raises(sf.InvalidReceipt, match="does not lead to the root"):
        sf.verify_receipt(sf.Receipt(forged.envelope, receipt.proof), keys, now=NOW)
    with pytest.raises(sf.InvalidReceipt, match=r"not of `example\.com/other`"):
        sf.verify_receipt(receipt, keys, origin="example.com/other", now=NOW)
    with pytest.raises(sf.InvalidReceipt, match="1 of 2 known witnesses"):
        sf.verify_receipt(receipt, keys, witnesses=2, now=NOW)
    with pytest.raises(sf.InvalidSignature, match="no receipt key `kernel` is in the ring"):
        sf.verify_receipt(read("signed.json"), sf.Keys(""), now=NOW)
    batched = sf.Receipt.parse(read("batched.tlog-proof"))
    with pytest.raises(sf.InvalidSignature, match="give a valid proof"):
        sf.verify_receipt(batched.envelope, keys, now=NOW)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"\xff",
        b"c2sp.org/tlog-proof@v1\n",
        b"c2sp.org/tlog-proof@v1\nextra !\nindex 0\n\n",
        b"c2sp.org/tlog-proof@v1\nindex 0\n\n",
        b"c2sp.org/tlog-proof@v1\nextra e30=\n\xff",
        b"x" * (300 << 10),
    ],
)
def test_what_is_no_receipt_is_said(keys, data):
    with pytest.raises(sf.InvalidReceipt):
        sf.check_receipt(data, keys, now=NOW)


def test_a_receipt_is_kept_in_one_file():
    data = read("signed.tlog-proof")
    receipt = sf.Receipt.parse(data)
    assert receipt.to_bytes() == data
    assert receipt.envelope == read("signed.json")
    assert sf.Receipt.load(DATA / "signed.tlog-proof") == receipt
    assert sf.Receipt.load(DATA / "signed.json", DATA / "signed.tlog-proof").to_bytes() == data
    assert sf.Receipt(receipt.envelope).to_bytes() == receipt.envelope


def test_keys_are_listed_and_wrong_ones_refused(keys, tmp_path):
    assert keys.items() == [("kernel", "receipt"), ("log", "log"), ("witness", "witness")]
    assert repr(keys) == "Keys(3 keys)"
    with pytest.raises(sf.ConfigError, match="line 2"):
        sf.Keys("[[key]]\nid = 1")
    with pytest.raises(sf.ConfigError, match="No such file"):
        sf.Keys.load(tmp_path / "none.toml")


def test_a_ledger_is_audited(keys):
    audit = sf.audit_ledger(DATA / "ledger", keys, now=NOW)
    assert (audit.size, audit.valid, audit.invalid, audit.agreeing) == (6, 6, 0, 0)
    assert (audit.origin, audit.log_keys, audit.witnesses) == ("example.com/ledger", ("log",), ())
    seen = [(DATA / name).read_text() for name in ("checkpoint", "signed.tlog-proof")]
    assert sf.audit_ledger(DATA / "ledger", keys, seen=seen, now=NOW).agreeing == 2


def test_a_ledger_that_was_touched_is_refused(keys, tmp_path):
    ledger = tmp_path / "ledger"
    shutil.copytree(DATA / "ledger", ledger)
    bundle = ledger / "tile" / "entries" / "000.p" / "6"
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[:-1] + b" ")
    with pytest.raises(sf.InvalidReceipt, match=r"^altered: entry 5 "):
        sf.audit_ledger(ledger, keys, now=NOW)
    bundle.write_bytes(whole)
    with pytest.raises(sf.InvalidReceipt, match=r"^re-signed: "):
        sf.audit_ledger(ledger, sf.Keys(""), now=NOW)
    with pytest.raises(sf.ConfigError, match="checkpoint 1 that was kept"):
        sf.audit_ledger(ledger, keys, seen=["nothing"], now=NOW)
    # Receipts that no key of the ring signed are counted, and named.
    text = (DATA / "keys.toml").read_text()
    others = sf.Keys(text.replace('id = "kernel"', 'id = "other"'))
    audit = sf.audit_ledger(ledger, others, now=NOW)
    assert (audit.valid, audit.invalid) == (2, 4)
    assert audit.failures[0] == (
        0,
        "no receipt key `kernel` is in the ring: add it to keys.toml if you trust it",
    )


def test_the_example_needs_cryptography_alone(tmp_path):
    keys = dict(
        line.split(" = ") for line in (DATA / "keys.toml").read_text().replace('"', "").splitlines() if "=" in line
    )
    assert keys["algorithm"] == "ed25519"
    public = [
        part.split('public = "')[1].split('"')[0] for part in (DATA / "keys.toml").read_text().split("[[key]]")[1:]
    ]

    def run(path: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", str(EXAMPLE), str(path), public[0], public[1]], capture_output=True, text=True
        )

    for name, said in (("signed", "kernel: 1"), ("batched", "kernel: 0")):
        done = run(DATA / f"{name}.tlog-proof")
        assert done.returncode == 0, done.stderr
        assert "in example.com/ledger, index" in done.stdout
        assert said in done.stdout
    text = (DATA / "signed.tlog-proof").read_text()
    bent = tmp_path / "bent.tlog-proof"
    for changed in (
        text.replace("index 2", "index 3"),
        text.replace("\n6\n", "\n7\n"),
        text.replace("extra eyJ", "extra eyA"),
    ):
        assert changed != text
        bent.write_text(changed)
        assert run(bent).returncode != 0
    assert "sift_fast" not in EXAMPLE.read_text().split('"""')[2]


def test_the_example_says_what_it_takes():
    done = subprocess.run([sys.executable, "-I", str(EXAMPLE)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "RECEIPT.tlog-proof LOG_KEY KERNEL_KEY" in done.stderr
    assert "`keys.toml`" in done.stderr
    assert "Traceback" not in done.stderr
