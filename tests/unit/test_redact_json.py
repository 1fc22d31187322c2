"""`redact_json`: JSON stays JSON, keys are context, and what is not edited is not touched."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sift_fast as sf
from sift_fast import _core, _documents

KEY = bytes(range(32))
SCANNER = sf.Scanner()
TOKEN, OTHER = _core.generate("secret.github.token", 31, 2, ["secrets"])
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text('ab"\\\n é😀\ud800{[', max_size=8),
        st.just(TOKEN),
        st.just(f'say "{TOKEN}"\n'),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.text('ab"é', max_size=3), st.just(TOKEN)), inner, max_size=4),
        inner.map(json.dumps),
    ),
    max_leaves=12,
)


def plain(value):
    """The document with the token replaced in everything that is no JSON in a string."""
    if isinstance(value, str):
        return value.replace(TOKEN, "<GITHUB_TOKEN>")
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return value


@given(value=JSON, indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
def test_text_and_containers_agree(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    red = SCANNER.redact_json(text)
    assert TOKEN not in red.value
    assert json.loads(red.value) == plain(value)
    if TOKEN not in text:
        assert red.value == text
    if isinstance(value, (list, dict)):
        inside = SCANNER.redact_json(value)
        assert inside.value == plain(value)
        assert inside.items == red.items


@given(value=JSON)
def test_a_vault_takes_it_back(value):
    vault = sf.Vault(KEY)
    text = json.dumps(value)
    red = SCANNER.redact_json(text, vault=vault)
    assert TOKEN not in red.value
    assert json.loads(vault.restore_json(red.value, urls=True)) == value


def test_what_is_not_edited_stays_as_it_is_written():
    text = f' {{ "a" : [1.50,2e3 , -0, "\\u00e9é\\/", true,null] ,"a":"{TOKEN}",\n"b":{{}} ,"c":[[],[ ]]}} '
    assert SCANNER.redact_json(text).value == text.replace(TOKEN, "<GITHUB_TOKEN>")
    assert SCANNER.redact_json(text.encode()).value == text.replace(TOKEN, "<GITHUB_TOKEN>").encode()
    for value in ("3", "null", '"x"', "[]", '{"big": 1' + "0" * 5000 + "}"):
        assert SCANNER.redact_json(value).value == value


def test_keys_are_context(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(
        "[[rule]]\nid = 'pii.test.pin'\ntitle = 'PIN'\nentity = 'PIN'\nseverity = 'low'\nscore = 0.9\n"
        "pattern = '''\\b(\\d{4})\\b'''\nliteral_reason = 'digits'\n"
        "context = { words = ['pin', 'card code'], window = 40, required = true }\n"
        "examples = ['pin 1234']\nnegatives = ['1234']\n",
        encoding="utf-8",
    )
    scanner = sf.Scanner([], rule_files=[path])
    document = {
        "pin": "1234", "year": "1234", "cardCode": "1234", "CARD_CODE": ["1234", 1234], "nested": {"pin": {"x": "1234"}},
        "pin ": 1234, "float": 1234.0, "call": '{"pin": "1234", "year": 1234}',
    }  # fmt: skip
    red = scanner.redact_json(document)
    assert red.value == {
        "pin": "<PIN>", "year": "1234", "cardCode": "<PIN>", "CARD_CODE": ["<PIN>", 0], "nested": {"pin": {"x": "1234"}},
        "pin ": 0, "float": 1234.0, "call": '{"pin": "<PIN>", "year": 1234}',
    }  # fmt: skip
    assert red.items == (
        sf.JsonItem(("pin",), "PIN", "replace"),
        sf.JsonItem(("cardCode",), "PIN", "replace"),
        sf.JsonItem(("CARD_CODE", 0), "PIN", "replace"),
        sf.JsonItem(("CARD_CODE", 1), "PIN", "zero"),
        sf.JsonItem(("pin ",), "PIN", "zero"),
        sf.JsonItem(("call", "pin"), "PIN", "replace"),
    )
    assert json.loads(scanner.redact_json(json.dumps(document)).value) == red.value
    assert scanner.redact_json(json.dumps(document)).items == red.items
    as_text = scanner.redact_json({"pin": 1234}, numbers="text")
    assert as_text.value == {"pin": "<PIN>"}
    assert scanner.redact_json('{"pin": 1234}', numbers="text").value == '{"pin": "<PIN>"}'
    assert document["pin"] == "1234"


def test_keys_are_redacted_and_stay_apart():
    red = SCANNER.redact_json({TOKEN: 1, OTHER: 2, "<GITHUB_TOKEN>": 3, 4: TOKEN})
    assert red.value == {"<GITHUB_TOKEN> (2)": 1, "<GITHUB_TOKEN> (3)": 2, "<GITHUB_TOKEN>": 3, 4: "<GITHUB_TOKEN>"}
    assert [item.path for item in red.items] == [(), (), (4,)]
    text = SCANNER.redact_json(json.dumps({TOKEN: 1, OTHER: 2})).value
    assert json.loads(text) == {"<GITHUB_TOKEN>": 1, "<GITHUB_TOKEN> (2)": 2}


def test_numbers_are_counted_over_the_document():
    red = SCANNER.redact_json([TOKEN, {"a": OTHER, "b": json.dumps([TOKEN])}], sf.Pseudonym())
    assert red.value == ["<GITHUB_TOKEN_1>", {"a": "<GITHUB_TOKEN_2>", "b": '["<GITHUB_TOKEN_1>"]'}]


def test_tool_calls():
    call = {"name": "send", "arguments": json.dumps({"body": f'quote " {TOKEN}', "again": json.dumps([TOKEN])})}
    red = SCANNER.redact_json(json.dumps({"tool_calls": [call]}))
    arguments = json.loads(json.loads(red.value)["tool_calls"][0]["arguments"])
    assert arguments["body"] == 'quote " <GITHUB_TOKEN>'
    assert json.loads(arguments["again"]) == ["<GITHUB_TOKEN>"]
    assert red.items[0].path == ("tool_calls", 0, "arguments", "body")


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "[1,]", '{"a": "\n}', b"\xff", TOKEN])
def test_no_json(text):
    with pytest.raises(sf.ConfigError, match=r"no JSON|no UTF-8") as caught:
        SCANNER.redact_json(text)
    assert caught.value.__context__ is None
    assert TOKEN not in str(caught.value)


def test_bounds():
    deep = "[" * 150 + "]" * 150
    assert SCANNER.redact_json(deep).value == deep
    for text in ("[" * 201 + "]" * 201, "[" * 100_000 + "]" * 100_000):
        with pytest.raises(sf.LimitExceeded, match="in one another"):
            SCANNER.redact_json(text)
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(sf.LimitExceeded, match="in one another"):
        SCANNER.redact_json(loop)
    text = json.dumps([TOKEN])
    for _ in range(8):
        text = json.dumps([text])
    assert TOKEN not in SCANNER.redact_json(text).value
    with pytest.raises(sf.LimitExceeded, match="JSON in strings"):
        SCANNER.redact_json(json.dumps([text]))


def test_misuse():
    with pytest.raises(TypeError, match="`object`"):
        SCANNER.redact_json({"a": object()})
    with pytest.raises(TypeError, match="`bytes`"):
        SCANNER.redact_json([b"a"])
    with pytest.raises(sf.ConfigError, match="`numbers`"):
        SCANNER.redact_json([], numbers="none")
    with pytest.raises(sf.ConfigError, match="an operator is"):
        SCANNER.redact_json([], "remove")


def test_nothing_is_shown():
    red = SCANNER.redact_json([TOKEN])
    assert repr(red) == "JsonRedaction(1 edits)"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(red)


CARD = "4" + "1" * 15


@pytest.mark.parametrize(
    "number",
    [
        f"{CARD}",
        f"{CARD}.0",
        f"{CARD}e0",
        f"{CARD[:-1]}.1e1",
        f"{CARD}.{'0' * 40}",
        f"{CARD}.{'0' * 9000}",
        f"{CARD}{'0' * 25}e-25",
    ],
)
def test_a_number_is_read_in_every_way_of_writing(number):
    """Floats and exponents once hid the digits of a card."""
    scanner = sf.Scanner(["pii"])
    document = f'{{"credit_card": {number}}}'
    assert CARD not in scanner.redact_json(document).value
    containers = scanner.redact_json(json.loads(document))
    assert containers.value == {"credit_card": 0}
    assert [item.entity_type for item in containers.items] == ["CREDIT_CARD"]


class Masked(float):
    """As numpy's floats: a float that is shown otherwise."""

    def __repr__(self):
        return "x"


