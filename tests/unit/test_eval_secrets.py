"""The evaluation of the secret rules (benches/secrets) on a tiny made-up file of cases with known numbers."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import json
from pathlib import Path

import pytest

from sift_fast import _core

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("on_the_path")
RULE = "secret.github.token"
#: 6 of 7 cases, 2 findings in the bytes of both corpora.
DOT = "sift_fast: 85.7 % at {}"


@pytest.fixture(scope="module")
def modules(on_the_path):
    names = ("cases", "cli", "measure", "report", "scanners", "span", "texts")
    return {name: importlib.import_module(f"benches.secrets.{name}") for name in names}


def row(text: str, *, expect: str = "match", kind: str = "literal", rule: str = "a", source: str = "made-up") -> dict:
    return {"source": source, "rule_id": rule, "text": text, "expect": expect, "kind": kind}


def write(path: Path, rows: list[dict]) -> Path:
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)
    return path


@pytest.fixture
def tiny(tmp_path):
    """Seven positives, of which six hold a token, and three negatives, of which two do."""
    one, two, three, four, five = _core.generate(RULE, 3, 5, ["secrets"])
    rows = [
        row(f'x = "{one}"', kind="template"),
        row(f"y: {one}", kind="template"),
        row(f"<z>{one}</z>", kind="template"),
        row(two),
        row(f"name = '{three}'", source="other"),
        row(f"two words, then {four} and more"),
        row("nothing at all stands here", source="other", rule="b"),
        row("nothing either", expect="no_match"),
        row(f"it is {five}", expect="no_match"),
        row(two, expect="no_match", rule="c", source="other"),
    ]
    return write(tmp_path / "cases.jsonl.gz", rows), [one, two, three, four, five]


@pytest.fixture
def corpora(tmp_path):
    folder = tmp_path / "corpora"
    folder.mkdir()
    (token,) = _core.generate(RULE, 4, 1, ["secrets"])
    for name, texts in (("clean", ["a few words\n" * 50]), ("dirty", ["words", f"the token {token} again {token}"])):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as stream:
            stream.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    return folder, token


def run(modules, *arguments: object) -> dict:
    given = [str(word) for word in arguments]
    return modules["cli"].evaluate(modules["cli"].parser().parse_args(given), given)


def test_the_numbers_of_a_known_file(modules, tiny, corpora):
    path, secrets = tiny
    folder, token = corpora
    made = run(modules, "--cases", path, "--corpora", folder, "--scanners", "none", "--no-cost")
    ours = made["scanners"]["sift_fast"]
    assert ours["sources"] == {
        "made-up": {"positives": 5, "found": 5, "spans": 4, "right": 4, "negatives": 2, "flagged": 1},
        "other": {
            "positives": 2, "found": 1, "spans": 1, "right": 1, "left_out": 1, "left_out_flagged": 1,
        },
    }  # fmt: skip
    assert ours["types"] == {"made-up/a": "5/5", "other/a": "1/1", "other/b": "0/1"}
    assert [entry.split()[1:] for entry in ours["missed"]] == [["other/b"]]
    assert [entry.split()[1:] for entry in ours["flagged"]] == [["made-up/a", RULE]]
    assert [entry.split(" ", 2)[1:] for entry in made["cases"]["left_out"]] == [
        ["other/c", "the same text is a positive case of made-up/a"]
    ]
    assert (made["cases"]["positives"], made["cases"]["negatives"], made["cases"]["located"]) == (7, 3, 5)
    assert ours["corpora"]["clean"] == {"findings": 0, "per_mb": 0.0, "texts": []}
    dirty = ours["corpora"]["dirty"]
    assert dirty["findings"] == 2
    size = len(f"wordsthe token {token} again {token}")
    assert dirty["per_mb"] == pytest.approx(2e6 / size)
    sha = hashlib.sha256(token.encode()).hexdigest()
    assert dirty["texts"] == [f"{sha} 2 {RULE}"]
    assert {rule: number for rule, number in made["rules_hit"].items() if number} == {RULE: 6}
    table = modules["report"].summary(made).markdown()
    assert "| 85.7 | 100.0 | 50.0 | 50.0 | 100.0 | 0.000 |" in table
    dots = modules["report"].plot(made).splitlines()
    assert [line.split(">")[1].split("<")[0] for line in dots if "sift_fast:" in line] == [
        DOT.format(f"{2e6 / (size + 600):,.0f}")
    ]
    alarms = modules["report"].alarms(made).rows
    assert [(row[0], row[2], row[3]) for row in alarms] == [
        ("negative of made-up/a", RULE, "1"),
        ("clean text: dirty", RULE, "2"),
    ]
    # Neither record nor page holds a text.
    shown = json.dumps(made) + modules["report"].page(made, "plot.svg")
    for value in (*secrets, token, "nothing at all"):
        if value in shown:
            pytest.fail("a text of the cases or corpora is in the record", pytrace=False)


def test_failed_cases_are_written_outside_the_repository(modules, tiny, tmp_path, capsys):
    path, secrets = tiny
    common = ["--cases", str(path), "--scanners", "none"]
    assert modules["cli"].main([*common, "--failed", str(tmp_path / "failed.jsonl")]) == 0
    lines = [json.loads(line) for line in (tmp_path / "failed.jsonl").read_text().splitlines()]
    assert [(line["why"], line["type"], line["rules"]) for line in lines] == [
        ("missed", "other/b", []),
        ("flagged", "made-up/a", [RULE]),
    ]
    assert lines[0]["text"] == "nothing at all stands here"
    assert modules["cli"].main([*common, "--failed", str(ROOT / "failed.jsonl")]) == 2
    assert not (ROOT / "failed.jsonl").exists()
    told = capsys.readouterr()
    assert not any(secret in told.out + told.err for secret in secrets)


def test_only_the_built_in_rules_are_recorded(modules, tiny, own_rules, capsys):
    arguments = ["--cases", str(tiny[0]), "--scanners", "none", "--rule-file", str(own_rules), "--record"]
    assert modules["cli"].main(arguments) == 2
    assert "only the built-in secret rules" in capsys.readouterr().err


def test_what_changed_since_the_record_before(modules, tiny):
    made = run(modules, "--cases", tiny[0], "--scanners", "none")
    before = json.loads(json.dumps(made))
    before["scanners"]["sift_fast"]["missed"] = [f"{'0' * 64} made-up/a"]
    before["scanners"]["sift_fast"]["flagged"] = []
    assert modules["report"].comparison(made, before) == [
        "missed: 1 (1 new, 1 gone)",
        "flagged: 1 (1 new, 0 gone)",
        "with a wrong span: 0 (0 new, 0 gone)",
    ]
    assert modules["report"].comparison(made, {**before, "cases": {"sha256": "other"}}) == []


def test_the_list_of_rules_that_hit(modules, tiny, capsys):
    assert modules["cli"].main(["--cases", str(tiny[0]), "--unseen-rules"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[0].split() == ["6", RULE]
    assert told.err.startswith("1 of ")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "has no case"),
        ([row("a text")], "`expect` = `no_match`"),
        ([row("a text", expect="no_match")], "`expect` = `match`"),
        ([{"text": "a text", "label": 1}], "no text in the field `source`"),
        ([row("")], "no text in the field `text`"),
        ([row("a text", expect="maybe")], "neither"),
        ([["a text"]], "not an object"),
    ],
)
def test_a_file_of_another_form_is_an_error(modules, tmp_path, capsys, rows, reason):
    path = write(tmp_path / "cases.jsonl.gz", rows)
    assert modules["cli"].main(["--cases", str(path)]) == 2
    told = capsys.readouterr().err
    assert reason in told
    assert "a text" not in told


def test_a_file_that_is_no_gzip_is_an_error(modules, tmp_path, capsys):
    path = tmp_path / "cases.jsonl"
    path.write_text(json.dumps(row("a text")) + "\n")
    assert modules["cli"].main(["--cases", str(path)]) == 2
    assert "JSONL.gz" in capsys.readouterr().err
    assert modules["cli"].main([]) == 2


def test_corpora_that_hold_nothing_are_an_error(modules, tiny, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert modules["cli"].main(["--cases", str(tiny[0]), "--corpora", str(tmp_path / "empty")]) == 2
    assert "holds no" in capsys.readouterr().err


def test_the_list_of_negatives_is_sound(modules, tmp_path):
    assert modules["cases"].left_out([])
    path = tmp_path / "list.toml"
    sha = "a" * 64
    for text in ('[[negative]]\nsha256 = "abc"\nreason = "short"\n', f'[[negative]]\nsha256 = "{sha}"\nreason = " "\n'):
        path.write_text(text)
        with pytest.raises(Exception, match="entry 1"):
            modules["cases"].left_out([], path)
    path.write_text(f'[[negative]]\nsha256 = "{sha}"\nreason = "why"\n' * 2)
    with pytest.raises(Exception, match="repeats"):
        modules["cases"].left_out([], path)


@pytest.mark.parametrize(
    ("found", "right"),
    [((5, 13), True), ((4, 14), True), ((4, 13), True), ((3, 13), False), ((5, 12), False), ((6, 13), False)],
)
def test_what_a_right_span_is(modules, found, right):
    assert modules["span"].is_right('k = "12345678";', (5, 13), found) is right


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("abcdefgh12345678", "abcdefgh12345678"),
        ("  abcdefgh12345678==\n", "abcdefgh12345678=="),
        ("export NAME=abcdefgh12345678", "abcdefgh12345678"),
        ('"name": "abcdefgh12345678",', "abcdefgh12345678"),
        ("name := `abcdefgh12345678`;", "abcdefgh12345678"),
        ("short", None),
        ("two values, abcdefgh12345678", None),
        ("https://host.example/abcdefgh12345678", None),
        ("name: first\nother: second12345678", None),
    ],
)
def test_where_the_secret_of_a_literal_is(modules, text, value):
    span = modules["span"].literal(text)
    assert (text[span[0] : span[1]] if span else None) == value


def test_where_the_secret_of_templates_is(modules):
    secret = "abc123def456="
    texts = [f'token = "{secret}"', f"token := `{secret}`", f"token: '{secret}'", f'{{"token": "{secret}"}}']
    assert max(modules["span"].shared(texts), key=len) == secret
    # Two texts with the same neighbours do not tell where it begins.
    assert modules["span"].shared([f"mytoken={secret}", f"mytoken={secret}\n"]) == []


def test_the_page_is_made_from_the_newest_record(modules):
    cli = modules["cli"]
    record = cli.newest()
    wanted = "type `python -m benches.secrets --report`"
    assert cli.PAGE.read_text(encoding="utf-8") == modules["report"].page(record, cli.PLOT.name), wanted
    assert cli.PLOT.read_text(encoding="utf-8") == modules["report"].plot(record), wanted


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("", "text.txt"),
        ("a/b/.npmrc", ".npmrc"),
        ("data/x.json#12", "x.json"),
        ("..", "text.txt"),
        ("a/..", "text.txt"),
        ("a b.txt", "text.txt"),
        ("/", "text.txt"),
    ],
)
def test_files_keep_their_names_where_they_are_safe(modules, path, name):
    assert modules["texts"].Text("words", path).name == name
