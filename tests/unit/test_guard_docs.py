"""What the documents of the guard say is what it does: configurations load, the reference is the declared one."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import sift_fast as sf
from sift_fast.cli.app import cli
from sift_fast.guard import Guard, GuardConfig, RequestContext
from sift_fast.guard.config import KINDS, config_schema, reference
from sift_fast.guard.events import make_event

DOCS = Path(__file__).parents[2] / "docs"


def blocks():
    for path in (*sorted(DOCS.glob("guard*.md")), *sorted(DOCS.glob("migrate-*.md"))):
        text = path.read_text(encoding="utf-8")
        for number, block in enumerate(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)):
            if "version = 1" in block:
                yield pytest.param(block, id=f"{path.stem}-{number}")


@pytest.mark.parametrize("block", list(blocks()))
def test_configurations_load_and_check(block, tmp_path):
    (tmp_path / "prompt.txt").write_text("You are the helper of a shop. " * 4)
    (tmp_path / "order.schema.json").write_text('{"type": "object"}')
    (tmp_path / "sift.toml").write_text(block)
    if "[kernel]" in block:
        made = CliRunner().invoke(cli, ["init", str(tmp_path / "governance"), "--template", "support"])
        assert made.exit_code == 0, made.output
    with Guard.open(tmp_path / "sift.toml") as guard:
        assert guard.check_input_sync("Good morning", RequestContext()).decision == "allow"
        if guard.kernel is not None:
            context = RequestContext(tenant="acme", role="support", conversation="c1")
            assert guard.check_tool_input_sync("read_order", {"order": "o-1"}, context).receipt is not None


@pytest.mark.parametrize("name", ["migrate-litellm", "migrate-llm-guard", "migrate-nemo", "migrate-guardrails-ai"])
def test_examples_of_migration_run(name):
    # Code fences end where examples do.
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8").replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, {"sf": sf}, name, name, 0)
    assert len(test.examples) >= 3
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.summarize().failed == 0


def test_keys_and_kinds_that_migration_names_exist():
    """A table that sends a reader to a key that is not there costs an afternoon."""
    schema = config_schema()
    kinds = schema["properties"]["guardrails"]["properties"]
    for path in DOCS.glob("migrate-*.md"):
        for kind in re.findall(r"\[guardrails\.(\w+)", path.read_text(encoding="utf-8")):
            assert kind in kinds, (path.name, kind)


def test_the_reference_is_the_declared_one():
    assert (DOCS / "guard-config.md").read_text(encoding="utf-8") == reference()


def test_the_schema_knows_every_kind_and_every_key():
    schema = config_schema()
    assert schema["additionalProperties"] is False
    assert set(KINDS) == set(schema["properties"]["guardrails"]["properties"])
    for kind, (table, _) in KINDS.items():
        declared = set(table.__dataclass_fields__)
        assert set(schema["properties"]["guardrails"]["properties"][kind]["properties"]) == declared
    json.dumps(schema)


def test_every_field_of_an_event_is_described():
    verdict = Guard({"version": 1}).check_input_sync("x", RequestContext())
    event = make_event(verdict, RequestContext(), tenant=True, sampled=1.0)
    text = (DOCS / "guard-events.md").read_text(encoding="utf-8")
    assert [field for field in event if f"`{field}`" not in text] == []


def through(block: str, folder: Path) -> tuple[int, str]:
    """How many attacks get through a configuration, as the command says it."""
    (folder / "sift.toml").write_text(block)
    ran = CliRunner().invoke(cli, ["attack", str(folder / "sift.toml")])
    (number,) = re.findall(r"^(\d+) of 83 attacks get through", ran.output, re.MULTILINE)
    assert ran.exit_code == int(number != "0")
    return int(number), ran.output


def test_each_week_of_adoption_says_what_gets_through(tmp_path):
    text = (DOCS / "guard-adoption.md").read_text(encoding="utf-8")
    weeks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    told = [int(number) for number in re.findall(r"^\| \d \| (\d+)", text, re.MULTILINE)]
    assert CliRunner().invoke(cli, ["init", str(tmp_path / "governance")]).exit_code == 0
    assert [through(week, tmp_path)[0] for week in weeks] == told
    assert "nothing is enforced" in through(weeks[0], tmp_path)[1]


def test_an_attack_that_gets_through_is_named_with_what_there_is_against_it(tmp_path):
    block = re.findall(r"```toml\n(.*?)```", (DOCS / "guard.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    number, output = through(block, tmp_path)
    # What guard.md says of its configuration.
    assert number == 1
    assert "DROP TABLE" in output
    assert "block_at = 0.4" in output
    number, output = through(block.replace("[guardrails.grounding]", "[guardrails.pii]"), tmp_path)
    assert number == 11
    assert re.search(r'LLM09 .*`\[guardrails.grounding\]` with `on_violation = "block"`', output)
    assessed = CliRunner().invoke(cli, ["assess", str(tmp_path / "sift.toml")])
    assert assessed.exit_code == 1
    assert "missing; there is `[guardrails.grounding]`" in assessed.output


def test_every_risk_has_a_remedy_that_the_configuration_knows():
    from sift_fast.guard.attacks import REMEDIES, RISKS

    assert REMEDIES.keys() == RISKS.keys()
    kinds = {*KINDS, "injection_indirect"}
    for text in REMEDIES.values():
        assert set(re.findall(r"\[guardrails\.(\w+)", text)) <= kinds


def test_the_table_of_risks_is_what_is_played():
    from sift_fast.guard.attacks import _cases, play

    played = list(play(Guard(GuardConfig.load(DOCS.parent / "tests" / "data" / "guard.toml"))))
    text = (DOCS / "owasp.md").read_text(encoding="utf-8")
    for risk, cases in _cases().items():
        stopped = sum(one.stopped is True for one in played if one.risk == risk)
        passed = sum(one.passed is True for one in played if one.risk == risk)
        row = next(line for line in text.splitlines() if line.startswith(f"| {risk}"))
        assert f"| {stopped} of {len(cases)} | {passed} of {len(cases)} |" in row
