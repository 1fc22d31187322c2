"""Answers that have to be a pydantic model, against the real package."""

from __future__ import annotations

import sys

import pytest

import sift_fast as sf
from sift_fast.guard import Guard, RequestContext

pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")


class Refund(pydantic.BaseModel):
    """What the model has to answer."""

    order: str
    cents: int = pydantic.Field(gt=0)

    @pydantic.field_validator("order")
    @classmethod
    def known(cls, value):
        """Raises what no validator should."""
        if value == "boom":
            raise RuntimeError
        return value


CONTEXT = RequestContext(conversation="c1")


def make(given=None, **table):
    models = None if given is None else {"schema": given}
    return Guard({"version": 1, "guardrails": {"schema": {"retries": 1, **table}}}, models=models)


@pytest.mark.parametrize("model", [Refund, pydantic.TypeAdapter(Refund)])
def test_an_answer_is_asked_for_again_and_then_goes_to_a_person(model):
    guard = make(model)
    good = '```json\n{"order": "o", "cents": 5}\n```'
    assert guard.check_output_sync(good, CONTEXT).decision == "allow"
    decisions = [guard.check_output_sync(text, CONTEXT) for text in ("no JSON", '{"order": "o", "cents": -5}')]
    assert [(verdict.decision, verdict.reason) for verdict in decisions] == [
        ("block", "schema.retry"),
        ("escalate", "schema.failed"),
    ]
    assert guard.desk.pending()[0].reason == "schema.failed"
    assert guard.check_output_sync(good, CONTEXT).decision == "allow"


def test_a_model_is_imported_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "answers.py").write_text(
        "from pydantic import BaseModel\nclass Answer(BaseModel):\n    text: str\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    guard = Guard({"version": 1, "guardrails": {"schema": {"model": "answers:Answer"}}})
    assert guard.check_output_sync('{"text": "x"}', CONTEXT).decision == "allow"
    assert guard.check_output_sync('{"text": 1}', CONTEXT).decision == "block"
    sys.modules.pop("answers")


def test_a_validator_that_breaks_blocks():
    verdict = make(Refund).check_output_sync('{"order": "boom", "cents": 5}', CONTEXT)
    assert (verdict.decision, verdict.status) == ("block", "error")


@pytest.mark.parametrize("table", [{"model": "nowhere:Answer"}, {"model": "json"}, {"model": "json:dumps"}])
def test_a_wrong_model_is_refused(table):
    with pytest.raises(sf.ConfigError):
        make(**table)


def test_a_schema_or_a_model():
    with pytest.raises(sf.ConfigError):
        make(Refund, schema={"type": "object"})