class Number(int):
    def __repr__(self):
        return "n"


@pytest.mark.parametrize("number", [Masked(CARD), Number(CARD)])
def test_numbers_are_read_and_not_what_they_show(number):
    scanner = sf.Scanner(["pii"])
    assert scanner.redact_json({"credit card": number}).value == {"credit card": 0}
    [(key, _)] = scanner.redact_json({number: 1}).value.items()
    assert CARD not in repr(key)
    assert key != number


def test_keys_of_every_kind_are_redacted_or_refused():
    scanner = sf.Scanner(["pii"])
    assert CARD not in repr(scanner.redact_json({"credit card": {int(f"{CARD}"): 1}}).value)
    for key in (b"k", ("a",)):
        with pytest.raises(TypeError, match="keys that JSON can hold"):
            scanner.redact_json({key: 1})


def test_a_key_that_reads_like_a_redacted_one_stays_apart():
    """Parsers drop the first of two keys: a value would be lost."""
    for document in (f'{{"{TOKEN}": 1, "<GITHUB_TOKEN>": 2}}', f'{{"<GITHUB_TOKEN>": 2, "{TOKEN}": 1}}'):
        assert sorted(json.loads(SCANNER.redact_json(document).value).values()) == [1, 2]


def test_many_keys_that_become_one_are_numbered():
    """A work of keys times keys once: 4,000 of them would run into the time limit of the test."""
    document = {f"{TOKEN} {number}": number for number in range(4000)}
    same = {f"{TOKEN}{' ' * number}": number for number in range(300)}
    assert len(SCANNER.redact_json(document).value) == 4000
    assert sorted(SCANNER.redact_json(same).value.values()) == list(range(300))


