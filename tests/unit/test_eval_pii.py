"""The evaluation of personal data (benches/pii) on tiny made-up files of cases with known numbers."""

from __future__ import annotations

import gzip
import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import sift_fast as sf
from sift_fast import _core

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("on_the_path")


@pytest.fixture(scope="module")
def modules(on_the_path):
    names = {name: f"benches.pii.{name}" for name in ("cases", "cli", "measure", "report")}
    names |= {"fakes": "benches.fakes", "redact": "benches.models.redact", "added": "benches.models.added"}
    return {name: importlib.import_module(path) for name, path in names.items()}


def write(path: Path, rows: list) -> Path:
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def recognizer(text: str, *spans: tuple[int, int], entity: str = "US_SSN", **more: object) -> dict:
    return {
        "recognizer": f"{entity}-recognizer", "recognizer_kwargs": {}, "entity": entity, "text": text,
        "expected_len": len(spans), "expected_positions": [list(span) for span in spans], **more,
    }  # fmt: skip


def validator(text: str, expected: bool | None, *, recognizer: str = "IBAN_CODE-recognizer", **kwargs: object) -> dict:
    return {
        "recognizer": recognizer, "recognizer_kwargs": kwargs, "call": "validate_result", "text": text,
        "expected": expected,
    }  # fmt: skip


def anonymizer(expected: str = "a <ONE> c", **more: object) -> dict:
    return {
        "text": "a b c", "results": [{"entity_type": "ONE", "start": 2, "end": 3, "score": 0.9}], "operators": {},
        "conflict_resolution": "merge_similar_or_contained", "merge_entities_with_spaces": True,
        "expected_text": expected,
        "expected_items": [{"start": 2, "end": 7, "entity_type": "ONE", "text": "<ONE>", "operator": "replace"}],
        **more,
    }  # fmt: skip


@pytest.fixture(scope="module")
def values():
    (ssn,) = _core.generate("pii.us.ssn", 5, 1, ["pii"])
    (iban,) = _core.generate("pii.finance.iban", 6, 1, ["pii"])
    return ssn, iban


@pytest.fixture
def tiny(tmp_path, values):
    """Recognizers: 5 of 8 pass, 4 at a score that is edited, 1 left out. Validators: 2 of 3, 2 left out. Anonymizer: 1 of 3."""
    ssn, iban = values
    at = len("it is ")
    folder = tmp_path / "cases"
    folder.mkdir()
    write(
        folder / "pii_recognizer_cases.jsonl.gz",
        [
            recognizer(f"it is {ssn}", (at, at + len(ssn))),
            recognizer(f"\u00e9t is {ssn}", (at, at + len(ssn))),
            recognizer("there is none here"),
            recognizer(f"it is {ssn}", (at, at + len(ssn) - 1)),
            recognizer(f"it is {ssn}"),
            recognizer(f"iban {iban}", expected_len=1, expected_positions=None, entity="IBAN_CODE"),
            recognizer("made up", (0, 4), entity="OF_NOBODY"),
            recognizer("123", (0, 3), entity="TEST", recognizer_kwargs={"patterns": []}),
            recognizer(f"it is {ssn.replace('-', '')}", (at, at + 9)),
        ],
    )
    broken = iban[:-1] + str((int(iban[-1]) + 1) % 10)
    write(
        folder / "pii_validator_cases.jsonl.gz",
        [
            validator(iban, True),
            validator(broken, False),
            validator(broken, None),
            validator(broken, False, strict_checksum=True),
            validator(broken, False, recognizer="Unheard"),
        ],
    )
    write(
        folder / "pii_anonymizer_cases.jsonl.gz",
        [anonymizer(), anonymizer("another"), anonymizer(operators={"ONE": {"operator": "no-such"}})],
    )
    return folder


