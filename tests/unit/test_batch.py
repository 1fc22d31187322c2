"""`scan_batch`: each document as `scan` would have it, in order, from lists and from Arrow."""

from __future__ import annotations

import pyarrow as pa
import pytest

import sift_fast as sf


@pytest.fixture(scope="module")
def texts(tokens):
    """Documents of all sizes, most without findings, above what is scanned on the calling thread."""
    docs = []
    for number in range(1500):
        filler = f"é document {number} " * (number % 17)
        docs.append(filler + (f"{tokens[number % 40]} and {tokens[number % 7]} ü" if number % 5 == 0 else ""))
    assert sum(map(len, docs)) > 100_000
    return docs


@pytest.fixture(scope="module")
def wanted(scanner, texts):
    return [scanner.scan(text) for text in texts]


def check(batch, wanted, unit="codepoint"):
    assert len(batch) == len(wanted)
    assert batch.unit == unit
    assert [batch[i] for i in range(len(batch))] == wanted
    docs = [doc for doc, found in enumerate(wanted) for _ in found]
    columns = batch.columns()
    assert columns["doc"].tolist() == docs
    assert columns["start"].tolist() == [f.start for found in wanted for f in found]
    assert columns["end"].tolist() == [f.end for found in wanted for f in found]


@pytest.mark.parametrize("threads", [None, 1, 2, 3, 16])
def test_each_document_is_scanned_as_alone(scanner, texts, wanted, threads):
    check(scanner.scan_batch(texts, threads=threads), wanted)


@pytest.mark.parametrize("size", [0, 1, 2, 30])
def test_small_batches(scanner, texts, wanted, size):
    check(scanner.scan_batch(texts[:size]), wanted[:size])


@pytest.mark.parametrize("kind", [tuple, iter, lambda x: (t for t in x), lambda x: dict.fromkeys(x).keys()])
def test_any_iterable(scanner, texts, wanted, kind):
    unique = list(dict.fromkeys(texts))
    check(scanner.scan_batch(kind(unique)), [scanner.scan(text) for text in unique])


def test_binary_documents(scanner, texts):
    raw = [text.encode() for text in texts]
    wanted = [scanner.scan(text) for text in raw]
    check(scanner.scan_batch(raw), wanted, "byte")
    check(
        scanner.scan_batch([bytearray(raw[0]), memoryview(raw[5]), raw[10]]), [wanted[0], wanted[5], wanted[10]], "byte"
    )


def test_lone_surrogates(scanner, token):
    text = f"\ud800é {token}"
    check(scanner.scan_batch([text, "a"]), [scanner.scan(text), scanner.scan("a")])


def test_nothing_is_no_document(scanner, token):
    batch = scanner.scan_batch([None, token, None])
    assert [len(batch[i]) for i in range(3)] == [0, 1, 0]


def test_iteration_and_indices(scanner, token):
    batch = scanner.scan_batch(["", token, ""])
    assert [len(found) for found in batch] == [0, 1, 0]
    assert batch[-2] == batch[1]
    assert batch[0] is batch[2] is scanner.scan("")
    for outside in (3, -4):
        with pytest.raises(IndexError, match="there are 3 documents"):
            batch[outside]
    assert repr(batch) == "Batch(3 documents, 1 found)"


def test_what_is_refused(scanner):
    for single in ("text", b"text", bytearray(b"x"), memoryview(b"x")):
        with pytest.raises(TypeError, match="single one"):
            scanner.scan_batch(single)
    with pytest.raises(TypeError, match="document 1"):
        scanner.scan_batch(["a", b"b"])
    with pytest.raises(TypeError, match="document 2"):
        scanner.scan_batch(["a", "b", 3])
    with pytest.raises(TypeError):
        scanner.scan_batch(3)
    for threads in (0, -1, 5000):
        with pytest.raises(sf.ConfigError, match="threads"):
            scanner.scan_batch([], threads=threads)


def test_an_iterable_that_raises(scanner):
    def texts():
        yield "a"
        raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        scanner.scan_batch(texts())


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_document_that_is_too_long_is_named(texts, threads):
    scanner = sf.Scanner("secrets", limits=sf.Limits(text_bytes=10_000))
    for places in ((700,), (1400, 3), (1200, 1201, 1202)):
        docs = list(texts)
        for place in places:
            docs[place] = "x" * 10_001
        with pytest.raises(sf.LimitExceeded, match=f"document {min(places)}: ") as caught:
            scanner.scan_batch(docs, threads=threads)
        assert "10001" in str(caught.value)


def test_limits_that_were_hit_are_told(tokens):
    scanner = sf.Scanner("secrets", limits=sf.Limits(findings=1))
    batch = scanner.scan_batch(["clean", " ".join(tokens[:3]), tokens[0]])
    assert [batch[i].incomplete for i in range(3)] == [(), ("findings",), ()]
    assert batch.incomplete == ("findings",)
    assert scanner.scan_batch(["clean"]).incomplete == ()


def nested(chunks, kind):
    return pa.chunked_array([pa.array(chunk, kind) for chunk in chunks], kind)