def test_an_integer_that_python_does_not_write_is_a_limit():
    with pytest.raises(sf.LimitExceeded):
        SCANNER.redact_json({"a": 10**5000})


@pytest.mark.parametrize("last", [object(), {(): 1}, 10**5000], ids=["type", "key", "number"])
def test_a_vault_takes_nothing_of_a_document_that_is_refused(last):
    vault = sf.Vault(KEY)
    with pytest.raises((TypeError, sf.LimitExceeded)):
        SCANNER.redact_json([TOKEN, last], vault=vault)
    assert len(vault) == 0


def test_a_vault_takes_in_all_values_or_none():
    vault = sf.Vault(KEY, max_entries=1)
    for document in ([TOKEN, OTHER], {"a": TOKEN, "b": [OTHER]}, json.dumps([TOKEN, OTHER])):
        with pytest.raises(sf.LimitExceeded, match="full"):
            SCANNER.redact_json(document, vault=vault)
        assert len(vault) == 0

    def fails(value, entity_type):
        raise ArithmeticError

    operators = {"PASSWORD": fails, "default": sf.Pseudonym()}
    with pytest.raises(sf.SiftError, match="raised ArithmeticError"):
        SCANNER.redact_json([TOKEN, {"password": PASSWORDS[0]}], operators, vault)
    assert len(vault) == 0
    assert SCANNER.redact_json([TOKEN, TOKEN], vault=vault).value == [f"<GITHUB_TOKEN_1:{vault.tag}>"] * 2


PASSWORDS = _core.generate("secret.generic.password", 5, 4, ["secrets"])


@pytest.mark.parametrize("mark", ["'", '"', "`", "\\", "<", ">", "\t", "é", "$", "|", "/"])
def test_a_password_under_its_name_goes_as_a_whole(mark):
    for password in PASSWORDS:
        for value in (password + mark + password, password + mark, f"{password[:3]}{mark}{password}"):
            for document in ({"password": value}, {"db": {"dbPassword": {"value": value}}}, {"password": [value]}):
                for operator in (None, sf.Mask(), sf.Encrypt(KEY)):
                    red = SCANNER.redact_json(document, operator)
                    text = SCANNER.redact_json(json.dumps(document), operator)
                    assert json.loads(text.value) == red.value
                    assert text.items == red.items
                    assert len(red.items) == 1
                    assert password[4:] not in repr(red.value)
                    if operator is None:
                        assert repr(red.value) == repr(document).replace(repr(value), repr("<PASSWORD>"))


def test_what_is_no_password_s_value_stays():
    document = {
        "password": {
            "type": "string",
            "description": "at least 8 characters",
            "minLength": 8,
            "pattern": "^[a-z]{8,}$",
        },
        "text": {"value": "nothing"},
        "value": {"value": "nothing either"},
    }
    assert SCANNER.redact_json(document).value == document


