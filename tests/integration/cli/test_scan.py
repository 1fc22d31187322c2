"""`scan`: places, formats, selection, exit codes, ignore marks, standard input."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

import pytest

from .conftest import OTHER_RULE, TOKEN, TOKEN_RULE, Invoke, assert_silent, fakes


def test_a_finding_is_a_place_a_rule_and_a_masked_preview(invoke: Invoke, tree: Path, secret: str) -> None:
    ran = invoke("scan", tree)
    assert ran.code == 1
    (line,) = ran.lines
    assert line.startswith(f"{tree}/src/app.py:2:10  critical  {TOKEN_RULE}  {TOKEN}  0.95  github_pat_****")
    assert f"({len(secret)} chars)" in line
    assert "2 files" in ran.err
    assert "1 finding" in ran.err
    assert "MB/s" in ran.err
    assert_silent(ran, secret)


def test_clean_is_zero_and_says_nothing(invoke: Invoke, tree: Path) -> None:
    ran = invoke("scan", tree / "README.md")
    assert (ran.code, ran.out) == (0, b"")
    assert "0 findings" in ran.err


def test_a_named_file_that_is_skipped_is_told_even_if_quiet(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\0\0")
    ran = invoke("scan", "-q", tmp_path / "a.bin")
    assert ran.code == 2
    assert "a.bin` is skipped: it is binary" in ran.err
    assert invoke("scan", "-q", tmp_path).err == ""


def test_many_long_files_are_no_flood(invoke: Invoke, tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}.txt").write_text("long")
    ran = invoke("scan", "--max-size", "3", tmp_path)
    assert ran.err.count("is skipped") == 5
    assert "15 more files are skipped" in ran.err
    assert "20 skipped (20 too large)" in ran.err


def test_quiet(invoke: Invoke, tree: Path) -> None:
    ran = invoke("scan", "-q", tree)
    assert (ran.code, ran.err) == (1, "")
    assert len(ran.lines) == 1


def test_jsonl_has_the_documented_fields_in_a_stable_order(invoke: Invoke, tmp_path: Path) -> None:
    tokens = fakes(TOKEN_RULE, 40)
    for number in range(20):
        one, two = tokens[2 * number : 2 * number + 2]
        (tmp_path / f"f{number:02}.txt").write_text(f"é𝄞 {one}\n\n{two}\n")
    runs = [invoke("scan", "--format", "jsonl", "--threads", threads, tmp_path) for threads in ("1", "4")]
    assert runs[0].out == runs[1].out
    rows = [json.loads(line) for line in runs[0].lines]
    assert len(rows) == 40
    assert rows == sorted(rows, key=lambda row: (row["path"], row["start"]))
    assert rows[0] == {
        "path": f"{tmp_path}/f00.txt",
        "line": 1,
        "column": 4,
        "end_line": 1,
        "end_column": 4 + len(tokens[0]),
        "start": 7,
        "end": 7 + len(tokens[0]),
        "rule_id": TOKEN_RULE,
        "category": "secret",
        "entity_type": TOKEN,
        "severity": "critical",
        "score": 0.95,
        "preview": f"github_pat_**** ({len(tokens[0])} chars)",
        "decoded": [],
    }
    assert (rows[1]["line"], rows[1]["column"]) == (3, 1)
    documented = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    assert all(f"`{key}`" in documented for key in [*rows[0], "path_hex", "fingerprint"])
    assert_silent(runs[0], *tokens)


def test_every_report_names_the_encodings(invoke: Invoke, tmp_path: Path, secret: str) -> None:
    hidden = base64.b64encode(f"the token is {secret} here".encode().hex().encode()).decode()
    (tmp_path / "a.txt").write_text(f"see {hidden}\n")
    line = next(line for line in invoke("scan", tmp_path).lines if TOKEN_RULE in line)
    assert line.endswith("  base64 > hex")
    rows = [json.loads(line) for line in invoke("scan", "--format", "jsonl", tmp_path).lines]
    assert [row["decoded"] for row in rows if row["rule_id"] == TOKEN_RULE] == [["base64", "hex"]]
    log = json.loads(invoke("scan", "--format", "sarif", tmp_path).out)
    (result,) = [one for one in log["runs"][0]["results"] if one["ruleId"] == TOKEN_RULE]
    assert result["properties"] == {"decoded": ["base64", "hex"]}
    assert result["message"]["text"].endswith("(in base64 > hex)")
    assert not invoke("scan", "--no-decode", tmp_path).lines


def test_a_byte_order_mark_is_no_column(invoke: Invoke, tmp_path: Path, secret: str) -> None:
    (tmp_path / "bom.txt").write_text(secret, encoding="utf-8-sig")
    (row,) = [json.loads(line) for line in invoke("scan", "--format", "jsonl", tmp_path).lines]
    assert (row["line"], row["column"], row["start"]) == (1, 1, 3)


def test_standard_input_alone_and_beside_files(invoke: Invoke, tree: Path, secret: str) -> None:
    ran = invoke("scan", "-", stdin=f"\n\n  {secret}\n".encode())
    assert ran.code == 1
    assert ran.lines[0].startswith("<stdin>:3:3  ")
    both = invoke("scan", "-", tree, stdin=secret.encode())
    assert [line.split("  ")[0] for line in both.lines] == [f"{tree}/src/app.py:2:10", "<stdin>:1:1"]
    assert invoke("scan", "-", stdin=b"").code == 0


def test_a_path_given_twice_is_scanned_once(invoke: Invoke, tree: Path) -> None:
    ran = invoke("scan", tree, tree / "src", tree / "src" / "app.py")
    assert len(ran.lines) == 1
    assert "2 files" in ran.err


@pytest.mark.parametrize(("level", "code"), [("low", 1), ("medium", 1), ("high", 1), ("critical", 0), ("never", 0)])
def test_fail_on(invoke: Invoke, tmp_path: Path, level: str, code: int) -> None:
    value = fakes("secret.generic.password", 1)[0]
    (tmp_path / "a.py").write_text(f'password = "{value}"\n')
    ran = invoke("scan", "--fail-on", level, tmp_path)
    assert ran.code == code
    # The report is the same whatever the code.
    assert len(ran.lines) == 1
    assert "  high " in ran.lines[0]


def test_selection(invoke: Invoke, tmp_path: Path) -> None:
    one, two = fakes(TOKEN_RULE, 1)[0], fakes(OTHER_RULE, 1)[0]
    (tmp_path / "a").write_text(f"{one}\n{two}\n")

    def found(*options: str) -> list[str]:
        return [json.loads(line)["rule_id"] for line in invoke("scan", "--format", "jsonl", *options, tmp_path).lines]

    assert found() == [TOKEN_RULE, OTHER_RULE]
    assert found("--entities", TOKEN) == [TOKEN_RULE]
    assert found("--exclude", TOKEN) == [OTHER_RULE]
    assert found("--exclude", f"{TOKEN_RULE},{OTHER_RULE}") == []
    assert found("--rules", "injection,leak") == []
    assert found("--min-score", "0.999") == []
    assert found("--engine", "automata") == [TOKEN_RULE, OTHER_RULE]


def test_rules_of_ones_own(invoke: Invoke, tmp_path: Path) -> None:
    rules = tmp_path / "mine.toml"
    rules.write_text(
        """
        [[rule]]
        id = "secret.acme.key"
        title = "Acme key"
        entity = "ACME_KEY"
        severity = "low"
        score = 0.9
        format = '"acme_" + 20 lower'
        pattern = '''(acme_[a-z]{20})\\b'''
        examples = ["key {secret}"]
        negatives = ["acme_short"]
        """
    )
    (tmp_path / "text").write_text("acme_" + "abcdefghijklmnopqrst" + "\n")
    ran = invoke("scan", "--rules", "none", "--rule-file", rules, "--format", "jsonl", tmp_path / "text")
    assert [json.loads(line)["entity_type"] for line in ran.lines] == ["ACME_KEY"]
    assert "acme_****" in ran.lines[0]


@pytest.mark.parametrize("seed", range(8))
def test_places_are_those_a_reader_would_count(invoke: Invoke, tmp_path: Path, seed: int) -> None:
    """Random texts of narrow, wide and combining characters, tabs, empty lines and both line ends."""
    rng = random.Random(seed)
    tokens = fakes(TOKEN_RULE, 12, seed=seed)
    parts = ["a", " ", "é", "名", "𝄞", "e\u0301", "\t", "\n", "\n\n", "\r\n", "\u2028", "word " * 40]
    text = "".join("".join(rng.choices(parts, k=rng.randrange(30))) + f" {token} " for token in tokens)
    (tmp_path / "a.txt").write_bytes(text.encode())
    rows = [json.loads(line) for line in invoke("scan", "--format", "jsonl", tmp_path).lines]
    log = json.loads(invoke("scan", "--format", "sarif", tmp_path).out)
    regions = [result["locations"][0]["physicalLocation"]["region"] for result in log["runs"][0]["results"]]
    assert len(rows) == len(regions) == len(tokens)
    for token, row, region in zip(tokens, rows, regions, strict=True):
        before = text[: text.index(token)]
        line, last = before.count("\n") + 1, before.rsplit("\n", 1)[-1]
        assert (row["line"], row["column"], row["start"]) == (line, len(last) + 1, len(before.encode()))
        assert (row["end_line"], row["end_column"]) == (line, len(last) + 1 + len(token))
        assert (region["startLine"], region["startColumn"]) == (line, len(last.encode("utf-16-le")) // 2 + 1)
        assert region["endColumn"] - region["startColumn"] == len(token)


class TestIgnoreMarks:
    """`sift:ignore` in the finding's line, or alone in the line before it."""

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("", "  # sift:ignore"),
            ("", f"  # sift:ignore[{TOKEN_RULE}]"),
            ("", f"  # sift:ignore[secret.some.other, {TOKEN_RULE}] reviewed"),
            ("# sift:ignore\n", ""),
            ("# sift:ignore\r\n", ""),
            (f"// sift:ignore[{TOKEN_RULE}]\n", ""),
        ],
    )
    def test_passed_over(self, invoke: Invoke, tmp_path: Path, secret: str, before: str, after: str) -> None:
        (tmp_path / "a").write_bytes(f"x\n{before}t = {secret}{after}\nz\n".encode())
        ran = invoke("scan", tmp_path)
        assert (ran.code, ran.out) == (0, b"")
        assert "1 ignored in place" in ran.err
        assert invoke("scan", "--no-inline-ignore", tmp_path).code == 1

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("", "  # sift:ignore[secret.some.other]"),
            ("", "  # sift:ignore[]"),
            ("", "  # sift:ignore[unclosed"),
            ("", "  # sift:ignored"),
            ("# sift:ignore\n\n", ""),
            ("", "\n# sift:ignore"),
        ],
    )
    def test_reported(self, invoke: Invoke, tmp_path: Path, secret: str, before: str, after: str) -> None:
        (tmp_path / "a").write_text(f"x\n{before}t = {secret}{after}\nz\n")
        assert invoke("scan", tmp_path).code == 1

    def test_a_mark_beside_a_finding_does_not_reach_the_next_line(self, invoke: Invoke, tmp_path: Path) -> None:
        one, two = fakes(TOKEN_RULE, 2)
        (tmp_path / "a").write_text(f"a = {one}  # sift:ignore\nb = {two}\n")
        (line,) = invoke("scan", tmp_path).lines
        assert ":2:5  " in line

    def test_a_mark_inside_a_long_line_is_seen(self, invoke: Invoke, tmp_path: Path, secret: str) -> None:
        (tmp_path / "a").write_text(f"{'x ' * 5000}{secret}{' y' * 5000} sift:ignore\n")
        assert invoke("scan", tmp_path).code == 0

    def test_marks_around_a_finding_of_many_lines(self, invoke: Invoke, tmp_path: Path) -> None:
        """The mark stands where the finding begins; inside the key or behind it, it is no mark of it."""
        key = fakes("secret.private-key.pem", 1)[0].strip()
        (tmp_path / "above.txt").write_text(f"# sift:ignore\n{key}\nend\n")
        (tmp_path / "behind.txt").write_text(f"begin\n{key}\n# sift:ignore\n")
        token = fakes(TOKEN_RULE, 1)[0]
        (tmp_path / "next.txt").write_text(f"{key}\n{token} # sift:ignore\n")
        found = [json.loads(line) for line in invoke("scan", "--format", "jsonl", tmp_path).lines]
        names = [(Path(row["path"]).name, row["entity_type"]) for row in found]
        assert names == [("behind.txt", "PRIVATE_KEY"), ("next.txt", "PRIVATE_KEY")]


