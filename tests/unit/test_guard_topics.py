"""Denied topics by example: what they find, what they leave alone, and that they only tighten."""

from __future__ import annotations

import asyncio
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import sift_fast as sf
from sift_fast import _core
from sift_fast.cli.app import cli
from sift_fast.guard import Guard
from sift_fast.guard.config import GuardConfig

DATA = Path(__file__).parents[1] / "data"
CONTEXT = sf.RequestContext(conversation="c1")
LAW = "Can I sue the shop in court, and do I need a lawyer for it?"
EXAMPLES = [f"Is the law about {what} on my side in court?" for what in "abcdefgh"]
OTHERS = [f"Where is my parcel {what}, please?" for what in "abcdefgh"]


def make(**topics: Any) -> Guard:
    """A guard with the topics of the data, changed key by key."""
    given = {"file": str(DATA / "topics.toml"), **topics}
    return Guard({"version": 1, "guardrails": {"topics": given}})


def test_figures_on_texts_that_were_not_learned_from():
    """What docs/guard.md says: half of what is about a topic, and next to nothing of what is not."""
    held_out = tomllib.loads((DATA / "topics.held-out.toml").read_text(encoding="utf-8"))
    guard = make()
    verdicts = {
        kind: [guard.check_input_sync(text, sf.RequestContext()) for text in held_out[kind]] for kind in held_out
    }
    denied = {kind: sum(not verdict.allowed for verdict in each) for kind, each in verdicts.items()}
    assert (denied, {kind: len(each) for kind, each in held_out.items()}) == (
        {"medicine": 10, "law": 12, "near": 2, "ordinary": 0},
        {"medicine": 20, "law": 20, "near": 24, "ordinary": 40},
    )
    by_topic = [
        (kind, result.rules) for kind in ("medicine", "law") for each in verdicts[kind] for result in each.results
    ]
    assert all(rules == (f"topics.{kind}",) for kind, rules in by_topic)


def test_a_topic_is_denied_with_its_own_answer():
    verdict = make().check_input_sync(LAW, CONTEXT)
    assert (verdict.decision, verdict.reason) == ("block", "topics.resembles")
    assert verdict.message == "We cannot advise on the law. Please ask a solicitor."
    assert 0.5 <= verdict.results[0].score <= 1
    assert make().check_input_sync("Where is my order?", CONTEXT).decision == "allow"


def test_phrases_come_first_and_allowed_topics_stay_a_matter_of_phrases():
    guard = make(allow={"orders": {"phrases": ["order", "court"]}}, short=0)
    assert guard.check_input_sync("What is the dosage of it?", CONTEXT).reason == "topics.denied"
    assert guard.check_input_sync(LAW, CONTEXT).reason == "topics.resembles"
    assert guard.check_input_sync("Where is my parcel?", CONTEXT).reason == "topics.not_allowed"
    assert guard.check_input_sync("Where is my order?", CONTEXT).decision == "allow"


def test_scores_tell_how_far_above_the_threshold_a_text_is():
    flagged = make(on_violation="flag", block_at=0.99)
    assert flagged.check_input_sync(LAW, CONTEXT).decision == "flag"
    assert make(min_score=0.99).check_input_sync(LAW, CONTEXT).decision == "allow"
    assert make(mode="monitor").check_input_sync(LAW, CONTEXT).results[0].decision == "block"


def test_answers_are_judged_where_that_is_asked_for():
    assert make().check_output_sync(LAW, CONTEXT).decision == "allow"
    guard = make(examples_at=["input", "output"])
    assert guard.check_output_sync(LAW, CONTEXT).reason == "topics.resembles"
    for width in (1, 7, 1_000):
        stream = guard.stream_output((LAW[at : at + width] for at in range(0, len(LAW), width)), CONTEXT, say=False)

        async def shown(stream: Any = stream) -> str:
            return "".join([piece async for piece in stream])

        assert asyncio.run(shown()) == ""
        assert stream.verdict.reason == "topics.resembles"


def test_a_topic_that_is_said_in_parts_is_read_together():
    joined = make().check_joined(
        ["Can I sue the shop in", "court, and do I need a lawyer for it?"], CONTEXT, stage="input"
    )
    assert asyncio.run(joined) == "<REMOVED>"
    calm = make().check_joined(["Where is", "my order?"], CONTEXT, stage="input")
    assert asyncio.run(calm) is None


def test_an_earlier_turn_about_a_topic_does_not_go_on():
    assert make().reread_sync(LAW, CONTEXT) == "<REMOVED>"