def test_a_byte_order_mark_stays():
    text = f'\ufeff{{"a": "{TOKEN}"}}'
    assert SCANNER.redact_json(text).value == '\ufeff{"a": "<GITHUB_TOKEN>"}'
    assert SCANNER.redact_json(text.encode()).value == '\ufeff{"a": "<GITHUB_TOKEN>"}'.encode()
    with pytest.raises(sf.ConfigError):
        SCANNER.redact_json("\ufeff\ufeff{}")


# What a document of an interface holds, by key: each pair is one field, found under the named set and under more.
FIELDS = [
    ("pii", {"cvv": "123"}),
    ("pii", {"card_cvv": "123"}),
    ("pii", {"cardCvv": 123}),
    ("pii", {"cardCode": "123"}),
    ("pii", {"card": {"code": "123"}}),
    ("pii", {"cardExpiry": "12/29"}),
    ("pii", {"card-expiry": "12/29"}),
    ("pii", {"pin": "4821"}),
    ("pii", {"pin": 4821}),
    ("pii", {"PIN": "482193"}),
    ("pii", {"debitPin": "4321"}),
    ("pii", {"card": {"pin": {"value": "4321"}}}),
    ("pii", {"myPin": 4321}),
    ("pii", {"customerBirthDate": "1980-01-02"}),
    ("pii", {"birth": {"date": "1980-01-02"}}),
    ("pii", {"dob": ["1980-01-02"]}),
    ("pii", {"name": "Date of birth", "value": "1980-01-02"}),
    ("pii", {"value": "1980-01-02", "name": "dateOfBirth"}),
    ("pii", {"fields": [{"type": "pin", "value": "4821"}]}),
    ("pii", {"address": {"line1": "12 Main Street"}}),
    ("pii", {"address": {"street": "12 Main Street"}}),
    ("pii", {"card": {"number": "30569309025904"}}),
    ("pii", {"arguments": '{"card_cvv": "123"}'}),
    ("secrets", {"password": {"current": "hunter2xyz"}}),
    ("secrets", {"password": {"new": "hunter2xyz"}}),
    ("secrets", {"fields": [{"label": "password", "value": "hunter2xyz"}]}),
    ("pii-us", {"ssn": "219099998"}),
    ("pii-us", {"ssn": 219099998}),
    ("pii-us", {"name": "SSN", "value": "536904399"}),
    ("pii-us", {"phone": "4155552671"}),
    ("pii-us", {"phone": {"number": "415-555-2671"}}),
]


def leaves(value):
    """What a document holds, its keys and the names beside a value left out."""
    if isinstance(value, str) and value[:1] == "{":
        value = json.loads(value)
    if isinstance(value, dict):
        return [leaf for key, item in value.items() if key not in {"name", "label", "type"} for leaf in leaves(item)]
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]


@pytest.mark.parametrize(("rules", "document"), FIELDS)
def test_a_key_is_the_label_of_its_value(rules, document):
    [value] = leaves(document)
    for sets in ([rules], ["secrets", "pii-all"], ["default", "pii-us"]):
        scanner = sf.Scanner(sets)
        red = scanner.redact_json(document)
        entity = red.items[0].entity_type
        assert leaves(red.value) == [0 if isinstance(value, int) else f"<{entity}>"]
        text = scanner.redact_json(json.dumps(document))
        assert json.loads(text.value) == red.value
        assert text.items == red.items
        vault = sf.Vault(KEY)
        taken = scanner.redact_json(document, vault=vault)
        assert [item.entity_type for item in taken.items] == [item.entity_type for item in red.items]
        assert isinstance(value, int) or vault.restore_json(taken.value) == document


@pytest.mark.parametrize(
    "document",
    [
        {"pin": 13},
        {"pin": "1234 is on the left"},
        {"code": "123"},
        {"error": {"code": "404"}},
        {"order": {"number": "2024"}},
        {"created": {"date": "1980-01-02"}},
        {"createdAt": "1980-01-02T00:00:00Z"},
        {"type": "string", "value": "1980-01-02"},
        {"name": "pinned", "value": "4821"},
        {"spin": "1234"},
    ],
)
def test_what_is_no_label_is_none(document):
    scanner = sf.Scanner(["default", "pii"])
    assert scanner.redact_json(document).value == document
    assert scanner.redact_json(document, vault=sf.Vault(KEY)).value == document


