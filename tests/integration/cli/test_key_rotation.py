"""A kernel's keys over time, as an operator changes them and an auditor verifies what they signed."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

import sift_fast as sf


@pytest.fixture
def governance(invoke, tmp_path):
    """A folder of the template, and no more."""
    folder = tmp_path / "g"
    assert invoke("init", folder, "--template", "support").code == 0
    return folder


def act(folder: Path, into: Path, *numbers: int) -> None:
    """Opens the kernel, asks once for each number, and keeps the receipts with their proofs."""
    with sf.Kernel.open(folder) as kernel:
        # Requests that were issued before a kernel was opened are refused.
        time.sleep(0.005)
        key = sf.SigningKey.load(folder / "keys" / "support-bot.key", "support-bot-1", kernel.audience)
        for number in numbers:
            request = sf.ActionRequest(
                tenant="acme",
                agent="support-bot",
                role="support",
                tool="refund",
                args={"order": f"o-{number}", "cents": 100},
                conversation="c1",
            )
            auth = kernel.authorize(*sf.sign_request(request, key))
            assert auth.decision == "allow", auth.reason
            assert auth.durable_sync() is not None
            (into / f"{number}.tlog-proof").write_bytes(kernel.receipt(auth).to_bytes())


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def size_of(folder: Path) -> int:
    """The size of a ledger, where docs/receipts.md says it stands."""
    return int((folder / "state" / "ledger" / "checkpoint").read_text().splitlines()[1])


def test_the_log_key_changes_and_everything_is_verified(invoke, governance, tmp_path):
    act(governance, tmp_path, 1, 2)
    size = size_of(governance)
    keys, settings = governance / "keys.toml", governance / "kernel.toml"
    origin = (governance / "state" / "ledger" / "checkpoint").read_text().splitlines()[0]
    name = f'name = "{origin}"'
    edit(keys, name, f"{name}\nto_size = {size}")
    with pytest.raises(sf.ConfigError, match=f"may not sign at tree size {size + 1}"):
        sf.Kernel.open(governance)
    made = invoke("keygen", governance / "keys" / "log-2.key", "--id", "log-2", "--purpose", "log", "--name", origin)
    assert made.code == 0, made.err
    keys.write_text(keys.read_text() + made.out.decode() + f"from_size = {size}\n")
    edit(settings, 'log_key = "keys/log.key"', 'log_key = "keys/log-2.key"')
    with pytest.raises(sf.StateUnavailable, match="retiring_log_key"):
        sf.Kernel.open(governance)
    edit(settings, "log_key =", 'retiring_log_key = "keys/log.key"\nlog_key =')
    act(governance, tmp_path, 3)
    edit(settings, 'retiring_log_key = "keys/log.key"\n', "")
    act(governance, tmp_path, 4)
    assert [path.name for path in (governance / "state" / "ledger" / "handover").iterdir()] == [str(size)]
    receipts = sorted(tmp_path.glob("*.tlog-proof"))
    assert len(receipts) == 4
    done = invoke("verify", *receipts, "--keys", keys, "--require", "inclusion")
    assert done.code == 0, done.out.decode()
    done = invoke("verify", "--ledger", governance / "state" / "ledger", "--keys", keys, "--seen", receipts[0])
    assert done.code == 0, done.err


def test_a_receipt_key_that_is_given_up_allows_nothing(governance, tmp_path):
    act(governance, tmp_path, 1)
    keys = governance / "keys.toml"
    before = keys.read_text()
    for line, why in [
        ("revoked = 2020-01-01T00:00:00Z", "is revoked"),
        ("not_after = 2020-01-01T00:00:00Z", "not valid at this time"),
        ("not_before = 2999-01-01T00:00:00Z", "not valid at this time"),
        ("to_size = 1", "was retired"),
    ]:
        edit(keys, 'purpose = "receipt"', f'purpose = "receipt"\n{line}')
        with pytest.raises(sf.ConfigError, match=why):
            sf.Kernel.open(governance)
        keys.write_text(before)
    with sf.Kernel.open(governance) as kernel:
        time.sleep(0.005)
        edit(keys, 'purpose = "receipt"', 'purpose = "receipt"\nrevoked = 2020-01-01T00:00:00Z')
        with pytest.raises(sf.ConfigError, match="is revoked"):
            kernel.reload()
        key = sf.SigningKey.load(governance / "keys" / "support-bot.key", "support-bot-1", kernel.audience)
        request = sf.ActionRequest(
            tenant="acme", agent="support-bot", role="support", tool="refund", args={"order": "o-1", "cents": 100}
        )
        auth = kernel.authorize(*sf.sign_request(request, key))
        assert (auth.decision, auth.status, auth.reason) == ("deny", "error", "kernel_key_not_valid")


def revoke(folder: Path) -> None:
    """In a function of its own: what SQLite has in its log is in the file once nobody has the kernel any more."""
    with sf.Kernel.open(folder) as kernel:
        kernel.revoke(tenant="acme", agent="support-bot")


def test_one_letter_of_the_store_opens_nothing(governance):
    revoke(governance)
    store = governance / "state" / "kernel.sqlite"
    whole = store.read_bytes()
    places = [place for place in range(len(whole)) if whole.startswith(b"support-bot", place)]
    assert places
    for place in places:
        bent = bytearray(whole)
        bent[place] ^= 1
        store.write_bytes(bent)
        with pytest.raises(sf.StateUnavailable, match="the store of the kernel"):
            sf.Kernel.open(governance)


def test_what_was_done_to_a_ledger_is_told(invoke, governance, tmp_path):
    ledger, keys = governance / "state" / "ledger", governance / "keys.toml"

    def keep(name: str) -> Path:
        kept = tmp_path / name
        shutil.copytree(governance / "state", kept / "state")
        return kept

    def put_back(kept: Path | None) -> None:
        shutil.rmtree(governance / "state")
        if kept is not None:
            shutil.copytree(kept / "state", governance / "state")

    def said(folder: Path = ledger) -> str:
        done = invoke("verify", "--ledger", folder, "--keys", keys, "--seen", seen[0], "--seen", seen[1])
        return done.out.decode() if done.code else "whole"

    seen = [tmp_path / "1.tlog-proof", tmp_path / "3.tlog-proof"]
    act(governance, tmp_path, 1, 2)
    early = keep("early")
    act(governance, tmp_path, 3, 4)
    assert said() == "whole"
    put_back(early)
    assert "cut: " in said()
    other = tmp_path / "other"
    other.mkdir()
    act(governance, other, 5, 6, 7)
    assert "forked: " in said()
    put_back(None)
    act(governance, other, 1, 2, 3, 4, 5)
    assert "rebuilt: " in said()
    assert invoke("init", tmp_path / "thief", "--template", "support").code == 0
    act(tmp_path / "thief", other, 1, 2, 3, 4, 5)
    assert "re-signed: " in said(tmp_path / "thief" / "state" / "ledger")
