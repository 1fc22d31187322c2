"""`scan_async` and `redact_stream`: the same answers, and nothing let go when something goes wrong."""

from __future__ import annotations

import asyncio
import threading

import pytest

import sift_fast as sf


class Source:
    """An asynchronous iterator that notes whether it was closed."""

    def __init__(self, pieces, fault=None):
        self.pieces = iter(pieces)
        self.fault = fault
        self.closed = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        for piece in self.pieces:
            return piece
        if self.fault:
            raise self.fault
        raise StopAsyncIteration

    async def aclose(self):
        self.closed = True


def collect(pieces):
    async def gather():
        return [piece async for piece in pieces]

    return asyncio.run(gather())


class TestScan:
    @pytest.mark.parametrize("length", [10, 70_000, 1_500_000])
    @pytest.mark.parametrize(
        "kind", [str, str.encode, lambda s: bytearray(s.encode()), lambda s: memoryview(s.encode())]
    )
    def test_it_answers_as_scan_does(self, scanner, token, length, kind):
        text = kind("x " * (length // 2) + token)
        assert asyncio.run(scanner.scan_async(text)) == scanner.scan(text)

    def test_short_texts_stay_on_the_loop(self, scanner):
        """Without a single switch to another task: the coroutine ends at its first step."""
        coroutine = scanner.scan_async("short")
        with pytest.raises(StopIteration) as done:
            coroutine.send(None)
        assert done.value.value is scanner.scan("short")

    def test_long_texts_leave_the_loop_free(self, scanner):
        async def main():
            ticks = 0
            task = asyncio.create_task(scanner.scan_async("some words " * 2_000_000))
            while not task.done():
                ticks += 1
                await asyncio.sleep(0)
            return ticks, await task

        ticks, found = asyncio.run(main())
        assert ticks > 1
        assert not found

    def test_a_buffer_may_be_written_to_afterwards(self, scanner, token):
        async def main():
            text = bytearray(b"x " * 50_000 + token.encode())
            task = asyncio.create_task(scanner.scan_async(text))
            await asyncio.sleep(0)
            text[:] = b" " * len(text)
            return await task

        assert len(asyncio.run(main())) == 1

    def test_cancelling_gives_up_waiting(self, scanner):
        async def main():
            task = asyncio.create_task(scanner.scan_async("some words " * 2_000_000))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await scanner.scan_async("still works")

        assert not asyncio.run(main())

    def test_what_is_no_text_is_told(self, scanner):
        for wrong in (None, 3, ["a"]):
            with pytest.raises(TypeError, match="scan takes"):
                asyncio.run(scanner.scan_async(wrong))

    def test_limits_reach_the_caller(self):
        scanner = sf.Scanner("leak", limits=sf.Limits(text_bytes=100_000))
        with pytest.raises(sf.LimitExceeded):
            asyncio.run(scanner.scan_async("x" * 200_000))


class TestRedactStream:
    def test_it_answers_as_redact_does(self, scanner, tokens):
        text = "é " + " \ud800 ".join(tokens[:3]) + " end"
        pieces = [text[i : i + 5] for i in range(0, len(text), 5)]
        assert "".join(collect(scanner.redact_stream(Source(pieces)))) == scanner.redact(text).text
        assert "".join(collect(scanner.redact_stream(pieces))) == scanner.redact(text).text
        assert (
            "".join(collect(scanner.redact_stream(iter(pieces), sf.Remove()))) == scanner.redact(text, sf.Remove()).text
        )
        raw = text.encode("utf-8", "surrogatepass")
        assert b"".join(collect(scanner.redact_stream([raw[:9], raw[9:]]))) == scanner.redact(raw).text

    def test_no_piece_is_empty(self, scanner, token):
        assert all(collect(scanner.redact_stream(list(f"a {token} b"))))
        assert collect(scanner.redact_stream([])) == []
        assert collect(scanner.redact_stream(["", ""])) == []

    def test_operators_are_checked_by_the_call(self, scanner):
        with pytest.raises(sf.ConfigError, match="NOPE"):
            scanner.redact_stream([], {"NOPE": sf.Remove()})

    def test_a_source_is_closed_at_the_end(self, scanner):
        source = Source(["a"])
        collect(scanner.redact_stream(source))
        assert source.closed

    def test_a_source_that_raises(self, scanner, token):
        """What was certain is out; what was held is gone, and the error is the source's."""
        source = Source(["clean ", token[:20]], fault=OSError("lost"))
        out = []

        async def main():
            async for piece in scanner.redact_stream(source):
                out.append(piece)

        with pytest.raises(OSError, match="lost"):
            asyncio.run(main())
        assert "".join(out) == "clean "
        assert source.closed

    def test_closing_early(self, scanner, token):
        source = Source(["clean ", token[:20], token[20:], " more"])

        async def main():
            pieces = scanner.redact_stream(source)
            first = await anext(pieces)
            await pieces.aclose()
            with pytest.raises(StopAsyncIteration):
                await anext(pieces)
            return first

        assert asyncio.run(main()) == "clean "
        assert source.closed

    def test_cancellation(self, scanner, token):
        """The source hangs with half a token held; the task is cancelled; the half is never seen."""
        out, source = [], Source([])

        async def hang(_):
            if not out:
                out.append("begun")
                return f"clean {token[:20]}"
            await asyncio.Event().wait()
            raise AssertionError

        source.__class__ = type("Hanging", (Source,), {"__anext__": hang})

        async def consume():
            async for piece in scanner.redact_stream(source):
                out.append(piece)

        async def main():
            task = asyncio.create_task(consume())
            for _ in range(5):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        assert out == ["begun", "clean "]
        assert source.closed

    def test_a_wrong_piece(self, scanner):
        with pytest.raises(TypeError):
            collect(scanner.redact_stream(["a", None]))
        with pytest.raises(sf.SiftError, match="either str or bytes"):
            collect(scanner.redact_stream(["a", b"b"]))

    def test_many_streams_of_one_scanner(self, scanner, tokens):
        async def one(number):
            text = f"{number} {tokens[number]} end"
            return "".join([p async for p in scanner.redact_stream(Source(list(text)))]), scanner.redact(text).text

        async def main():
            return await asyncio.gather(*(one(number) for number in range(20)))

        assert all(out == wanted for out, wanted in asyncio.run(main()))


def test_no_thread_is_left(scanner):
    before = threading.active_count()
    asyncio.run(scanner.scan_async("words " * 500_000))
    assert threading.active_count() == before