def test_a_day_with_a_time_behind_it():
    scanner = sf.Scanner(["pii"])
    for time in ("T00:00:00Z", "T10:20:30.123+02:00", "t00:00"):
        document = {"dateOfBirth": f"1980-01-02{time}", "at": f"1980-01-02{time}"}
        vault = sf.Vault(KEY)
        for options in ({}, {"vault": vault}, {"operators": sf.Mask()}):
            red = scanner.redact_json(document, **options)
            assert red.value["at"] == document["at"]
            assert "1980" not in red.value["dateOfBirth"]
            assert [item.path for item in red.items] == [("dateOfBirth",)]
        assert vault.restore_json(scanner.redact_json(document, vault=vault).value) == document


def test_names_in_one_another_are_bounded(monkeypatch):
    """Names that stand beside values add up over objects in one another; each is one more look at the text."""
    looks = []

    def counted(text, called, number):
        for trial in tries(text, called, number):
            looks.append(text)
            yield trial

    tries = _documents._tries
    monkeypatch.setattr(_documents, "_tries", counted)
    document: object = ["ordinary"]
    for number in range(60):
        document = {"value": {"name": f"name {number}", "label": f"label {number}", "value": document, "code": "x"}}
    assert SCANNER.redact_json(document).value == document
    assert 1 < looks.count("ordinary") <= 2 * _documents._MOST_NAMES
    looks.clear()
    document = ["ordinary"]
    for number in range(120):
        document = {"number" if number % 2 else "code": document}
    assert SCANNER.redact_json({"thing": document}).value == {"thing": document}
    assert 1 < looks.count("ordinary") <= 2 * _documents._MOST_NAMES


@pytest.mark.parametrize("text", [str, json.dumps], ids=["containers", "text"])
def test_limits_are_told(text):
    scanner = sf.Scanner(["pii"], limits=sf.Limits(finding_bytes=64))
    document = ["ann@acme.com", f"{'a' * 60}@{'b' * 60}.acme.com"]
    red = scanner.redact_json(document if text is str else text(document), sf.Hash(KEY))
    assert red.incomplete == ("finding_bytes",)
    assert scanner.redact_json(document[:1], sf.Hash(KEY)).incomplete == ()


@pytest.mark.parametrize(
    "key", ["value", "values", "val", "data", "text", "content", "raw", "string", "stringValue", "plain", "PlainText"]
)
def test_a_key_that_says_nothing_leaves_the_name_to_its_object(key):
    document = {"password": {key: PASSWORDS[0]}, "other": {key: "word"}}
    wanted = {"password": {key: "<PASSWORD>"}, "other": {key: "word"}}
    assert SCANNER.redact_json(document).value == wanted
    assert json.loads(SCANNER.redact_json(json.dumps(document)).value) == wanted
    # Behind another value as well, and not behind an object.
    for document in ({"password": {"x": 1, key: PASSWORDS[0]}}, {"password": [{"x": []}, {key: PASSWORDS[0]}]}):
        red = SCANNER.redact_json(json.dumps(document))
        assert PASSWORDS[0] not in red.value
        assert red.items == SCANNER.redact_json(document).items


def test_numbers_keep_their_type():
    scanner = sf.Scanner(["pii"])
    red = scanner.redact_json({"credit card": [float(CARD), int(CARD), "x"]})
    assert [(type(value), value) for value in red.value["credit card"]] == [(float, 0.0), (int, 0), (str, "x")]
    vault = sf.Vault(KEY)
    assert vault.restore_json([1, 1.5, "x"]) == [1, 1.5, "x"]
    assert vault.restore_json('{"a": 1.50, "b": [2]}') == '{"a": 1.50, "b": [2]}'


def test_a_string_of_json_in_a_string_of_json():
    document = {"arguments": json.dumps(json.dumps({"token": TOKEN}))}
    red = SCANNER.redact_json(document)
    assert json.loads(json.loads(red.value["arguments"])) == {"token": "<GITHUB_TOKEN>"}
    assert red.items[0].path == ("arguments", "token")


def test_a_string_that_is_edited_stays_in_its_alphabet():
    for text in (f'["\\u00e9 {TOKEN}"]', f'["é {TOKEN}"]'):
        assert SCANNER.redact_json(text).value == text.replace(TOKEN, "<GITHUB_TOKEN>")
    # A lone surrogate has no UTF-8: it is written as it was read, in an escape.
    for text in (f'["\\ud800 {TOKEN}"]', f'["é\\ud800 {TOKEN}"]'):
        for document in (text, text.encode()):
            value = SCANNER.redact_json(document).value
            assert json.loads(value) == [json.loads(text)[0].replace(TOKEN, "<GITHUB_TOKEN>")]
            assert (value.encode() if isinstance(value, str) else value).decode()