@pytest.fixture
def corpora(tmp_path, values):
    folder = tmp_path / "corpora"
    folder.mkdir()
    ssn, iban = values
    texts = {"clean": ["a few words\n" * 50], "dirty": ["words", f"{ssn}, then {ssn}; mail ann@example.com, {iban}"]}
    for name, each in texts.items():
        write(folder / f"{name}.jsonl.gz", [{"text": text} for text in each])
    return folder, sum(len(text) for text in texts["dirty"])


def run(modules, folder: Path, *more: object) -> dict:
    given = ["--cases", str(folder), "--no-speed", *map(str, more)]
    options = modules["cli"].parser().parse_args(given)
    return modules["cli"].evaluate(options, modules["cases"].load(folder), given)


def test_the_numbers_of_known_files(modules, tiny, corpora, values):
    folder, size = corpora
    made = run(modules, tiny, "--corpora", folder)
    assert made["recognizers"]["entities"] == {
        "IBAN_CODE": {"cases": 1, "passed": 1},
        "OF_NOBODY": {"cases": 1, "passed": 0},
        "US_SSN": {"cases": 6, "passed": 4},
    }
    assert made["recognizers"]["edited"] == 4
    assert made["recognizers"]["failed"] == [
        {"case": 4, "entity": "US_SSN", "why": "another span"},
        {"case": 5, "entity": "US_SSN", "why": "1 found, 0 expected"},
        {"case": 7, "entity": "OF_NOBODY", "why": "no rule for the entity"},
    ]
    assert made["recognizers"]["left_out"] == {"patterns of the caller's own": 1}
    assert (made["validators"]["cases"], made["validators"]["passed"]) == (3, 2)
    assert made["validators"]["failed"] == [{"case": 3, "entity": "IBAN_CODE", "why": "refused, expected to pass"}]
    assert sum(made["validators"]["left_out"].values()) == 2
    assert [(failure["case"], failure["why"]) for failure in made["anonymizer"]["failed"]] == [
        (2, "another text"),
        (3, "raised InvalidParamError"),
    ]
    assert made["findings"]["pii"]["clean"] == {"numbers": [], "others": []}
    dirty = made["findings"]["pii"]["dirty"]
    assert dirty["numbers"] == [{"entity": "US_SSN", "rule": "pii.us.ssn", "count": 2}]
    assert [(row["entity"], row["count"]) for row in dirty["others"]] == [("EMAIL_ADDRESS", 1), ("IBAN_CODE", 1)]
    assert made["calls"]["rules"]["pii.finance.iban"] == {
        "entity": "IBAN_CODE",
        "validator": "iban",
        "sets": ["pii", "pii-all"],
        "corpora": {"dirty": {"candidates": 1, "judged": 1}},
    }
    report = modules["report"]
    assert report.false_numbers(made, "pii", "dirty") == pytest.approx(2e6 / size)
    summary = report.summary(made).markdown()
    for line in (
        "| anonymizer | 3 | 1 | 33.3 | 1 | 33.3 |",
        "| recognizers | 8 | 5 | 62.5 | 4 | 50.0 |",
        "| validators | 3 | 2 | 66.6 | 2 | 66.6 |",
    ):
        assert line in summary
    # More than one rule looks at the same number.
    rules = [entry for entry in made["calls"]["rules"].values() if entry["validator"] == "iban"]
    calls = sum(entry["corpora"]["dirty"]["judged"] for entry in rules)
    row = f"IBAN_CODE, `iban` ({len(rules)} rules)"
    assert [row, "0.000", report.figure(calls * 1e6 / size)] in report.calls_table(made).rows
    # Neither record nor page holds a text.
    shown = json.dumps(made) + report.page(made, {})
    for value in (*values, "made up", "ann@example.com", "another span of"):
        if value in shown:
            pytest.fail("a text of the cases or corpora is in the record", pytrace=False)


def test_what_was_not_measured_is_neither_met_nor_missed(modules, tiny):
    made = run(modules, tiny)
    reached = {row[0]: row[-1] for row in modules["report"].goals(made, {}).rows}
    assert reached["recognizer cases"] == "missed"
    assert reached["redact 1 KB with five findings, with all decoders, P50"] == "not measured"
    assert {
        reached[f"number-shaped false findings, set `pii`, {name}"] for name in ("chat", "code", "docs", "json")
    } == {"not measured"}


