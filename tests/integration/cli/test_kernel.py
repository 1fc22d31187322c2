"""`init`, `keygen`, `authorize`, `approvals`: a folder from nothing to an approved action, and what goes wrong."""

from __future__ import annotations

import json
import shlex
import shutil
import stat
import subprocess
import tomllib

import pytest

import sift_fast as sf


@pytest.fixture
def folder(invoke, tmp_path):
    folder = tmp_path / "g"
    assert invoke("init", folder, "--template", "support").code == 0
    return folder


def ask(invoke, folder, cents, *more):
    args = json.dumps({"order": "o-1", "cents": cents})
    ran = invoke("authorize", folder, "--agent", "support-bot", "--tool", "refund", "--args", args, *more)
    return ran.code, json.loads(ran.out) if ran.out else ran.err


CALLS = {
    "support": ("support-bot", "refund", {"order": "o-1", "cents": 500}),
    "ci": ("ci-bot", "run_tests", {"ref": "main"}),
    "trading": ("desk-bot", "place_order", {"symbol": "ABC", "side": "buy", "notional_cents": 500}),
}


@pytest.mark.parametrize("template", CALLS)
def test_each_template_opens_and_allows(invoke, tmp_path, template):
    agent, tool, args = CALLS[template]
    assert invoke("init", tmp_path / "g", "--template", template).code == 0
    # The limit by conversation wants one.
    ran = invoke(
        "authorize", tmp_path / "g", "--agent", agent, "--tool", tool, "--args", json.dumps(args), "--conversation", "c"
    )
    assert (ran.code, json.loads(ran.out)["decision"]) == (0, "allow"), ran.err


@pytest.mark.parametrize("template", CALLS)
def test_each_template_is_without_remarks_and_passes_its_cases(invoke, tmp_path, template):
    assert invoke("init", tmp_path / "g", "--template", template, "--tenant", "globex").code == 0
    checked = invoke("policy", "check", tmp_path / "g")
    assert (checked.code, checked.out) == (0, b"")
    tested = invoke("policy", "test", tmp_path / "g")
    assert (tested.code, tested.out) == (0, b"")
    assert tested.err.split()[0] != "0"


@pytest.mark.parametrize("template", CALLS)
def test_what_init_says_to_type_next_works(invoke, tmp_path, template):
    made = invoke("init", tmp_path / "a folder", "--template", template)
    lines = made.out.decode().partition("next:")[2].split("sift-fast ")[1:]
    assert [shlex.split(line)[0] for line in lines] == ["policy", "authorize"]
    for line in lines:
        ran = invoke(*shlex.split(line))
        assert ran.code == 0, ran.err


def test_git_passes_over_keys_and_state(invoke, folder, tmp_path):
    ask(invoke, folder, 500, "--conversation", "c")
    assert (folder / "state").is_dir()
    if shutil.which("git") is None:
        pytest.skip("git is not here")
    git = ["git", "-C", tmp_path, "-c", "core.excludesFile="]
    subprocess.run([*git, "init", "-q"], check=True)
    listed = subprocess.run([*git, "status", "--porcelain", "-uall"], capture_output=True, text=True, check=True).stdout
    assert "g/keys.toml" in listed
    assert "g/keys/" not in listed
    assert "g/state/" not in listed


