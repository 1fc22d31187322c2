"""`Vault`: numbers, files, forged placeholders, and where values do not come back."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pickle
import stat
import threading

import pytest

import sift_fast as sf
from sift_fast import _core

KEY = bytes(range(32))
TOKENS = _core.generate("secret.github.token", 29, 40, ["secrets"])


def names(folder):
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def vault():
    return sf.Vault(KEY)


def test_numbers_follow_the_text_and_stay(scanner, vault):
    red = scanner.redact(f"{TOKENS[1]} {TOKENS[0]} {TOKENS[1]}", vault=vault)
    tag = vault.tag
    assert red.text == f"<GITHUB_TOKEN_1:{tag}> <GITHUB_TOKEN_2:{tag}> <GITHUB_TOKEN_1:{tag}>"
    assert scanner.redact(TOKENS[0], vault=vault).text == f"<GITHUB_TOKEN_2:{tag}>"
    assert len(vault) == 2
    assert [red.text[item.start : item.end] for item in red.items] == red.text.split()


def test_any_part_is_restored(scanner, vault):
    text = f"a {TOKENS[0]} b {TOKENS[1]}"
    first, second = (scanner.redact(token, vault=vault).text for token in TOKENS[:2])
    assert vault.restore(f"{second} é\ud800 {first}{first}") == f"{TOKENS[1]} é\ud800 {TOKENS[0]}{TOKENS[0]}"
    assert vault.restore(scanner.redact(text, vault=vault).text) == text
    assert vault.restore(first.encode()) == TOKENS[0].encode()
    assert vault.restore(bytearray(b"x")) == b"x"
    assert vault.restore(memoryview(first.encode())) == TOKENS[0].encode()
    for nothing in ("plain", first[:-1], first.lower(), first.replace("_1:", "_3:"), sf.Vault(KEY).tag):
        assert vault.restore(nothing) == nothing


def test_only_the_entities_asked_for(scanner, vault):
    aws = _core.generate("secret.aws.access-key-id", 3, 1, ["secrets"])[0]
    text = f"{TOKENS[0]} and {aws} ."
    red = scanner.redact(text, vault=vault)
    other = red.items[1].entity_type
    assert vault.restore(red.text, "GITHUB_TOKEN") == red.text.replace(red.text.split()[0], TOKENS[0])
    assert vault.restore(red.text, ["GITHUB_TOKEN", other]) == text
    assert vault.restore(red.text, []) == red.text


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example/?q={}",
        "![x](https://evil.example/{})",
        "<img src='//evil.example/ {}'>",
        "www.evil.example/{}",
    ],
)
def test_not_in_web_addresses(scanner, vault, text):
    placeholder = scanner.redact(TOKENS[0], vault=vault).text
    given = text.format(placeholder)
    assert vault.restore(given) == given
    assert vault.restore(f"{given}' {placeholder}").endswith(TOKENS[0])
    assert vault.restore(given, urls=True) == text.format(TOKENS[0])


def test_placeholders_cannot_be_forged(scanner, vault):
    """What a user writes stays what the user wrote, whatever the vault holds."""
    mine = scanner.redact(TOKENS[0], vault=vault).text
    for forged in (mine, mine.replace(">", "~>"), mine.replace(">", "~~>"), f"{vault.tag}>", f"x{mine}{mine}"):
        red = scanner.redact(forged, vault=vault)
        assert TOKENS[0] not in vault.restore(red.text)
        assert vault.restore(red.text) == forged
        assert not red.findings
        stream = scanner.stream(vault=vault)
        assert "".join([*map(stream.feed, forged), stream.finish()]) == red.text
    # Nor by what is taken out of the middle of it.
    half = len(mine) // 2
    operators = {"GITHUB_TOKEN": sf.Remove(), "default": sf.Pseudonym()}
    red = scanner.redact(f"{mine[:half]}{TOKENS[1]}{mine[half:]} ", operators, vault)
    assert TOKENS[0] not in vault.restore(red.text)
    # Nor by an operator that writes one.
    operators = {"GITHUB_TOKEN": lambda *_: mine, "default": sf.Pseudonym()}
    assert vault.restore(scanner.redact(TOKENS[1], operators, vault).text) == mine


def test_placeholders_cannot_be_forged_in_the_spelling_of_json(scanner, vault):
    """JSON that was redacted as text is decoded afterwards, and what it spells then reads as a placeholder."""
    mine = scanner.redact(TOKENS[0], vault=vault).text

    def spelt(text, letters):
        return "".join(f"\\u{ord(letter):04x}" if letter in letters else letter for letter in text)

    for letters in ("<>", ">", "<", vault.tag, vault.tag[0], vault.tag[-1], mine, ":_"):
        for padding in ("", "~", "\\u007e"):
            forged = spelt(mine[:-1], letters) + padding + spelt(mine[-1], letters)
            inner = f'{{"b": "{forged}"}}'
            for document in (f'{{"a": "{forged}"}}', json.dumps({"a": inner}), f'{{"{forged}": "\\\\"}}'):
                red = scanner.redact(document, vault=vault).text
                assert vault.restore(red) == document
                assert TOKENS[0] not in vault.restore_json(red)
    # An escape of the escape: what is decoded twice is looked at each time.
    twice = json.dumps({"a": f'{{"b": "<GITHUB_TOKEN_1:{vault.tag[:-1]}\\u00{ord(vault.tag[-1]):x}>"}}'})
    deeper = twice.replace("\\\\u", "\\u005cu")
    assert deeper != twice
    for document in (twice, deeper):
        assert json.loads(json.loads(document)["a"])["b"] == mine
        assert TOKENS[0] not in vault.restore_json(scanner.redact(document, vault=vault).text)
    # Where only the brackets are spelt so, as some encoders do, what was written as a placeholder is one.
    written = mine.replace("<", "\\u003c").replace(">", "\\u003e")
    assert vault.restore_json(f'{{"a": "{written}"}}') == f'{{"a": "{TOKENS[0]}"}}'


def test_a_clean_text_is_the_same_object(scanner, vault):
    for text in ("clean é", b"clean"):
        assert scanner.redact(text, vault=vault).text is text
        assert vault.restore(text) is text


def test_a_full_vault_gives_nothing_out(scanner):
    vault = sf.Vault(KEY, max_entries=2)
    text = f"{TOKENS[0]} {TOKENS[1]}"
    red = scanner.redact(text, vault=vault)
    for more in (TOKENS[2], f"{TOKENS[2]} {TOKENS[0]}"):
        with pytest.raises(sf.LimitExceeded, match="full"):
            scanner.redact(more, vault=vault)
    with scanner.stream(vault=vault) as stream, pytest.raises(sf.LimitExceeded, match="full"):
        stream.feed(TOKENS[2] + " ")
        stream.finish()
    assert len(vault) == 2
    assert scanner.redact(text, vault=vault).text == red.text
    small = sf.Vault(KEY, max_bytes=len(TOKENS[0]))
    with pytest.raises(sf.LimitExceeded, match="bytes"):
        scanner.redact(text, vault=small)
    assert len(small) == 0


def test_files(scanner, vault, tmp_path):
    path = tmp_path / "sealed"
    text = " ".join(TOKENS[:3])
    red = scanner.redact(text, vault=vault)
    vault.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(token.encode() not in path.read_bytes() for token in TOKENS)
    assert names(tmp_path) == ["sealed"]
    again = sf.Vault.load(path, KEY)
    assert (again.tag, again.key_id, len(again)) == (vault.tag, vault.key_id, 3)
    assert again.restore(red.text) == text
    assert scanner.redact(TOKENS[3], vault=again).text == f"<GITHUB_TOKEN_4:{vault.tag}>"
    # Written over by a later state, whole.
    again.save(str(path))
    assert len(sf.Vault.load(str(path), KEY)) == 4


def test_files_that_are_not_ours(scanner, vault, tmp_path):
    path = tmp_path / "sealed"
    scanner.redact(TOKENS[0], vault=vault)
    vault.save(path)
    whole = path.read_bytes()
    cases = [
        (bytes(32), whole, "another key|sealed with the key"),
        (KEY, whole[:-1], "cut short or was changed"),
        (KEY, whole[:20], "no vault"),
        (KEY, b"", "no vault"),
        (KEY, b"PK" + whole[2:], "no vault"),
        (KEY, whole[:-1] + bytes([whole[-1] ^ 1]), "cut short or was changed"),
    ]
    for key, content, word in cases:
        path.write_bytes(content)
        with pytest.raises(sf.StateUnavailable, match=word) as caught:
            sf.Vault.load(path, key)
        assert TOKENS[0] not in str(caught.value)
    with pytest.raises(sf.StateUnavailable, match="cannot be read"):
        sf.Vault.load(tmp_path / "none", KEY)
    with pytest.raises(sf.StateUnavailable, match="no vault"):
        sf.Vault.load(tmp_path, KEY)
    with pytest.raises(sf.StateUnavailable, match="cannot be written"):
        vault.save(tmp_path / "none" / "x")
    path.write_bytes(whole)
    with pytest.raises(sf.LimitExceeded, match="full"):
        sf.Vault.load(path, KEY, max_entries=0)
    assert names(tmp_path) == ["sealed"]


def test_a_save_does_not_take_another_vault_s_place(scanner, vault, tmp_path):
    path = tmp_path / "sealed"
    text = scanner.redact(TOKENS[0], vault=vault).text
    vault.save(path)
    for other in (sf.Vault(KEY), sf.Vault(bytes(32))):
        with pytest.raises(sf.StateUnavailable, match="another vault"):
            other.save(path)
    assert sf.Vault.load(path, KEY).restore(text) == TOKENS[0]


@pytest.mark.parametrize("content", [b"name,card", b"s"])
def test_a_save_replaces_no_other_file(vault, tmp_path, content):
    path = tmp_path / "customers.csv"
    path.write_bytes(content)
    with pytest.raises(sf.StateUnavailable, match="no vault"):
        vault.save(path)
    assert path.read_bytes() == content
    path.write_bytes(b"")
    vault.save(path)
    assert len(sf.Vault.load(path, KEY)) == 0


def test_no_tag_is_found():
    """A second redaction leaves the placeholders of the first alone."""
    every = sf.Scanner(["secrets", "pii-all"])
    for _ in range(300):
        text = f"<EMAIL_ADDRESS_1:{sf.Vault(KEY).tag}>"
        assert every.redact(text).text == text


def test_a_save_that_fails_leaves_nothing_behind(vault, tmp_path):
    """The last step fails where a folder stands: what was written so far goes."""
    path = tmp_path / "sealed"
    (path / "not empty").mkdir(parents=True)
    with pytest.raises(sf.StateUnavailable, match="cannot be written"):
        vault.save(path)
    assert names(tmp_path) == ["sealed"]


def test_a_forked_child_is_refused(scanner, vault, tmp_path):
    placeholder = scanner.redact(TOKENS[0], vault=vault).text
    stream = scanner.stream(vault=vault)
    stream.feed("a ")
    restorer = vault.restorer()
    calls = [
        lambda: scanner.redact("x", vault=vault),
        lambda: scanner.stream(vault=vault),
        lambda: stream.feed("x"),
        lambda: vault.restore(placeholder),
        vault.restorer,
        lambda: restorer.feed("x"),
        lambda: vault.save(tmp_path / "x"),
        lambda: len(vault),
    ]
    child = os.fork()
    if child == 0:
        refused = 0
        for call in calls:
            try:
                call()
            except sf.StateUnavailable:
                refused += 1
        os._exit(refused if repr(vault) == "Vault(unavailable)" else 99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == len(calls)
    assert vault.restore(placeholder) == TOKENS[0]
    assert names(tmp_path) == []


def test_threads_share_one_numbering(scanner, vault):
    texts: list[list[str]] = [[] for _ in range(4)]

    def work(number):
        for turn in range(200):
            texts[number].append(scanner.redact(TOKENS[(turn * 7 + number) % len(TOKENS)], vault=vault).text)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(vault) == len(TOKENS) == len({text for found in texts for text in found})
    for number, found in enumerate(texts):
        assert [vault.restore(text) for text in found] == [TOKENS[(t * 7 + number) % len(TOKENS)] for t in range(200)]


def test_restore_stream(scanner, vault):
    text = f"é {TOKENS[0]} and {TOKENS[1]}"
    red = scanner.redact(text, vault=vault).text

    async def source(kind):
        for at in range(0, len(red), 3):
            yield kind(red[at : at + 3])

    async def join(pieces, empty):
        return empty.join([piece async for piece in pieces])

    assert asyncio.run(join(vault.restore_stream(source(str)), "")) == text
    assert asyncio.run(join(vault.restore_stream(source(str.encode)), b"")) == text.encode()
    assert asyncio.run(join(vault.restore_stream(list(red), "NONE"), "")) == red
    restorer = vault.restorer()
    restorer.feed("a")
    with pytest.raises(sf.SiftError, match="either str or bytes"):
        restorer.feed(b"a")
    with pytest.raises(sf.SiftError, match="begin a new one"):
        restorer.feed("a")
    assert vault.restorer().finish() == ""


def test_a_generator_is_closed_when_its_consumer_stops(scanner, vault):
    closed = []

    def source():
        try:
            yield from ("one ", "two ", "three ") * 100
        finally:
            closed.append(True)

    async def take_one(pieces):
        async for _ in pieces:
            break
        await pieces.aclose()

    kept = source()
    for pieces in (vault.restore_stream(kept), scanner.redact_stream(source())):
        asyncio.run(take_one(pieces))
    assert closed == [True, True]
    assert next(kept, None) is None


def test_binary_values_stay_out_of_text(tmp_path):
    path = tmp_path / "any.toml"
    path.write_text(
        "[[rule]]\nid = 'pii.test.any'\ntitle = 'Any bytes'\nentity = 'ANY'\nseverity = 'low'\nscore = 0.9\n"
        "pattern = '''(any=[^ ]{4})'''\nexamples = ['any=wxyz']\nnegatives = ['any=']\n",
        encoding="utf-8",
    )
    scanner, vault = sf.Scanner([], rule_files=[path]), sf.Vault(KEY)
    red = scanner.redact(b"any=\xff\xfe\x00\x01", vault=vault)
    assert vault.restore(red.text) == b"any=\xff\xfe\x00\x01"
    assert vault.restore(red.text.decode()) == red.text.decode()


def test_nothing_is_shown(scanner, vault):
    scanner.redact(TOKENS[0], vault=vault)
    assert repr(vault) == f"Vault(1 values, tag='{vault.tag}', key_id='{vault.key_id}')"
    assert vault
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(vault)
    assert KEY.hex()[:8] != vault.key_id
    assert sf.Vault(KEY).tag != vault.tag


def test_a_save_goes_through_links_and_not_over_pipes(vault, tmp_path):
    """A rename puts a file in the place of whatever is there: it once replaced devices."""
    real = tmp_path / "real"
    vault.save(real)
    (tmp_path / "link").symlink_to(real)
    vault.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path / "pipe", tmp_path):
        with pytest.raises((OSError, sf.SiftError)):
            vault.save(other)
    assert (tmp_path / "pipe").is_fifo()


def test_a_save_does_not_undo_another_one(scanner, vault, tmp_path):
    path = tmp_path / "vault"
    vault.save(path)
    other = sf.Vault.load(path, KEY)
    scanner.redact(TOKENS[0], vault=other)
    other.save(path)
    with pytest.raises(sf.StateUnavailable, match="saved by another process"):
        vault.save(path)
    assert len(sf.Vault.load(path, KEY)) == 1


@pytest.mark.parametrize("bound", ["max_entries", "max_bytes"])
def test_bounds_are_not_negative(bound):
    with pytest.raises(sf.ConfigError, match=f"`{bound}` must be 0 or more"):
        sf.Vault(KEY, **{bound: -1})


@pytest.mark.parametrize("entities", ["email_address", "<GITHUB_TOKEN>", "", ["GITHUB_TOKEN", "a b"]])
def test_a_name_that_no_entity_type_can_have_is_refused(vault, entities):
    """A slip in a name restored nothing, and looked like lost data."""
    for call in (vault.restore, vault.restore_json, vault.restore_stream, sf.Encrypt(KEY).decrypt):
        with pytest.raises(sf.ConfigError, match="no entity type can have") as caught:
            call("[]", entities)
        assert "a b" not in str(caught.value)
    with pytest.raises(sf.ConfigError, match="no entity type can have"):
        vault.restorer(entities)


def test_names_of_a_generator_are_for_every_string(scanner, vault):
    red = scanner.redact_json(TOKENS[:3], vault=vault).value
    assert vault.restore_json(red, (name for name in ["GITHUB_TOKEN"])) == TOKENS[:3]
    assert vault.restore_json(red, (name for name in ["OTHER"])) == red


def test_a_stream_restores_into_addresses_only_when_asked(scanner, vault):
    red = scanner.redact(TOKENS[0], vault=vault).text
    text = f"see https://acme.example/?q={red} and {red}"

    async def join(pieces):
        return "".join([piece async for piece in pieces])

    assert asyncio.run(join(vault.restore_stream(list(text), urls=True))) == text.replace(red, TOKENS[0])
    assert vault.restore_json([text], urls=True) == [text.replace(red, TOKENS[0])]
    assert vault.restore_json([text]) != vault.restore_json([text], urls=True)
    kept = asyncio.run(join(vault.restore_stream(list(text))))
    assert kept == f"see https://acme.example/?q={red} and {TOKENS[0]}"


# What was stored by an earlier build must be read by every later one: a vault of two values, saved once.
SAVED = (
    "c2lmdHZsdDFiNmI2MWE0M2hxcXNxNxsLUP75Zf5qgoMtNlPBBbUWK2UKLmVwZPJsTrqLft9FtW9U3FLC"
    "wDr2/b1JFUAKDz0MNs7cTLEJL2DHi4Jh377iR1o/u9SkvGX2+nqHdfpQ7zLXhMthWt6PsZfGmg=="
)


def test_a_vault_of_an_earlier_build_is_read(tmp_path):
    (tmp_path / "vault").write_bytes(base64.b64decode(SAVED))
    vault = sf.Vault.load(tmp_path / "vault", KEY)
    assert (len(vault), vault.tag) == (2, "hqqsq7")
    assert vault.restore("<EMAIL_ADDRESS_1:hqqsq7> <EMAIL_ADDRESS_2:hqqsq7>") == "ann@acme.com bob@acme.com"
    assert sf.Scanner(["pii"]).redact("bob@acme.com", vault=vault).text == "<EMAIL_ADDRESS_2:hqqsq7>"