def test_a_page_of_other_rules_says_so(modules, tiny):
    made = run(modules, tiny)
    assert not modules["report"].outdated(made)
    made["build"]["rules_version"] = "0.0.1"
    assert "**Measured with rules 0.0.1; the tree has " in modules["report"].page(made, {})


def test_a_build_without_the_engine_says_so(modules, tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "sift_fast.integrations.presidio", None)
    made = run(modules, tiny)
    assert "no `sift_fast.integrations.presidio`" in made["anonymizer"]["missing"]
    assert "| anonymizer | - | - | - | - | - |" in modules["report"].summary(made).markdown()


def test_failed_cases_are_written_outside_the_repository(modules, tiny, tmp_path, values, capsys):
    common = ["--cases", str(tiny), "--no-speed"]
    assert modules["cli"].main([*common, "--details", str(tmp_path / "failed.jsonl")]) == 0
    lines = [json.loads(line) for line in (tmp_path / "failed.jsonl").read_text().splitlines()]
    assert [(line["part"], line["case"]) for line in lines] == [
        ("recognizers", 4), ("recognizers", 5), ("recognizers", 7), ("validators", 3), ("anonymizer", 2),
        ("anonymizer", 3),
    ]  # fmt: skip
    assert lines[2]["text"] == "made up"
    assert modules["cli"].main([*common, "--details", str(ROOT / "failed.jsonl")]) == 2
    assert not (ROOT / "failed.jsonl").exists()
    told = capsys.readouterr()
    assert not any(value in told.out + told.err for value in values)


def test_only_a_whole_run_is_recorded(modules, tiny, capsys):
    assert modules["cli"].main(["--cases", str(tiny), "--no-speed", "--record"]) == 2
    assert "only a whole run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "rows", "reason"),
    [
        ("recognizer", [], "holds no case"),
        ("recognizer", [["secret text"]], "not an object"),
        ("recognizer", [{"text": "secret text"}], "`expected_len` is not int"),
        ("recognizer", [recognizer("secret text", expected_len=True)], "`expected_len` is not int"),
        ("recognizer", [recognizer("secret text", (0, 3), expected_len=2)], "are not 2 spans"),
        ("recognizer", [recognizer("secret text", (0, 99))], "are not 1 spans"),
        ("recognizer", [recognizer("secret text", (3, 3))], "are not 1 spans"),
        ("recognizer", [recognizer("secret text", entity=None)], "`entity` is not str"),
        ("recognizer", [recognizer("secret text", recognizer_kwargs={"deny_list": []})], "left out"),
        ("validator", [], "holds no case"),
        ("validator", [validator("secret text", "yes")], "`expected` is not bool or null"),
        ("anonymizer", [], "holds no case"),
        ("anonymizer", [anonymizer(results=[{"text": "secret text"}])], "a result lacks"),
        ("anonymizer", [anonymizer(expected_text=None)], "`expected_text` is not str"),
    ],
)
def test_a_file_of_another_form_is_an_error(modules, tiny, capsys, name, rows, reason):
    write(tiny / f"pii_{name}_cases.jsonl.gz", rows)
    assert modules["cli"].main(["--cases", str(tiny), "--no-speed"]) == 2
    told = capsys.readouterr().err
    assert reason in told
    assert "secret text" not in told


def test_files_that_are_not_there_or_no_gzip_are_errors(modules, tiny, capsys):
    path = tiny / "pii_validator_cases.jsonl.gz"
    path.write_text("{}\n")
    assert modules["cli"].main(["--cases", str(tiny), "--no-speed"]) == 2
    assert "JSONL.gz is wanted" in capsys.readouterr().err
    path.unlink()
    assert modules["cli"].main(["--cases", str(tiny), "--no-speed"]) == 2
    assert "FileNotFoundError" in capsys.readouterr().err
    assert modules["cli"].main([]) == 2


