"""A kernel in a process of its own: kills, restarts, other users, forks, and clients that share it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import sift_fast as sf
from sift_fast.cli.app import cli

#: How often the server is killed; more of it takes longer and finds more.
KILLS = int(os.environ.get("SIFT_SOCKET_KILLS", "8"))


class Served:
    """A governance folder, and the process that serves it."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.folder = folder
        assert CliRunner().invoke(cli, ["init", str(folder)]).exit_code == 0
        settings = folder / "kernel.toml"
        # Without skew there is nothing to wait for after a kill.
        settings.write_text(f'mode = "socket"\n{settings.read_text()}\n[request]\nskew_ms = 0\n{more}')
        budgets = folder / "budgets.toml"
        # Each kill loses what was drawn.
        budgets.write_text(budgets.read_text().replace("cap = 2_000\n", "cap = 2_000_000\n"))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def path(self) -> Path:
        return self.folder / "run" / "kernel.sock"

    def start(self) -> None:
        program = shutil.which("sift-fast", path=str(Path(sys.executable).parent))
        assert program, "the console script is not installed beside this interpreter: install the wheel"
        self.process = subprocess.Popen(
            [program, "serve", "--kernel", str(self.folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(b"kernel kernel.acme listens at"), self.process.stderr.read()

    def end(self, number: int) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.process.stdout.close()
        self.process.stderr.close()
        self.process = None
        return code

    def key(self, kernel: sf.Kernel) -> sf.SigningKey:
        return sf.SigningKey.load(self.folder / "keys" / "support-bot.key", "support-bot-1", kernel.audience)


@pytest.fixture
def served(tmp_path):
    one = Served(tmp_path / "g")
    one.start()
    yield one
    if one.process is not None:
        one.end(signal.SIGKILL)


def wanted(**fields):
    base = {"tenant": "acme", "agent": "support-bot", "role": "support", "tool": "read_order", "args": {"order": "o"}}
    return sf.ActionRequest(**(base | fields))


def test_twenty_identical_requests_of_several_clients_get_one_permit(served, at_once):
    clients = [sf.Kernel.open(served.folder), sf.Kernel.connect(served.path, connections=4)]
    signed, credential = sf.sign_request(wanted(), served.key(clients[0]))

    def one(number):
        auth = clients[number % 2].authorize(signed, credential)
        auth.durable_sync()
        return auth.decision, auth.reason, auth.permit is not None

    assert sorted(at_once(20, one)) == [("allow", "allowed", True)] + [("deny", "replayed", False)] * 19


def test_loops_in_threads_wait_side_by_side(served, at_once):
    kernel = sf.Kernel.open(served.folder)
    key = served.key(kernel)

    def run(_number):
        async def many():
            auths = [kernel.authorize(*sf.sign_request(wanted(), key)) for _ in range(40)]
            await asyncio.gather(*(auth.durable() for auth in auths))
            return [auth.permit for auth in auths]

        return asyncio.run(many())

    permits = [permit for part in at_once(8, run) for permit in part]
    assert None not in permits
    assert len(set(permits)) == 320


class Asking:
    """Threads that ask and wait for permits, whatever happens to the server, and what they were told."""

    def __init__(self, kernel: sf.Kernel, key: sf.SigningKey) -> None:
        self.kernel = kernel
        self.key = key
        self.acknowledged: list[tuple[sf.ActionRequest, sf.Credential, sf.Authorization]] = []
        self.denied: set[tuple[str, str]] = set()
        self.over = threading.Event()
        self.went_on = threading.Semaphore(0)
        self.threads = [threading.Thread(target=self.work) for _ in range(3)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    def work(self) -> None:
        while not self.over.is_set():
            signed, credential = sf.sign_request(wanted(), self.key)
            auth = self.kernel.authorize(signed, credential)
            if not auth.allowed:
                self.denied.add((auth.status, auth.reason))
                time.sleep(0.01)
                continue
            try:
                auth.durable_sync()
            except sf.StateUnavailable:
                assert auth.permit is None
                continue
            self.acknowledged.append((signed, credential, auth))
            self.went_on.release()

    def go_on(self, count: int) -> None:
        """Wait for so many more permits."""
        for _ in range(count):
            assert self.went_on.acquire(timeout=60), "nothing was allowed any more"


def test_kills_lose_nothing_that_was_acknowledged_and_let_nothing_come_twice(tmp_path):
    """The server is killed at random moments while clients go on asking and waiting."""
    served = Served(tmp_path / "g")
    served.start()
    kernel = sf.Kernel.open(served.folder)
    moments = random.Random(20)
    with Asking(kernel, served.key(kernel)) as asking:
        for _ in range(KILLS):
            asking.go_on(moments.randrange(1, 200))
            served.end(signal.SIGKILL)
            served.start()
            for signed, credential, _ in asking.acknowledged[-50:]:
                assert kernel.authorize(signed, credential).reason in {"replayed", "issued_before_start"}
        asking.go_on(1)
    # A kernel that is away is an error and no decision about the action; a fresh one refuses what is older than it.
    assert asking.denied <= {("error", "kernel_unavailable"), ("ok", "issued_before_start")}
    keys = sf.Keys.load(served.folder / "keys.toml")
    for signed, _, auth in asking.acknowledged:
        statement = sf.verify_receipt(kernel.receipt(auth), keys, inclusion=True)
        assert statement.request_id == signed.request_id
    register = sf.PermitRegister(tmp_path / "permits")
    for signed, _, auth in asking.acknowledged[-50:]:
        sf.verify_permit(auth.permit, signed, keys, register=register)
        with pytest.raises(sf.InvalidReceipt, match="used before"):
            sf.verify_permit(auth.permit, signed, keys, register=register)
    assert served.end(signal.SIGTERM) == 0


def test_a_server_that_is_stopped_gives_back_what_it_has(served):
    kernel = sf.Kernel.open(served.folder)
    key = served.key(kernel)
    session = sf.SessionGrant(tenant="acme", agent="support-bot", roles=["support"])
    grant = sf.sign_grant(session, key)
    inside = wanted(session=kernel.open_session(grant).id)
    settled = kernel.settle(kernel.authorize(*sf.sign_request(wanted(), key)).lease)
    assert settled.state == "settled"
    kernel.revoke(key="support-bot-1")
    assert served.end(signal.SIGTERM) == 0
    assert not served.path.exists()
    auth = kernel.authorize(*sf.sign_request(wanted(), key))
    assert (auth.decision, auth.status, auth.reason) == ("deny", "error", "kernel_unavailable")
    with pytest.raises(sf.StateUnavailable):
        kernel.open_session(grant)
    with pytest.raises(sf.StateUnavailable, match=r"kernel\.sock"):
        sf.Kernel.open(served.folder)
    served.start()
    assert kernel.authorize(*sf.sign_request(wanted(), key)).reason == "key_revoked"
    kernel.reinstate(key="support-bot-1")
    assert kernel.authorize(*sf.sign_request(wanted(), key)).allowed
    # Sessions are memory: they are opened again with the grant that was signed for them.
    assert kernel.authorize(*sf.sign_request(inside, key)).reason == "unknown_session"
    mac = kernel.open_session(grant).mac(inside)
    assert kernel.authorize(inside, mac).allowed


def test_policies_are_read_again_at_a_signal(served):
    kernel = sf.Kernel.open(served.folder)
    key = served.key(kernel)
    (served.folder / "policy" / "more.cedar").write_text("not a policy")
    served.process.send_signal(signal.SIGHUP)
    assert b"not reloaded" in served.process.stderr.readline()
    assert kernel.authorize(*sf.sign_request(wanted(), key)).allowed
    (served.folder / "policy" / "more.cedar").write_text('@id("stop") forbid (principal, action, resource);')
    served.process.send_signal(signal.SIGHUP)
    assert b"read again" in served.process.stdout.readline()
    assert kernel.authorize(*sf.sign_request(wanted(), key)).reason == "forbidden"


def test_a_second_server_is_told_who_the_first_is(served):
    ran = CliRunner().invoke(cli, ["serve", "--kernel", str(served.folder)])
    assert ran.exit_code == 2
    assert f"process {served.process.pid}" in ran.output


def test_the_command_line_works_with_a_kernel_that_is_served(served):
    words = ["--agent", "support-bot", "--tool", "read_order", "--args", '{"order": "o"}']
    ran = CliRunner().invoke(cli, ["authorize", str(served.folder), *words])
    assert json.loads(ran.output)["decision"] == "allow"
    assert CliRunner().invoke(cli, ["approvals", str(served.folder), "list"]).output == "nothing waits\n"


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_is_refused(served):
    """Parent and child would read each other's answers."""
    kernel = sf.Kernel.open(served.folder)
    signed, credential = sf.sign_request(wanted(), served.key(kernel))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            auth = kernel.authorize(signed, credential)
            try:
                kernel.settle("x")
            except sf.StateUnavailable as error:
                code = 0 if auth.status == "error" and "forked" in str(error) else 2
            del auth, kernel
            # After the fork it connects like anybody.
            if not sf.Kernel.open(served.folder).audience:
                code = 3
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert kernel.authorize(signed, credential).allowed


def test_garbage_does_not_disturb_others(served):
    kernel = sf.Kernel.open(served.folder)
    key = served.key(kernel)
    noise = random.Random(5)
    peers = []
    for number in range(30):
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(str(served.path))
        peer.sendall(noise.randbytes(noise.randrange(1, 3_000)) if number % 3 else b"\x1d\0")
        peers.append(peer)
        assert kernel.authorize(*sf.sign_request(wanted(), key)).allowed
    for peer in peers:
        peer.close()
    assert kernel.authorize(*sf.sign_request(wanted(), key)).allowed


def asked_as(user, path):
    """What a process of another user is told. Forked, since that user may not be able to read this interpreter."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = {}
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            try:
                kernel = sf.Kernel.connect(path)
            except sf.SiftError as error:
                said["connect"] = type(error).__name__
            else:
                said["authorize"] = kernel.authorize(wanted(), sf.trusted_credential(kernel.audience)).reason
                try:
                    kernel.revoke(tenant="acme")
                except sf.SiftError as error:
                    said["revoke"] = type(error).__name__
            os.write(writing, json.dumps(said).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        said = json.load(stream)
    os.waitpid(child, 0)
    return said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("peers", "said"),
    [
        # The socket is the kernel's user's alone.
        ({}, {"connect": "StateUnavailable"}),
        ({64001: '["act"]'}, {"authorize": "process_not_trusted", "revoke": "ConfigError"}),
        ({64001: '["observe"]'}, {"authorize": "peer_not_allowed", "revoke": "ConfigError"}),
        ({64001: '["revoke"]'}, {"authorize": "peer_not_allowed"}),
        # The file lets it in, the list does not.
        ({64002: '["act"]'}, {"connect": "ConfigError"}),
    ],
)
def test_users_are_told_apart(peers, said):
    with tempfile.TemporaryDirectory() as base:
        # The other user must reach the socket.
        Path(base).chmod(0o711)
        more = "".join(f"[[socket.peer]]\nuser = {user}\nallow = {allow}\n" for user, allow in peers.items())
        served = Served(Path(base) / "g", more)
        served.start()
        try:
            assert asked_as(64001, served.path) == said
        finally:
            served.end(signal.SIGTERM)


def test_a_folder_that_others_may_change_is_no_place(served):
    """Anybody could put a kernel of his own there."""
    kernel = sf.Kernel.open(served.folder)
    served.path.parent.chmod(0o777)
    with pytest.raises(sf.ConfigError, match="others may write"):
        sf.Kernel.open(served.folder)
    served.end(signal.SIGTERM)
    ran = CliRunner().invoke(cli, ["serve", "--kernel", str(served.folder)])
    assert ran.exit_code == 2
    assert "others may write" in ran.output
    assert kernel.authorize(*sf.sign_request(wanted(), served.key(kernel))).status == "error"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_somebody_else_at_the_socket_is_not_believed(served):
    os.chown(served.path, 64001, 64001)
    with pytest.raises(sf.StateUnavailable, match="that is not the kernel"):
        sf.Kernel.open(served.folder)


def test_a_scanner_is_the_kernels_own_concern(served):
    with pytest.raises(sf.ConfigError, match="leave `scanner` out"):
        sf.Kernel.open(served.folder, scanner=sf.Scanner(rules=["secrets"]))


@pytest.mark.parametrize("bounds", [{"timeout": 0}, {"timeout": -1.0}, {"timeout": float("nan")}, {"connections": 0}])
def test_bounds_of_a_client_are_checked(served, bounds):
    with pytest.raises(sf.ConfigError):
        sf.Kernel.connect(served.path, **bounds)
