"""Processes: a scanner works before and after a fork, and other interpreters are refused."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
import threading

import pytest

import sift_fast as sf

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def answers(scanner, text):
    """Everything that uses pools or threads."""
    stream = scanner.stream()
    batch = scanner.scan_batch([text] * 2000, threads=2)
    return (
        scanner.scan(text),
        scanner.scan(text * 200),
        scanner.redact(text, sf.Mask()).text,
        stream.feed(text) + stream.finish(),
        batch[1999],
        scanner.scan("words " * 300_000),
    )


def in_child(call):
    """Runs `call` in a forked child and gives what it returned."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(read)
            with os.fdopen(write, "wb") as pipe:
                pickle.dump(call(), pipe)
            code = 0
        finally:
            # The child must not run what the test runner has yet to do.
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        data = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return pickle.loads(data)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
class TestFork:
    def test_a_used_scanner_works_in_the_child(self, tokens):
        scanner = sf.Scanner()
        text = "é " + " ".join(tokens[:3]) + " "
        wanted = answers(scanner, text)
        assert in_child(lambda: answers(scanner, text)) == wanted
        assert answers(scanner, text) == wanted

    def test_a_new_scanner_works_in_the_child(self, tokens):
        scanner = sf.Scanner()
        text = " ".join(tokens[:3])
        assert in_child(lambda: answers(scanner, text)) == answers(scanner, text)

    def test_a_fork_while_other_threads_scan(self, tokens):
        """What the others hold at that moment must not be waited for in the child."""
        scanner = sf.Scanner()
        text = " ".join(tokens[:5]) + " words" * 5000
        wanted = answers(scanner, text)
        stop = threading.Event()

        def scan():
            while not stop.is_set():
                scanner.scan(text)
                scanner.redact(text, sf.Remove())

        threads = [threading.Thread(target=scan) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                assert in_child(lambda: answers(scanner, text)) == wanted
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def test_an_open_stream_goes_on_in_both(self, scanner, tokens):
        text = f"é {tokens[0]} and {tokens[1]} end"
        wanted = scanner.redact(text).text
        stream = scanner.stream()
        out = stream.feed(text[:25])
        assert in_child(lambda: out + stream.feed(text[25:]) + stream.finish()) == wanted
        assert out + stream.feed(text[25:]) + stream.finish() == wanted

    def test_multiprocessing(self, scanner, tokens):
        """The usual way: a scanner made by the parent, inherited by the workers."""
        INHERITED.append(scanner)
        texts = [f"{number} {token}" for number, token in enumerate(tokens)]
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(scan_inherited, texts) == [scanner.scan(text) for text in texts]


INHERITED: list[sf.Scanner] = []


def scan_inherited(text):
    return INHERITED[-1].scan(text)


def run(code):
    # Away from the source tree: what is tested is what is installed.
    return subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the module has another name and other rules there")
def test_a_second_interpreter_is_refused():
    """Nothing is tested there, so nothing is promised there: the import says so."""
    done = run(
        "import sift_fast, _xxsubinterpreters as si\n"
        "interpreter = si.create()\n"
        "try:\n"
        "    si.run_string(interpreter, 'import sift_fast')\n"
        "except si.RunFailedError as error:\n"
        "    print('refused:', 'subinterpreter' in str(error))\n"
        "print(len(sift_fast.Scanner().scan('x')))\n"
    )
    assert (done.returncode, done.stdout.split()) == (0, ["refused:", "True", "0"]), done.stderr


def test_leaving_with_work_under_way():
    """The interpreter ends while threads scan: no crash, no hang."""
    done = run(
        "import sift_fast, threading\n"
        "scanner = sift_fast.Scanner()\n"
        "text = 'some words ' * 3_000_000\n"
        "threading.Thread(target=scanner.scan, args=(text,), daemon=True).start()\n"
        "threading.Thread(target=scanner.scan_batch, args=([text] * 3,), daemon=True).start()\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
