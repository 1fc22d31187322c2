"""Signals are handled while the engine works, not after it.

A handler that runs only after a call has returned runs once, however often the signal came; one that runs
during the call runs as often as it is called for. So the number of runs says which it was, and no time is
measured.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import sift_fast as sf

# The slower engine, so that there is something to interrupt: about a second of work on this text.
LONG = "some plain words, nothing else " * 2_000_000


@pytest.fixture(scope="module")
def slow():
    return sf.Scanner("secrets", engine="automata")


class Interrupted(Exception):
    pass


@pytest.fixture
def ring():
    """A function that lets a signal come every 10 ms, and gives the list that its handler fills."""
    runs, stop = [], threading.Event()
    before = signal.getsignal(signal.SIGUSR1)
    threads = []

    def start(handler=lambda: None):
        def handle(*_):
            runs.append(1)
            handler()

        def send():
            while not stop.wait(0.01):
                os.kill(os.getpid(), signal.SIGUSR1)

        signal.signal(signal.SIGUSR1, handle)
        threads.append(threading.Thread(target=send))
        threads[0].start()
        return runs

    yield start
    stop.set()
    for thread in threads:
        thread.join()
    signal.signal(signal.SIGUSR1, before)


CALLS = {
    "scan": lambda scanner: scanner.scan(LONG),
    "scan bytes": lambda scanner: scanner.scan(LONG.encode()),
    "explain": lambda scanner: scanner.explain(LONG),
    "redact": lambda scanner: scanner.redact(LONG),
    "batch": lambda scanner: scanner.scan_batch([LONG[:1_000_000]] * 60, threads=1),
    "one document": lambda scanner: scanner.scan_batch([LONG], threads=2),
    "stream": lambda scanner: scanner.stream().feed(LONG),
}


@pytest.mark.parametrize("name", CALLS)
def test_handlers_run_during_the_call(slow, ring, name):
    runs = ring()
    CALLS[name](slow)
    assert len(runs) >= 2


@pytest.mark.parametrize("name", CALLS)
def test_what_a_handler_raises_ends_the_call(slow, ring, name):
    """Raised by the second run, which there is only if the first one ran during the call."""
    runs = []

    def handler():
        runs.append(1)
        if len(runs) == 2:
            raise Interrupted

    ring(handler)
    with pytest.raises(Interrupted):
        CALLS[name](slow)
    # What was left behind does not disturb what comes next.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    assert not slow.scan("short")
    assert not slow.scan_batch(["short"])[0]


def test_an_interrupted_stream_is_dead(slow, ring):
    runs = []

    def handler():
        runs.append(1)
        if len(runs) == 2:
            raise Interrupted

    ring(handler)
    stream = slow.stream()
    with pytest.raises(Interrupted):
        stream.feed(LONG)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    with pytest.raises(sf.SiftError, match="aborted or has failed"):
        stream.finish()


def test_control_c_in_a_program():
    """As a user has it: one Ctrl-C, one KeyboardInterrupt, a program that ends."""
    code = (
        "import sift_fast\n"
        "scanner = sift_fast.Scanner('secrets', engine='automata')\n"
        "text = 'some plain words, nothing else ' * 100_000\n"
        "print('ready', flush=True)\n"
        "try:\n"
        "    while True:\n"
        "        scanner.scan_batch([text] * 100)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-I", "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=60)
    assert out == "interrupted\n"
    assert child.returncode == 0