def test_events_name_the_topic_and_no_text(tmp_path):
    guard = Guard(
        {
            "version": 1,
            "guardrails": {"topics": {"file": str(DATA / "topics.toml")}},
            "events": {"file": str(tmp_path / "events.jsonl")},
        }
    )
    with guard:
        guard.check_input_sync(LAW, CONTEXT)
    (line,) = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(line)["guardrails"][0]["rules"] == ["topics.law"]
    assert "lawyer" not in line


def test_the_file_is_part_of_the_configuration(tmp_path):
    (tmp_path / "topics.toml").write_text('[deny.arms]\nphrases = ["cannon"]\n')
    config = GuardConfig.from_dict(
        {"version": 1, "guardrails": {"topics": {"file": "topics.toml"}}}, base=str(tmp_path)
    )
    guard = Guard(config)
    assert guard.check_input_sync("Where can I buy a cannon?", CONTEXT).reason == "topics.denied"
    (tmp_path / "topics.toml").write_text('[deny.arms]\nphrases = ["musket"]\n')
    again = GuardConfig.from_dict({"version": 1, "guardrails": {"topics": {"file": "topics.toml"}}}, base=str(tmp_path))
    guard.reload(again)
    assert again.hash != config.hash
    assert guard.check_input_sync("Where can I buy a cannon?", CONTEXT).decision == "allow"


@pytest.mark.parametrize(
    ("topics", "match"),
    [
        ({"deny": {"law": {"examples": EXAMPLES[:7]}}, "others": OTHERS}, "needs 8 examples"),
        ({"deny": {"law": {"examples": EXAMPLES}}, "others": OTHERS[:7]}, "as many texts that are none"),
        ({"deny": {"law": {"phrases": ["law"], "counter_examples": OTHERS}}}, "counter-examples and no examples"),
        ({"allow": {"law": {"examples": EXAMPLES}}, "others": OTHERS}, "those can only deny"),
        ({"deny": {"law": {"examples": EXAMPLES * 300}}, "others": OTHERS}, "at most 2000 examples"),
        ({"deny": {"law": {"examples": [*EXAMPLES, "x" * 1_001]}}, "others": OTHERS}, "of at most 1000 characters"),
        ({"deny": {"law": {"examples": EXAMPLES, "threshold": 1.0}}, "others": OTHERS}, "between 0.05 and 0.99"),
        ({"file": "missing.toml"}, "`missing.toml` cannot be read"),
        ({"file": str(DATA / "topics.toml"), "deny": {"law": {"phrases": ["law"]}}}, "`deny.law` stands in its `file`"),
        ({"file": str(DATA / "topics.held-out.toml")}, "unknown key `medicine`"),
        ({"file": str(DATA / "rules.snapshot.txt")}, "is no TOML"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(topics, match):
    with pytest.raises(sf.ConfigError, match=match) as refused:
        Guard({"version": 1, "guardrails": {"topics": topics}})
    assert "parcel" not in str(refused.value)


def test_the_same_examples_give_the_same_scores():
    one, other = (_core._TopicModel(EXAMPLES, OTHERS) for _ in range(2))
    for text in (LAW, "", "\ud800 x", "law " * 5_000):
        assert one.score(text) == other.score(text)
        assert 0 <= one.score(text) <= 1


def test_the_command_says_what_a_threshold_leads_to(tmp_path):
    file = tmp_path / "sift.toml"
    file.write_text(f'version = 1\n[guardrails.topics]\nfile = "{DATA / "topics.toml"}"\n')
    told = CliRunner().invoke(cli, ["config", "topics", str(file)])
    assert told.exit_code == 0, told.output
    assert "topics.medicine: 76 examples, 156 others, threshold 0.5" in told.output
    assert told.output.count("<- in the file") == 2
    judged = CliRunner().invoke(
        cli, ["config", "topics", str(file), "--lines", "-"], input=f"Where is my order?\n{LAW}\n"
    )
    law = judged.output.partition("topics.law")[2]
    assert ("line 1" in law, law.count("passes"), law.count("denied")) == (True, 1, 1)
    assert "lawyer" not in judged.output
    file.write_text("version = 1\npreset = 'chat'\n")
    refused = CliRunner().invoke(cli, ["config", "topics", str(file)])
    assert refused.exit_code != 0
    assert isinstance(refused.exception, sf.ConfigError) or "no denied topic" in refused.output