def test_corpora_that_hold_nothing_are_an_error(modules, tiny, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert modules["cli"].main(["--cases", str(tiny), "--no-speed", "--corpora", str(tmp_path / "empty")]) == 2
    assert "holds no" in capsys.readouterr().err


def test_texts_to_redact_hold_what_is_said(modules):
    kinds = list(modules["fakes"].PERSONAL)
    texts, planted, _ = modules["redact"]._texts(kinds, 1024, 5)
    assert {len(text.encode()) for text in texts} == {1024}
    assert all(text.count(value) == 1 for text, values in zip(texts, planted, strict=True) for value in values)
    assert {len(values) for values in planted} == {5}
    assert modules["redact"]._left(lambda text: text, texts, planted) == 25


def test_a_redaction_that_gives_another_text_is_wrong(modules):
    redact, scanner = modules["redact"], sf.Scanner(["pii"])
    texts, planted, wanted = redact._texts(list(modules["fakes"].PERSONAL), 1024, 5)

    def right(text):
        return scanner.redact(text).text

    assert redact._wrong(right, texts, wanted) == 0
    assert redact._left(right, texts, planted) == 0
    for other in (lambda _: "", lambda text: text, lambda text: right(text)[:-1], lambda text: right(text) + " "):
        assert redact._wrong(other, texts, wanted) == 5


def test_each_engine_of_ours_is_checked(on_the_path):
    """An engine that nobody knows the rules of would pass with any count."""
    context = importlib.import_module("benches.context")
    made = object.__new__(context.Context)
    unknown = SimpleNamespace(prepare=list, total=len)
    with pytest.raises(context.BenchError, match="nobody would check"):
        made.check_counts(
            {"sift_fast_unknown": unknown}, SimpleNamespace(name="x", rules=()), SimpleNamespace(texts=[])
        )


def test_counts_are_verified_with_the_decoders_of_the_measurement(on_the_path, tmp_path):
    """The second engine is asked for what was measured, and one way of reading is not taken for the other."""
    module = importlib.import_module("benches.expected")
    # An address that only a decoder shows.
    pieces = SimpleNamespace(
        texts=["ann&#64;acme.com and bob@acme.com"], corpus="made", piece_bytes=64, digest="0" * 64, synthetic=True
    )
    expected = module.Expected(update=True, file=tmp_path / "expected.json")
    for decode in (False, True):
        count = len(sf.Scanner(["pii"], decode=decode).scan(pieces.texts[0]))
        assert count == 1 + decode
        assert expected.check(pieces, ["pii"], count, "hash", decode=decode) == "verified"
        with pytest.raises(module.WrongCount, match="the two engines"):
            expected.check(pieces, ["pii"], 2 - decode, "hash", decode=decode)
    assert len(expected.save()) == 2
    kept = module.Expected(update=False, file=tmp_path / "expected.json")
    assert kept.check(pieces, ["pii"], 1, "hash", decode=False) == "verified"
    assert kept.check(pieces, ["pii"], 2, "hash", decode=True) == "verified"
    with pytest.raises(module.WrongCount):
        kept.check(pieces, ["pii"], 2, "hash", decode=False)


def test_what_a_set_adds_is_a_share_of_the_time_without_it(modules):
    cell = {
        "engines": {name: {"thread_ns": {"median": ns}} for name, ns in (("sift_fast", 200), ("sift_fast_pii", 230))}
    }
    assert modules["added"].share(cell) == pytest.approx(15.0)


def test_the_page_is_made_from_the_newest_records(modules):
    cli, records = modules["cli"], importlib.import_module("benches.record")
    if not cli.FOLDER.is_dir():
        pytest.skip("nothing has been recorded yet")
    wanted = modules["report"].page(cli.newest(), records.newest())
    assert cli.PAGE.read_text(encoding="utf-8") == wanted, "type `python -m benches.pii --report`"