class TestArrow:
    @pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
    @pytest.mark.parametrize("shape", ["array", "slice", "chunked", "dictionary"])
    def test_strings(self, scanner, texts, wanted, kind, shape):
        array = pa.array(texts, kind)
        if shape == "slice":
            array, wanted = array[37:1400], wanted[37:1400]
        elif shape == "chunked":
            array = nested([texts[:10], [], texts[10:700], texts[700:]], kind)
        elif shape == "dictionary":
            if kind == pa.string_view():
                pytest.skip("pyarrow does not encode views")
            array = array.dictionary_encode()
        check(scanner.scan_batch(array, threads=2), wanted)

    @pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
    def test_binaries(self, scanner, texts, kind):
        raw = [text.encode() for text in texts]
        check(scanner.scan_batch(pa.array(raw, kind)), [scanner.scan(text) for text in raw], "byte")

    def test_fixed_width(self, scanner, tokens):
        raw = [token.encode() for token in tokens]
        array = pa.array([*raw, None], pa.binary(len(raw[0])))[3:]
        check(scanner.scan_batch(array), [*(scanner.scan(r) for r in raw[3:]), scanner.scan(b"")], "byte")

    @pytest.mark.parametrize(
        "index",
        [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()],
        ids=str,
    )
    def test_dictionaries(self, scanner, tokens, index):
        array = pa.DictionaryArray.from_arrays(
            pa.array([2, None, 0, 1, 2, 3], index), pa.array([tokens[0], f"é {tokens[1]}", "clean", None])
        )[1:]
        texts = ["", tokens[0], f"é {tokens[1]}", "clean", ""]
        check(scanner.scan_batch(array), [scanner.scan(text) for text in texts])

    @pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
    def test_nulls_have_no_findings(self, scanner, tokens, kind):
        array = pa.array([None, tokens[0], None, "x" * 30, tokens[1], None], kind)
        for one in (array, array[1:5], pa.chunked_array([array, array])):
            batch = scanner.scan_batch(one)
            assert [len(batch[i]) for i in range(len(one))] == [1 if t in tokens else 0 for t in one.to_pylist()]

    def test_a_column_of_nulls_and_empty_columns(self, scanner):
        assert len(scanner.scan_batch(pa.nulls(5))) == 5
        for kind in (
            pa.string(),
            pa.large_string(),
            pa.string_view(),
            pa.binary(),
            pa.dictionary(pa.int8(), pa.string()),
        ):
            assert len(scanner.scan_batch(pa.array([], kind))) == 0
            assert len(scanner.scan_batch(pa.chunked_array([], kind))) == 0

    def test_what_is_refused(self, scanner):
        table = pa.table({"a": ["x"], "b": ["y"]})
        for wrong, word in (
            (table, "a table"),
            (table.to_batches()[0], "a table"),
            (pa.array([1, 2]), "another type"),
            (pa.array([["x"]]), "another type"),
            (
                pa.array(["a", "a"]).dictionary_encode().cast(pa.dictionary(pa.int32(), pa.string())).indices,
                "another type",
            ),
        ):
            with pytest.raises(TypeError, match=word):
                scanner.scan_batch(wrong)
        check(scanner.scan_batch(table["a"]), [scanner.scan("x")])

    def test_a_capsule_is_read_once(self, scanner):
        """An exporter that gives out the same capsules twice must not make us free memory twice."""

        class Once:
            def __init__(self, array):
                self.pair = array.__arrow_c_array__()

            def __arrow_c_array__(self, requested_schema=None):
                return self.pair

        once = Once(pa.array(["a", "b"]))
        assert len(scanner.scan_batch(once)) == 2
        with pytest.raises(ValueError, match="read before"):
            scanner.scan_batch(once)

    def test_capsules_of_another_kind(self, scanner):
        class Wrong:
            def __init__(self, *answer):
                self.answer = answer

            def __arrow_c_array__(self, requested_schema=None):
                return self.answer

        schema, array = pa.array(["a"]).__arrow_c_array__()
        for answer in ((array, schema), (schema,), (1, 2)):
            with pytest.raises((ValueError, TypeError)):
                scanner.scan_batch(Wrong(*answer))

    def test_a_stream_that_fails(self, scanner):
        def batches():
            yield pa.record_batch({"a": ["x"]})
            raise OSError("lost")

        reader = pa.RecordBatchReader.from_batches(pa.schema({"a": pa.string()}), batches())
        with pytest.raises(TypeError, match="a table"):
            scanner.scan_batch(reader)

    def test_to_arrow(self, scanner, texts, wanted):
        batch = scanner.scan_batch(texts).to_arrow()
        batch.validate(full=True)
        assert batch.schema.names == ["doc", "rule", "start", "end", "score"]
        assert [str(field.type) for field in batch.schema] == ["int64", "uint32", "uint32", "uint32", "float"]
        assert batch.schema.metadata == {b"sift_fast.unit": b"codepoint", b"sift_fast.rule_hash": scanner.hash.encode()}
        assert batch["start"].to_pylist() == [f.start for found in wanted for f in found]
        assert [scanner.rules[r].id for r in batch["rule"].to_pylist()] == [
            f.rule_id for found in wanted for f in found
        ]
        assert scanner.scan_batch([]).to_arrow().num_rows == 0
