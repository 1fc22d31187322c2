"""`sift-fast verify`: exit codes, both forms, and what a terminal is shown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

DATA = Path(__file__).parents[2] / "data" / "ledger"
KEYS = ("--keys", str(DATA / "keys.toml"))


def test_receipts_are_verified(invoke):
    done = invoke("verify", str(DATA / "signed.tlog-proof"), str(DATA / "batched.tlog-proof"), *KEYS)
    assert done.code == 0, done.err
    assert done.out.decode().count(": ok\n") == 2
    assert done.out.decode().count("signature  valid") == 2
    assert "inclusion  valid    entry 2 of 6 in `example.com/ledger`, signed by `log`" in done.out.decode()
    assert "witness    valid    seen by `witness`" in done.out.decode()


def test_requirements_decide_the_exit_code(invoke):
    envelope = str(DATA / "signed.json")
    assert invoke("verify", envelope, *KEYS).code == 0
    assert invoke("verify", envelope, *KEYS, "--require", "inclusion").code == 1
    proof = ("--proof", str(DATA / "signed.tlog-proof"))
    assert invoke("verify", envelope, *proof, *KEYS, "--require", "witness").code == 0
    assert invoke("verify", envelope, *proof, *KEYS, "--require", "witness", "--witnesses", "2").code == 1
    # Another receipt's proof is wrong, not missing: it fails whatever is required.
    assert invoke("verify", envelope, "--proof", str(DATA / "batched.tlog-proof"), *KEYS).code == 1


def test_lines_of_json(invoke, tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    done = invoke("verify", str(DATA / "signed.tlog-proof"), str(bad), *KEYS, "--format", "jsonl")
    assert done.code == 1
    good, wrong = map(json.loads, done.lines)
    assert (good["ok"], good["index"], good["request_id"]) == (True, 2, "request-2")
    assert good["signature"] == {"answer": "valid", "detail": "by `kernel`"}
    assert good["statement"]["decision"] == "allow"
    assert (wrong["ok"], wrong["receipt"]) == (False, str(bad))
    assert "no DSSE envelope" in wrong["error"]


def test_a_ledger_is_audited(invoke, tmp_path):
    seen = ("--seen", str(DATA / "checkpoint"), "--seen", str(DATA / "signed.tlog-proof"))
    done = invoke("verify", "--ledger", str(DATA / "ledger"), *KEYS, *seen)
    assert done.code == 0, done.err
    assert "6 in example.com/ledger" in done.out.decode()
    assert "2 kept checkpoints agree" in done.out.decode()
    assert done.err == ""
    alone = invoke("verify", "--ledger", str(DATA / "ledger"), *KEYS)
    assert alone.code == 0
    assert "looks whole" in alone.err
    ledger = tmp_path / "ledger"
    shutil.copytree(DATA / "ledger", ledger)
    (ledger / "tile" / "0" / "000.p" / "6").write_bytes(bytes(192))
    done = invoke("verify", "--ledger", str(ledger), *KEYS, *seen, "--format", "jsonl")
    assert done.code == 1
    assert json.loads(done.out)["error"].startswith("altered: entry 0 ")


def test_misuse_is_said(invoke):
    receipt = str(DATA / "signed.json")
    for words in (
        ("verify", *KEYS),
        ("verify", receipt, "--ledger", str(DATA / "ledger"), *KEYS),
        ("verify", receipt, receipt, "--proof", receipt, *KEYS),
        ("verify", receipt, "--seen", receipt, *KEYS),
        ("verify", receipt),
        ("verify", receipt, "--keys", receipt),
    ):
        done = invoke(*words)
        assert done.code == 2, words
        assert done.err.count("\n") == 1


def test_names_do_not_speak_to_a_terminal(invoke, tmp_path):
    import base64

    said = json.loads(base64.b64decode(json.loads((DATA / "signed.json").read_bytes())["payload"]))
    said["predicate"] |= {"tool": "x\x1b[2J\nok", "class": "batched"}
    payload = base64.b64encode(json.dumps(said).encode()).decode()
    path = tmp_path / "odd.json"
    envelope = {"payload": payload, "payloadType": "application/vnd.in-toto+json", "signatures": []}
    path.write_text(json.dumps(envelope))
    done = invoke("verify", str(path), *KEYS)
    assert done.code == 1
    assert b"tool=x\\x1b[2J\\nok" in done.out
    assert b"\x1b" not in done.out
