"""Keyed, numbering and user-written operators, whole and streamed, alone and with a vault."""

from __future__ import annotations

import base64
import copy
import hmac
import pickle

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import sift_fast as sf
from sift_fast import _core

#: Rules that overlap: `aaxbbycc` is a LEFT that reaches into a RIGHT, and DEEP lies inside LINK.
RULES = r"""
[[rule]]
id = "pii.test.left"
title = "Begins another"
entity = "LEFT"
severity = "low"
score = 0.9
pattern = '''(aa[^abc <>:~]{1,9}bb)'''
literal_reason = "made to overlap"
examples = ['aaxbb']
negatives = ['aabb']

[[rule]]
id = "pii.test.right"
title = "Ends another"
entity = "RIGHT"
severity = "low"
score = 0.9
pattern = '''(bb[xyz]{1,9}cc)'''
literal_reason = "made to overlap"
examples = ['bbxcc']
negatives = ['bbcc']

[[rule]]
id = "pii.test.link"
title = "Holds another"
entity = "LINK"
severity = "low"
score = 0.9
pattern = '''(link:\S{1,60})'''
examples = ['link:x']
negatives = ['link: x']

[[rule]]
id = "pii.test.deep"
title = "Lies in another"
entity = "DEEP"
severity = "low"
score = 0.9
pattern = '''(deep[0-9]{4})'''
examples = ['deep1234']
negatives = ['deep123']

[[rule]]
id = "pii.test.tail"
title = "Begins inside and goes on over others"
entity = "TAIL"
severity = "low"
score = 0.9
pattern = '''(ycc)'''
literal_reason = "made to overlap"
body = '''[a-z0-9]{1,8}'''
examples = ['yccabc']
negatives = ['ycb']

[[rule]]
id = "pii.test.long"
title = "Goes on"
entity = "LONG"
severity = "low"
score = 0.9
pattern = '''(long:)'''
body = '''[qw]{1,8}'''
examples = ['long:qwq']
negatives = ['longer']
"""

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
PARTS = [
    "aaxbb", "aaxbbycc", "bbxcc", "aa", "x", "bbzcc", "link:", "deep1234", "deep5678", "long:qwqw", "qwqw" * 4, " ",
    "é", "😀", "\ud800", "aa\ud800bb", "~", ">", "\\", "<LEFT_1:", "<", ".", "//", "aaébb",
]  # fmt: skip


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "overlap.toml"
    path.write_text(RULES, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def over(rules):
    """A scanner whose findings overlap, with a limit that some of them exceed."""
    return sf.Scanner([], rule_files=[rules], limits=sf.Limits(finding_bytes=24))


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """The file of an empty vault: loaded twice, it gives two vaults with one tag."""
    path = tmp_path_factory.mktemp("vault") / "empty"
    sf.Vault(KEY).save(path)
    return path


def bracket(value, entity_type):
    """An operator that shows what it was given."""
    if isinstance(value, bytes):
        return b"[" + value + b"," + entity_type.encode() + b"]"
    return f"[{value},{entity_type}]"


OPERATORS = [
    None,
    sf.Remove(),
    sf.Mask("•"),
    sf.Hash(KEY),
    sf.Encrypt(KEY),
    sf.Pseudonym(),
    sf.Keep(),
    bracket,
    {"LEFT": sf.Pseudonym(), "RIGHT": sf.Remove(), "LINK": sf.Keep(), "default": bracket},
    {"LEFT": sf.Encrypt(KEY), "DEEP": sf.Pseudonym(), "default": sf.Replace("<LEFT_1:")},
    {"LINK": sf.Pseudonym(), "LEFT": sf.Keep(), "RIGHT": sf.Hash(KEY), "default": sf.Mask()},
]
TEXT = st.lists(st.one_of(st.sampled_from(PARTS), st.just("{tag}")), max_size=14)
CUTS = st.lists(st.floats(0, 1), max_size=8)


def pieces_of(text, cuts):
    ends = sorted({int(cut * len(text)) for cut in cuts} | {len(text)})
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def streamed(stream, text, cuts):
    out = [stream.feed(piece) for piece in pieces_of(text, cuts)]
    out.append(stream.finish())
    return text[:0].join(out)


@settings(max_examples=500)
@given(parts=TEXT, cuts=CUTS, operators=st.sampled_from(OPERATORS), binary=st.booleans())
@example(parts=["aaxbbycc", "x", "bbzcc"], cuts=[0.3, 0.6], operators=sf.Pseudonym(), binary=False)
@example(parts=["aaxbb", "link:", "aaxbb"], cuts=[0.9], operators=sf.Pseudonym(), binary=False)
@example(
    parts=["bbycc", "deep1234", "x", "deep5678", "x"], cuts=[0.3, 0.5, 0.7], operators=sf.Pseudonym(), binary=False
)
@example(parts=["link:", "x" * 53, "ycc", "deep1234", "qwqw"], cuts=[0.9], operators=sf.Pseudonym(), binary=False)
def test_stream_equals_whole(over, parts, cuts, operators, binary):
    text = "".join(parts)
    text = text.encode("utf-8", "surrogatepass") if binary else text
    whole = over.redact(text, operators)
    stream = over.stream(operators)
    assert streamed(stream, text, cuts) == whole.text
    assert stream.findings == whole.findings
    assert stream.incomplete == whole.incomplete


@settings(max_examples=500)
@given(
    parts=TEXT,
    cuts=CUTS,
    operators=st.sampled_from([None, *[o for o in OPERATORS if o == sf.Pseudonym() or isinstance(o, dict)]]),
    binary=st.booleans(),
)
def test_stream_equals_whole_with_a_vault(over, sealed, parts, cuts, operators, binary):
    first, second = (sf.Vault.load(sealed, KEY) for _ in range(2))
    text = "".join(parts).replace("{tag}", first.tag)
    text = text.encode("utf-8", "surrogatepass") if binary else text
    whole = over.redact(text, operators, first)
    stream = over.stream(operators, second)
    assert streamed(stream, text, cuts) == whole.text
    assert len(first) == len(second)
    again = over.redact(text, operators, first)
    assert again.text == whole.text


@settings(max_examples=600)
@given(parts=TEXT, cuts=CUTS, binary=st.booleans())
@example(parts=["aaxbbycc", "{tag}", "~", ">"], cuts=[], binary=False)
@example(parts=["bbycc", "deep1234", "x", "deep5678", "x"], cuts=[0.3, 0.5, 0.7], binary=False)
def test_restore_undoes_redact(rules, sealed, parts, cuts, binary):
    """Overlaps, lone surrogates and look-alikes among it."""
    scanner = scanner_of(rules)
    vault = sf.Vault.load(sealed, KEY)
    text = "".join(parts).replace("{tag}", vault.tag)
    text = text.encode("utf-8", "surrogatepass") if binary else text
    red = scanner.redact(text, vault=vault)
    assert vault.restore(red.text, urls=True) == text
    restorer = vault.restorer(urls=True)
    out = [restorer.feed(piece) for piece in pieces_of(red.text, cuts)]
    assert text[:0].join([*out, restorer.finish()]) == text
    # The same holds for values that are their own ciphertext.
    operator = sf.Encrypt(KEY)
    assert operator.decrypt(scanner.redact(text, operator).text, urls=True) == text


_SCANNERS: dict[str, sf.Scanner] = {}


def scanner_of(rules):
    """Without a limit that a finding could exceed: what is too long cannot come back."""
    if str(rules) not in _SCANNERS:
        _SCANNERS[str(rules)] = sf.Scanner([], rule_files=[rules])
    return _SCANNERS[str(rules)]


def test_what_overlaps_is_restored(rules):
    scanner, vault = scanner_of(rules), sf.Vault(KEY)
    red = scanner.redact("aaxbbzcc", vault=vault)
    assert red.text == f"<LEFT_1:{vault.tag}><LEFT_2:{vault.tag}>"
    assert [item.entity_type for item in red.items] == ["LEFT", "LEFT"]
    assert len(red.findings) == 1
    assert vault.restore(red.text) == "aaxbbzcc"
    # Any other operator takes the rest away.
    for operator, wanted in [(None, "<LEFT>"), (sf.Mask(), "*****"), (bracket, "[aaxbb,LEFT]")]:
        assert scanner.redact("aaxbbzcc", operator).text == wanted


@settings(max_examples=500)
@given(parts=TEXT, cuts=CUTS)
@example(parts=["aaxbb", "ycc" + "x" * 40], cuts=[])
@example(parts=["link:", "x" * 20, "aa", "x" * 9, "bb" + "x" * 9 + "cc"], cuts=[])
def test_what_is_cut_is_told(over, parts, cuts):
    """What a loser covers beyond the limit was once cut in silence."""
    text = "".join(part.replace("{tag}", "tag") for part in parts)
    encrypt, vault = sf.Encrypt(KEY), sf.Vault(KEY)
    red = over.redact(text, encrypt)
    if not red.incomplete:
        assert encrypt.decrypt(red.text, urls=True) == text
    for operators, takes_back in ((encrypt, encrypt.decrypt), (sf.Pseudonym(), vault.restore)):
        with over.stream(operators, vault=None if operators is encrypt else vault) as stream:
            out = streamed(stream, text, cuts)
        if not stream.incomplete:
            assert takes_back(out, urls=True) == text


def test_keep_hides_nothing(rules):
    scanner = scanner_of(rules)
    text = "link:deep1234"
    assert scanner.redact(text).text == "<LINK>"
    red = scanner.redact(text, {"LINK": sf.Keep()})
    assert red.text == "link:<DEEP>"
    assert [finding.entity_type for finding in red.findings] == ["DEEP"]
    assert scanner.redact(text, sf.Keep()).text is text


def test_numbers_begin_anew_without_a_vault(rules):
    scanner = scanner_of(rules)
    red = scanner.redact("deep2222 deep1111 aaxbb deep2222", sf.Pseudonym())
    assert red.text == "<DEEP_1> <DEEP_2> <LEFT_1> <DEEP_1>"
    assert [red.text[item.start : item.end] for item in red.items] == red.text.split()
    assert {item.operator for item in red.items} == {"pseudonym"}
    assert scanner.redact("deep1111", sf.Pseudonym()).text == "<DEEP_1>"


@pytest.mark.parametrize("kind", [str, str.encode], ids=["str", "bytes"])
def test_keyed_operators(rules, kind):
    scanner = scanner_of(rules)
    text = kind("é deep1111 deep2222 deep1111 aaxbb")
    for operator, name in [(sf.Hash(KEY), "hash"), (sf.Encrypt(KEY), "encrypt")]:
        red = scanner.redact(text, operator)
        _, first, second, third, _ = red.text.split()
        assert first == third != second
        assert red.text[red.items[0].start : red.items[0].end] == first
        assert first.startswith(kind(f"<DEEP:{name[0]}:{operator.key.id}:"))
        assert {item.operator for item in red.items} == {name}
        assert scanner.redact(text, type(operator)(OTHER)).text != red.text
    assert len(scanner.redact(kind("deep1111"), sf.Hash(KEY)).text) == len("<DEEP:h:01234567:>") + 32


def test_decrypt(rules):
    scanner, operator = scanner_of(rules), sf.Encrypt(KEY)
    text = scanner.redact("deep1111 aaxbb", operator).text
    assert operator.decrypt(text) == "deep1111 aaxbb"
    assert operator.decrypt(text.encode()) == b"deep1111 aaxbb"
    assert operator.decrypt(text, "DEEP").startswith("deep1111 <LEFT:e:")
    assert operator.decrypt(text, ["NONE"]) == text
    assert sf.Encrypt(OTHER).decrypt(text) == text
    # Another entity type, a changed letter, a cut: nothing comes back.
    assert operator.decrypt(text.replace("<DEEP", "<LEFT")).startswith("<LEFT:e:")
    one = scanner.redact("deep1111", operator).text
    for at in range(len(one)):
        assert "deep1111" not in operator.decrypt(one[:at] + "A" + one[at + 1 :]) or one[at] == "A"
        assert operator.decrypt(one[:at]) == one[:at]
    link = "https://site.example/?q="
    assert operator.decrypt(link + one) == link + one
    assert operator.decrypt(link + one, urls=True) == link + "deep1111"


def test_what_is_too_long_is_replaced(over):
    text = "long:" + "qw" * 40 + " deep1111"
    for operator in (sf.Hash(KEY), sf.Encrypt(KEY), sf.Pseudonym(), bracket):
        red = over.redact(text, operator)
        assert red.text.startswith("<LONG> ")
        assert red.incomplete == ("finding_bytes",)
        assert red.items[0].operator == "replace"
        assert red.items[1].operator != "replace"


def test_functions_get_value_and_entity(rules):
    scanner, seen = scanner_of(rules), []

    def note(value, entity_type):
        seen.append((value, entity_type))
        return value[:0]

    assert scanner.redact("deep1111 aa\ud800bb é aaxbb", note).text == "  é "
    assert scanner.redact(b"deep1111", {"DEEP": note}).text == b""
    assert seen == [("deep1111", "DEEP"), ("aa\ud800bb", "LEFT"), ("aaxbb", "LEFT"), (b"deep1111", "DEEP")]


def test_functions_that_fail(rules):
    scanner, vault = scanner_of(rules), sf.Vault(KEY)

    def broken(value, entity_type):
        raise KeyError(value)

    operators = {"LEFT": broken, "default": sf.Pseudonym()}
    text = "deep1111 aaxbb"
    with pytest.raises(sf.SiftError, match="operator of LEFT raised KeyError") as caught:
        scanner.redact(text, operators, vault)
    # Neither the error nor what it came from shows the value.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "aaxbb" not in f"{caught.value!r}{caught.value}"
    stream = scanner.stream(operators, vault)
    with pytest.raises(sf.SiftError, match="operator of LEFT raised KeyError"):
        stream.feed(text + " " * 100)
    with pytest.raises(sf.SiftError, match="aborted or has failed"):
        stream.feed("x")
    # What failed has numbered nothing.
    assert len(vault) == 0
    for answer in (3, None, b"x"):
        with pytest.raises(TypeError, match="must return str"):
            scanner.redact(text, lambda *_, answer=answer: answer)
    with pytest.raises(TypeError, match="must return bytes"):
        scanner.redact(text.encode(), lambda *_: "x")


def test_plans_are_shared_and_functions_are_not(rules):
    scanner = scanner_of(rules)
    for word in ("one", "two"):
        assert scanner.redact("deep1111", lambda *_, word=word: word).text == word


@pytest.mark.parametrize("make", [sf.Hash, sf.Encrypt, sf.Vault])
@pytest.mark.parametrize("key", ["x" * 32, bytes(31), bytes(33), b"", None, bytearray(32)])
def test_keys_are_checked(make, key):
    with pytest.raises(sf.ConfigError, match="32 bytes"):
        make(key)


def test_keys_are_not_shown():
    operator = sf.Hash(KEY)
    assert repr(operator) == f"Hash(key=Key(id='{operator.key.id}'))"
    assert operator == sf.Hash(KEY) != sf.Hash(OTHER)
    assert operator != sf.Encrypt(KEY)
    assert len({operator, sf.Hash(KEY)}) == 1
    assert copy.deepcopy(operator) == copy.copy(operator) == operator
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(operator)


def test_a_vault_wants_a_pseudonym(rules):
    scanner, vault = scanner_of(rules), sf.Vault(KEY)
    for call in (scanner.redact, lambda _, *args: scanner.stream(*args)):
        with pytest.raises(sf.ConfigError, match="Pseudonym"):
            call("x", sf.Remove(), vault)
        with pytest.raises(sf.ConfigError, match="`vault` is a `Vault`"):
            call("x", None, object())
    assert _core.Vault in type(vault).__mro__


def test_entity_types_that_could_not_be_read_again(tmp_path):
    path = tmp_path / "long.toml"
    path.write_text(
        "[[rule]]\nid = 'pii.test.long'\ntitle = 'Long name'\nseverity = 'low'\nscore = 0.9\n"
        f"entity = '{'LONG' * 17}'\npattern = '(longname)'\nexamples = ['longname']\nnegatives = ['name']\n",
        encoding="utf-8",
    )
    scanner = sf.Scanner([], rule_files=[path])
    assert scanner.redact("longname", sf.Pseudonym()).text == f"<{'LONG' * 17}_1>"
    for arguments in ((sf.Encrypt(KEY),), (None, sf.Vault(KEY))):
        with pytest.raises(sf.ConfigError, match="at most 64"):
            scanner.redact("x", *arguments)


def test_known_answers():
    """What is stored must be read by every later build: a changed label of derivation would lose all of it."""

    def mac(key, *parts):
        return hmac.digest(key, b"".join(parts), "sha256")

    def derived(purpose):
        return mac(KEY, b"sift-fast key v1 ", purpose)

    address, scanner = "ann@acme.com", sf.Scanner(["pii"])
    key_id = derived(b"id")[:4].hex()
    hashed = mac(derived(b"hash"), b"EMAIL_ADDRESS\0", address.encode())[:16].hex()
    assert scanner.redact(address, sf.Hash(KEY)).text == f"<EMAIL_ADDRESS:h:{key_id}:{hashed}>"
    sealed = scanner.redact(address, sf.Encrypt(KEY)).text
    # Made once by a build of version 0.1.0; the nonce is what Python computes.
    assert sealed == f"<EMAIL_ADDRESS:e:{key_id}:{SEALED}>"
    nonce = mac(derived(b"nonce"), b"EMAIL_ADDRESS\0", address.encode())[:24]
    assert base64.urlsafe_b64decode(SEALED + "=" * (-len(SEALED) % 4))[:24] == nonce
    assert sf.Encrypt(KEY).decrypt(f"to {sealed}.") == f"to {address}."


SEALED = "_F2hMTVfZYDp-x4xij8JgD7XY9P7PtjUE9uDua41IYbeJ2ZfR44uJnClTt4jbBQ5vtZz9w"
