"""One scanner, many threads: the same answers as alone, and streams that refuse a second hand."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import sift_fast as sf


def work(scanner, tokens, seed):
    """Everything a scanner does, on texts that are this thread's own."""
    out = []
    for number in range(60):
        token = tokens[(seed * 7 + number) % len(tokens)]
        # From below to above where the GIL is released.
        text = f"é {seed} {number} {token} " + "filler " * (number * 30)
        out.append([(f.rule_id, text[f.start : f.end]) for f in scanner.scan(text)])
        out.append(scanner.redact(text, sf.Replace(f"[{seed}]")).text)
        out.append([x.rule_id for x in scanner.explain(text.encode())])
        stream = scanner.stream()
        half = len(text) // 2
        out.append(stream.feed(text[:half]) + stream.feed(text[half:]) + stream.finish())
        if number % 20 == 0:
            batch = scanner.scan_batch([text] * 300, threads=2)
            out.append([len(batch[i]) for i in range(300)])
    return out


def test_eight_threads_share_a_scanner(tokens):
    """A new one, so that what is built lazily is built by several at once."""
    wanted = [work(sf.Scanner(), tokens, seed) for seed in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        scanner = sf.Scanner()
        barrier = threading.Barrier(8)

        def run(seed):
            barrier.wait()
            return work(scanner, tokens, seed)

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(run, range(8))) == wanted
    finally:
        sys.setswitchinterval(interval)


def test_findings_are_shared_between_threads(scanner, tokens):
    found = scanner.scan(" ".join(tokens))
    with ThreadPoolExecutor(8) as pool:
        lists = list(pool.map(lambda _: [hash(f) for f in found], range(64)))
    assert all(one == lists[0] for one in lists)


def test_an_iterator_may_be_shared(scanner, tokens):
    """Each finding comes once, whoever takes it."""
    text = " ".join(tokens)
    iterator = iter(scanner.scan(text))
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda _: list(iterator), range(4)))
    assert sorted(f.start for part in parts for f in part) == [f.start for f in scanner.scan(text)]


def test_a_stream_is_for_one_thread_at_a_time(scanner):
    """The second thread gets an error at once, and the stream goes on as if nothing had been."""
    stream = scanner.stream()
    piece = "some plain words " * 300_000
    feeding, out, refused = threading.Event(), [], []

    def feed():
        feeding.set()
        out.append(stream.feed(piece))

    thread = threading.Thread(target=feed)
    thread.start()
    feeding.wait()
    while thread.is_alive():
        try:
            stream.held  # noqa: B018 -- looking is refused as well while it is fed
        except sf.SiftError as error:
            refused.append(str(error))
            break
    for call in (lambda: stream.feed("x"), stream.finish, stream.abort):
        if thread.is_alive():
            try:
                call()
            except sf.SiftError as error:
                refused.append(str(error))
            else:
                pytest.skip("the piece was through before a second thread could come")
    thread.join()
    if not refused:
        pytest.skip("the piece was through before a second thread could come")
    assert all("in use by another thread" in message for message in refused)
    assert out[0] + stream.finish() == piece


def test_a_buffer_that_is_written_to_meanwhile_is_scanned_as_it_was(scanner, tokens):
    """Mutable memory is copied before the GIL is let go of: a writer cannot tear a scan."""
    token = tokens[0].encode()
    clean = b"x " * 50_000
    dirty = clean + token
    buffer = bytearray(dirty)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            buffer[-len(token) :] = b" " * len(token)
            buffer[-len(token) :] = token

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(300):
            for text in (buffer, memoryview(buffer), memoryview(buffer).toreadonly()):
                found = scanner.scan(text)
                assert [(f.start, f.end) for f in found] in ([], [(len(clean), len(dirty))])
    finally:
        stop.set()
        thread.join()