class TestErrors:
    """One sentence on standard error, exit 2, no traceback, nothing on standard output."""

    @pytest.mark.parametrize(
        ("arguments", "word"),
        [
            (["scan"], "PATH"),
            (["scan", "--rules", "nope", "."], "nope"),
            (["scan", "--rule-file", "/nowhere/mine.toml", "."], "mine.toml"),
            (["scan", "--entities", "NOPE", "."], "NOPE"),
            (["scan", "--exclude", "NOPE", "."], "NOPE"),
            (["scan", "--min-score", "2", "."], "min-score"),
            (["scan", "--max-size", "1x", "."], "1x"),
            (["scan", "--threads", "0", "."], "threads"),
            (["scan", "--format", "xml", "."], "xml"),
            (["scan", "--baseline", "/nowhere/baseline", "."], "baseline"),
            (["scan", "--output", "/nowhere/out", "."], "/nowhere"),
            (["scan", "--output", "/tmp", "."], "folder"),
            (["scan", "--nope", "."], "nope"),
            (["nope"], "nope"),
        ],
    )
    def test_misuse(self, invoke: Invoke, arguments: list[str], word: str) -> None:
        ran = invoke(*arguments)
        assert (ran.code, ran.out) == (2, b"")
        assert ran.err.startswith("sift-fast: ")
        assert ran.err.count("\n") == 1
        assert word in ran.err

    def test_a_broken_rule_names_file_rule_and_reason(self, invoke: Invoke, tmp_path: Path) -> None:
        rules = tmp_path / "mine.toml"
        rules.write_text(
            "[[rule]]\nid = 'secret.acme.key'\ntitle = 'x'\nentity = 'X'\nseverity = 'low'\nscore = 0.5\n"
            "pattern = '(acme_[a-z]+)'\nexamples = ['a']\n"
        )
        ran = invoke("scan", "--rule-file", rules, tmp_path)
        assert ran.code == 2
        assert "mine.toml" in ran.err
        assert "secret.acme.key" in ran.err
        assert "bound" in ran.err
        assert ran.err.count("\n") == 1

    def test_a_missing_path_is_reported_and_the_scan_goes_on(self, invoke: Invoke, tree: Path) -> None:
        ran = invoke("scan", tree / "nowhere", tree)
        assert ran.code == 2
        assert len(ran.lines) == 1
        assert "nowhere` cannot be read" in ran.err
        assert "1 unreadable" in ran.err


def test_utf_16_on_standard_input_is_as_in_a_file(command: Invoke, tmp_path: Path, secret: str) -> None:
    data = f"\ufeffé token = {secret}\r\n".encode("utf-16-le")
    (tmp_path / "wide.txt").write_bytes(data)
    of_file, of_input = command("scan", "wide.txt"), command("scan", "-", stdin=data)
    assert of_file.code == of_input.code == 1
    assert of_file.out.replace(b"wide.txt", b"<stdin>") == of_input.out
    assert command("explain", "wide.txt").code == 1
