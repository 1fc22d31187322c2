"""The kernel under threads and forks: one permit of twenty, budgets that hold, children that are refused."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path

import pytest
import uvloop
from click.testing import CliRunner

import sift_fast as sf
from sift_fast.cli.app import cli


@pytest.fixture
def opened(tmp_path):
    """A kernel and its agent's key."""
    folder = tmp_path / "g"
    assert CliRunner().invoke(cli, ["init", str(folder)]).exit_code == 0
    with sf.Kernel.open(folder) as kernel:
        yield kernel, sf.SigningKey.load(folder / "keys" / "support-bot.key", "support-bot-1", kernel.audience)


def refund(cents, conversation="c1"):
    return sf.ActionRequest(
        tenant="acme",
        agent="support-bot",
        role="support",
        tool="refund",
        args={"order": "o-1", "cents": cents},
        conversation=conversation,
    )


def test_twenty_identical_requests_get_one_permit(opened, at_once):
    kernel, key = opened
    signed, credential = sf.sign_request(refund(100), key)

    def one(_number):
        auth = kernel.authorize(signed, credential)
        auth.durable_sync()
        return auth.decision, auth.reason, auth.permit is not None

    results = at_once(20, one)
    assert sorted(results) == [("allow", "allowed", True)] + [("deny", "replayed", False)] * 19


def test_racing_refunds_stay_within_the_budget(opened, at_once):
    """100 refunds of 50 dollars race for a cap of 500 in one conversation: exactly 10 pass."""
    kernel, key = opened
    signed = [sf.sign_request(refund(5_000), key) for _ in range(100)]

    def ten(number):
        return [kernel.authorize(*pair).reason for pair in signed[number * 10 : number * 10 + 10]]

    reasons = [reason for part in at_once(10, ten) for reason in part]
    assert reasons.count("allowed") == 10
    assert reasons.count("budget_exceeded") == 90


def test_racing_endings_of_one_lease_agree(opened, at_once):
    kernel, key = opened
    lease = kernel.authorize(*sf.sign_request(refund(100), key)).lease

    def end(number):
        try:
            return (kernel.settle(lease) if number % 2 else kernel.cancel(lease)).state
        except sf.LeaseConflict:
            return "conflict"

    states = at_once(20, end)
    assert states.count("conflict") == 10
    assert len(set(states)) == 2


def test_loops_in_threads_wait_side_by_side(opened, at_once):
    kernel, key = opened

    def run(number):
        async def many():
            auths = [kernel.authorize(*sf.sign_request(refund(1, f"c{number}"), key)) for _ in range(10)]
            await asyncio.gather(*(auth.durable() for auth in auths))
            return [auth.permit is not None for auth in auths]

        return asyncio.run(many())

    assert all(all(part) for part in at_once(8, run))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_who_gives_up_waiting_keeps_nobody_from_it(opened, run):
    kernel, key = opened

    async def many():
        auths = [kernel.authorize(*sf.sign_request(refund(1), key)) for _ in range(20)]
        tasks = [asyncio.ensure_future(auth.durable()) for auth in auths]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        # The same receipts, asked for again by those who gave up, and once more by those who have them.
        again = await asyncio.gather(*(auth.durable() for auth in auths))
        return found, again

    for _ in range(5):
        found, again = run(many())
        assert all(isinstance(one, sf.Receipt) for one in found[1::2])
        assert all(isinstance(one, sf.Receipt | asyncio.CancelledError) for one in found[::2])
        assert all(isinstance(one, sf.Receipt) for one in again)


def test_a_loop_that_ends_before_its_receipt_leaves_nothing(opened):
    kernel, key = opened
    descriptors = len(list(Path("/proc/self/fd").iterdir()))

    async def begun():
        auth = kernel.authorize(*sf.sign_request(refund(1), key))
        waiting = asyncio.ensure_future(auth.durable())
        await asyncio.sleep(0)
        return auth, waiting

    for _ in range(30):
        auth, waiting = asyncio.run(begun())
        # The end of a loop cancels who still waits.
        assert waiting.done()
    del waiting
    gc.collect()
    assert auth.durable_sync() is not None
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors + 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_is_refused(opened):
    """Parent and child would both grant what is left of a budget."""
    kernel, key = opened
    signed, credential = sf.sign_request(refund(1), key)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            auth = kernel.authorize(signed, credential)
            refused = (auth.decision, auth.status) == ("deny", "error")
            try:
                kernel.settle("x")
            except sf.StateUnavailable as error:
                code = 0 if refused and "forked" in str(error) else 2
            # What a child drops must not wait for threads that it does not have.
            del auth, kernel
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert kernel.authorize(signed, credential).allowed
