"""Against the real packages: the same results in, the same text and items out; and a recognizer in their engine."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sift_fast as sf
from sift_fast import _core
from sift_fast.integrations import presidio as ours

analyzer = pytest.importorskip("presidio_analyzer", reason="presidio-analyzer is not installed")
theirs = pytest.importorskip("presidio_anonymizer", reason="presidio-anonymizer is not installed")

TOKEN = _core.generate("secret.github.token", 41, 1, ["secrets"])[0]
TEXT = st.text("ab é\n", min_size=1, max_size=30)
ENTITIES = ["PERSON", "URL", "PHONE"]
OPERATORS = st.dictionaries(
    st.sampled_from([*ENTITIES, "DEFAULT"]),
    st.sampled_from(
        [
            ("replace", {}),
            ("replace", {"new_value": "new"}),
            ("redact", {}),
            ("keep", {}),
            ("mask", {"masking_char": "*", "chars_to_mask": 2, "from_end": True}),
            ("mask", {"masking_char": "#", "chars_to_mask": 3, "from_end": False}),
            ("hash", {"salt": b"0123456789abcdef"}),
            ("custom", {"lambda": lambda value: value[::-1] + "!"}),
        ]
    ),
)


@st.composite
def results(draw, length):
    start = draw(st.integers(0, length))
    end = draw(st.integers(start, length))
    return draw(st.sampled_from(ENTITIES)), start, end, draw(st.sampled_from([0.1, 0.5, 0.5, 1.0]))


@st.composite
def cases(draw):
    text = draw(TEXT)
    return text, draw(st.lists(results(len(text)), max_size=7))


def both(call):
    """What each gives, or that it refuses."""
    answers = []
    for module in (ours, theirs):
        try:
            done = call(module)
        except (ours.InvalidParamError, theirs.InvalidParamError):
            answers.append(None)
        else:
            answers.append((done.text, [item.to_dict() for item in done.items]))
    return answers


@settings(max_examples=3000, deadline=None)
@given(case=cases(), operators=OPERATORS, remove=st.booleans(), spaces=st.booleans())
def test_anonymizers_agree(case, operators, remove, spaces):
    text, found = case

    def call(module):
        strategy = module.ConflictResolutionStrategy
        return module.AnonymizerEngine().anonymize(
            text,
            [module.RecognizerResult(*one) for one in found],
            {name: module.OperatorConfig(*config) for name, config in operators.items()},
            strategy.REMOVE_INTERSECTIONS if remove else strategy.MERGE_SIMILAR_OR_CONTAINED,
            spaces,
        )

    one, two = both(call)
    assert one == two


@pytest.mark.parametrize("key", ["0123456789abcdef", bytes(24), bytes(range(32))])
def test_ciphertexts_are_exchanged(key):
    """What one encrypts the other decrypts."""
    text, config = "call Jané at once", ("encrypt", {"key": key})
    for first, second in ((ours, theirs), (theirs, ours)):
        hidden = first.AnonymizerEngine().anonymize(
            text, [first.RecognizerResult("PERSON", 5, 9, 0.9)], {"DEFAULT": first.OperatorConfig(*config)}
        )
        assert "Jané" not in hidden.text
        items = [second.OperatorResult.from_json(item.to_dict()) for item in hidden.items]
        shown = second.DeanonymizeEngine().deanonymize(
            hidden.text, items, {"DEFAULT": second.OperatorConfig("decrypt", {"key": key})}
        )
        assert shown.text == text
        assert [item.operator for item in shown.items] == ["decrypt"]


def test_a_wrong_key_shows_nothing(monkeypatch):
    # One wrong padding in 256 passes for a right one: the vector is fixed to one that does not.
    monkeypatch.setattr(ours.os, "urandom", bytes)
    hidden = ours.AnonymizerEngine().anonymize(
        "Jane",
        [ours.RecognizerResult("PERSON", 0, 4, 0.9)],
        {"DEFAULT": ours.OperatorConfig("encrypt", {"key": bytes(16)})},
    )
    for text, key in ((hidden.text, bytes(15) + b"x"), ("A" * 8, bytes(16)), ("no base64!", bytes(16))):
        items = [ours.OperatorResult(0, len(text), "PERSON")]
        config = {"DEFAULT": ours.OperatorConfig("decrypt", {"key": key})}
        with pytest.raises(ours.InvalidParamError) as caught:
            ours.DeanonymizeEngine().deanonymize(text, items, config)
        assert caught.value.__context__ is None


def test_results_are_interchangeable():
    text = "Jane is here"
    for one, two in ((ours, theirs), (theirs, ours)):
        found = [one.RecognizerResult("PERSON", 0, 4, 0.9)]
        operators = {"PERSON": one.OperatorConfig("mask", {"masking_char": "*", "chars_to_mask": 9, "from_end": True})}
        strategy = one.ConflictResolutionStrategy.REMOVE_INTERSECTIONS
        assert two.AnonymizerEngine().anonymize(text, found, operators, strategy).text == "**** is here"
    real = analyzer.RecognizerResult("PERSON", 0, 4, 0.9)
    assert real == ours.RecognizerResult("PERSON", 0, 4, 0.9) == real


@given(pairs=st.tuples(results(9), results(9)))
def test_results_compare_alike(pairs):
    one, two = ([cls(*pair) for pair in pairs] for cls in (ours.RecognizerResult, analyzer.RecognizerResult))
    for name in ("contained_in", "contains", "equal_indices", "has_conflict", "__gt__", "__eq__"):
        assert getattr(one[0], name)(one[1]) == getattr(two[0], name)(two[1])
    assert one[0].intersects(one[1]) == max(0, two[0].intersects(two[1]))
    assert str(one[0]) == str(two[0])


@settings(deadline=None)
@given(found=st.lists(results(9), max_size=9))
def test_duplicates_are_removed_alike(found):
    wanted = analyzer.EntityRecognizer.remove_duplicates([analyzer.RecognizerResult(*one) for one in found])
    given_ = ours._without_duplicates([ours.RecognizerResult(*one) for one in found])
    key = lambda r: (-r.score, r.start, r.end, r.entity_type)  # noqa: E731
    assert sorted(map(str, given_)) == sorted(map(str, wanted))
    assert [key(r)[:2] for r in given_] == [key(r)[:2] for r in wanted]


@pytest.fixture(scope="module")
def engine():
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    registry = analyzer.RecognizerRegistry()
    registry.add_recognizer(ours.entity_recognizer())
    return analyzer.AnalyzerEngine(
        registry=registry, nlp_engine=NoOpNlpEngine([{"lang_code": "en", "model_name": "none"}])
    )


def test_a_recognizer_in_their_engine(engine):
    text = f"é {TOKEN} and more"
    (found,) = engine.analyze(text, language="en")
    (own,) = ours.AnalyzerEngine().analyze(text, "en")
    assert (found.entity_type, found.start, found.end, found.score) == ("GITHUB_TOKEN", 2, 2 + len(TOKEN), own.score)
    assert found.recognition_metadata["recognizer_name"] == "SiftRecognizer"
    (found,) = engine.analyze(text, language="en", return_decision_process=True, context=["token"])
    assert found.score == own.score
    assert found.analysis_explanation.textual_explanation == "secret.github.token"
    assert engine.analyze(text, language="en", entities=["AWS_ACCESS_KEY_ID"]) == []
    assert set(engine.get_supported_entities("en")) == set(ours.AnalyzerEngine().get_supported_entities())
    done = theirs.AnonymizerEngine().anonymize(text, [found])
    assert done.text == "é <GITHUB_TOKEN> and more"


def test_signatures_are_theirs():
    import inspect

    for name, module in (("AnonymizerEngine", theirs), ("DeanonymizeEngine", theirs), ("AnalyzerEngine", analyzer)):
        for method in ("__init__", "anonymize", "deanonymize", "analyze", "get_supported_entities", "get_recognizers"):
            real = getattr(getattr(module, name), method, None)
            if real is None or not inspect.isfunction(real):
                continue
            wanted = [p for p in inspect.signature(real).parameters if p != "self"]
            got = inspect.signature(getattr(getattr(ours, name), method)).parameters
            assert [p for p in got if p != "self" and got[p].kind is not inspect.Parameter.KEYWORD_ONLY] == wanted
            for parameter in wanted:
                default = inspect.signature(real).parameters[parameter].default
                mine = got[parameter].default
                assert getattr(default, "value", default) == getattr(mine, "value", mine), (name, method, parameter)


def test_ad_hoc_recognizers_are_theirs():
    pattern = analyzer.Pattern("zip", r"\b\d{5}\b", 0.4)
    ad_hoc = analyzer.PatternRecognizer("ZIP", patterns=[pattern])
    (found,) = ours.AnalyzerEngine().analyze("at 12345 now", "en", ad_hoc_recognizers=[ad_hoc])
    assert (found.entity_type, found.start, found.end, found.score) == ("ZIP", 3, 8, 0.4)
    assert sf.Scanner().scan("at 12345 now").incomplete == ()


def test_the_recorded_vectors_are_theirs():
    """What `make test` compares with is what these packages say."""
    import importlib.util
    import json
    from pathlib import Path

    script = Path(__file__).parents[3] / "scripts" / "presidio_vectors.py"
    spec = importlib.util.spec_from_file_location("presidio_vectors", script)
    recorder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recorder)
    recorded = [json.loads(line) for line in recorder.FILE.read_text(encoding="utf-8").splitlines()]
    # Initialization vectors of ciphertexts are random.
    same = [vector for vector in recorder.vectors() if vector["kind"] != "decrypt"]
    assert [vector for vector in recorded if vector["kind"] != "decrypt"] == json.loads(json.dumps(same))