def test_private_keys_are_private_and_public_ones_parse(folder):
    for path in (folder / "keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "keys").stat().st_mode) == 0o700
    assert len(sf.Keys.load(folder / "keys.toml")) == 5


def test_nothing_is_written_over(invoke, folder):
    ran = invoke("init", folder)
    assert ran.code == 2
    assert "not empty" in ran.err


def test_allowed_denied_escalated_approved(invoke, folder, tmp_path):
    assert ask(invoke, folder, 500, "--conversation", "c")[0] == 0
    code, answer = ask(invoke, folder, 900_000, "--conversation", "c")
    assert (code, answer["reason"]) == (1, "no_permit")
    code, answer = ask(invoke, folder, 20_000, "--conversation", "c")
    assert (code, answer["decision"]) == (1, "escalate")
    approval = answer["approval"]
    listed = invoke("approvals", folder, "list", "--format", "json")
    assert [row["id"] for row in json.loads(listed.out)] == [approval]
    assert "refund" in invoke("approvals", folder, "list").out.decode()
    for number, state in ((1, "pending"), (2, "approved")):
        who = ["--key", folder / "keys" / f"approver-{number}.key", "--key-id", f"approver-{number}"]
        shown = json.loads(invoke("approvals", folder, "show", approval, *who).out)
        assert shown["args"] == {"cents": 20_000, "order": "o-1"}
        assert invoke("approvals", folder, "approve", approval, *who).out.decode().strip() == state
    permit, receipt = tmp_path / "permit.json", tmp_path / "receipt.tlog-proof"
    more = ["--conversation", "c", "--approval", approval, "--permit", permit, "--receipt", receipt]
    code, answer = ask(invoke, folder, 20_000, *more)
    assert (code, answer["decision"]) == (0, "allow"), answer
    keys = sf.Keys.load(folder / "keys.toml")
    statement = sf.verify_receipt(sf.Receipt.load(receipt), keys, inclusion=True)
    assert statement.predicate["approval"] == approval
    action = tmp_path / "action.json"
    verify = ["verify", receipt, "--keys", folder / "keys.toml", "--action", action]
    for cents, code in ((20_000, 0), (20_001, 1)):
        fields = {"tenant": "acme", "agent": "support-bot", "role": "support", "tool": "refund", "conversation": "c"}
        action.write_text(json.dumps(fields | {"args": {"order": "o-1", "cents": cents}}))
        assert invoke(*verify, "--opening", answer["opening"]).code == code
        by_key = invoke(*verify, "--opening-key", folder / "keys" / "receipt.key", "--format", "jsonl")
        assert (by_key.code, json.loads(by_key.out)["action"]) == (code, code == 0)
    assert invoke(*verify).code == 2
    assert invoke(*verify, "--opening", "x").code == 2
    assert len(json.loads(permit.read_bytes())["secret"]) == 64


def test_arguments_are_read_strictly(invoke, folder):
    for args in (
        '{"order": "a", "cents": 1, "cents": 2}',
        '{"order": "a", "cents": {"b": 1, "b": 1}}',
        '{"order": "a", "cents": NaN}',
        '{"order": "\\ud800", "cents": 1}',
        '{"order": "a", "cents": 9007199254740993}',
        "[" * 100_000,
        "[]",
        "[1",
        "",
        '{}, "role": "x"',
        '{}, "session": "x"',
        '{"order": "a", "cents": 1}, "session": "x"',
        '{"order": "a", "cents": 1}, "model": "m"',
    ):
        ran = invoke("authorize", folder, "--agent", "support-bot", "--tool", "refund", "--args", args)
        assert ran.code == 2, args
        assert "Traceback" not in ran.err


def test_an_agent_without_a_key(invoke, folder):
    ran = invoke("authorize", folder, "--agent", "nobody", "--tool", "refund")
    assert ran.code == 2
    assert "0 keys" in ran.err


def test_keygen_prints_an_entry_and_replaces_nothing(invoke, tmp_path):
    path = tmp_path / "bot.key"
    words = ["keygen", path, "--id", "bot-1", "--purpose", "agent", "--tenant", "acme", "--agent", "bot", "--role", "r"]
    nobody = invoke(*words)
    assert nobody.code == 2
    assert "--name" in nobody.err
    assert not path.exists()
    words += ["--name", "olga"]
    ran = invoke(*words)
    (entry,) = tomllib.loads(ran.out.decode())["key"]
    assert (entry["id"], entry["name"], entry["roles"], entry["algorithm"]) == ("bot-1", "olga", ["r"], "ed25519")
    assert sf.SigningKey.load(path, "bot-1", "k").public == entry["public"]
    assert len(sf.Keys(ran.out.decode())) == 1
    assert invoke(*words).code == 2