def test_long_numbers_and_long_names_are_passed_over():
    scanner = sf.Scanner(["pii"])
    # Python would refuse to write out the second one.
    for number in (f"{CARD}e25", "1e5000", "-1e-5000", "1e99999999999999999999"):
        assert scanner.redact_json(f'{{"credit card": {number}}}').value == f'{{"credit card": {number}}}'
    name = "card" + "Of" * 200 + "Cvv"
    assert scanner.redact_json({name: "123", "cvv": "123"}).value[name] == "123"
    # The end of a long name is what stands before its value.
    assert scanner.redact_json({"x" * 5000 + " cvv": "123"}).value["x" * 5000 + " cvv"] == "<CREDIT_DEBIT_CVV>"


def test_a_running_text_is_looked_at_once():
    """A text of a message is no value that only its name gives away."""
    text = "123 is the number" + " and more" * 40
    assert sf.Scanner(["pii"]).redact_json({"card_cvv": text}).value == {"card_cvv": text}


def test_a_lone_surrogate_in_a_name():
    assert SCANNER.redact_json({"pass\ud800word \ud800": TOKEN}).value == {"pass\ud800word \ud800": "<GITHUB_TOKEN>"}
    assert SCANNER.redact_json({"name": "a\ud800 b", "value": TOKEN}).value["value"] == "<GITHUB_TOKEN>"


KEYS = st.one_of(
    st.text(max_size=6),
    st.sampled_from([TOKEN, "https://x.example/?", "tag", "a (2)"]),
)


@given(keys=st.lists(st.lists(KEYS, max_size=3), max_size=4))
def test_keys_are_restored_in_containers_as_in_text(keys):
    """Only the entities asked for, behind a URL, with numbers and tags that no value has: the same keys both ways."""
    vault = sf.Vault(KEY)
    red = SCANNER.redact_json({"".join(parts): 1 for parts in keys}, vault=vault).value
    for name in (f"<GITHUB_TOKEN_9:{vault.tag}>", f"x {vault.tag}", f"https://x.example/?<GITHUB_TOKEN_1:{vault.tag}>"):
        red[name] = 2
    for entities in (None, ["GITHUB_TOKEN"], ["EMAIL_ADDRESS"]):
        inside = vault.restore_json(red, entities=entities)
        assert inside == json.loads(vault.restore_json(json.dumps(red), entities=entities))
        if entities == ["EMAIL_ADDRESS"]:
            assert inside == red


def test_a_key_that_a_function_leaves_stays_itself():
    document = {TOKEN: 1, "a": {TOKEN: 2}}
    red = SCANNER.redact_json(document, lambda value, _: value)
    assert red.value == document
    assert SCANNER.redact_json(json.dumps(document), lambda value, _: value).value == json.dumps(document)


@pytest.mark.parametrize(
    ("document", "values"),
    [
        ({"username": "jdoe42", "password": "tr0ub4dor+3"}, ["jdoe42", "tr0ub4dor+3"]),
        ({"a": [{"password": "tr0ub4dor+3", "login": "jdoe42"}]}, ["jdoe42", "tr0ub4dor+3"]),
        ({"phones": ["4155550132"]}, ["4155550132"]),
        ({"phones": [{"type": "home", "number": "4155550132"}]}, ["4155550132"]),
        ({"phone": {"home": "4155550132"}}, ["4155550132"]),
        ({"type": "SSN", "number": "536904399"}, ["536904399"]),
        ({"field": "ssn", "old": "536904399", "new": "219099998"}, ["536904399", "219099998"]),
        ({"label": "SSN", "data": "536904399"}, ["536904399"]),
        ({"ssn": {"S": "536904399"}}, ["536904399"]),
        ({"ssn": {"primary": "536904399"}}, ["536904399"]),
    ],
)
def test_shapes_of_interfaces_name_their_values(document, values):
    scanner = sf.Scanner(["secrets", "pii", "pii-us"])
    for form in (document, json.dumps(document)):
        vault = sf.Vault(KEY)
        red = scanner.redact_json(form, vault=vault).value
        shown = red if isinstance(red, str) else json.dumps(red)
        assert [value in shown for value in values] == [False] * len(values)
        back = vault.restore_json(red)
        assert back == form
    # The same keys over other texts name nothing.
    assert scanner.redact_json({"username": "jdoe42", "note": "x"}).value == {"username": "jdoe42", "note": "x"}
