"""No scanned text in anything that ends up in a log: every object and every error, over a seeded secret."""

from __future__ import annotations

import asyncio
import pickle
import traceback

import pytest

import sift_fast as sf
from sift_fast import _core

SECRETS = [
    _core.generate(rule, 23, 1, ["secrets"])[0]
    for rule in ("secret.github.token", "secret.aws.access-key-id", "secret.stripe.secret-key")
    if rule in sf.Scanner("secrets").rules
]
# Parts of a secret are a leak as well; shorter ones may stand anywhere by chance.
PARTS = [secret[at : at + 8] for secret in SECRETS for at in range(4, len(secret) - 8)]


def shown(value):
    """Everything an object gives away without being asked for its text."""
    out = [repr(value), str(value), f"{value}", format(value)]
    try:
        out.append(pickle.dumps(value).decode("latin-1"))
    except (TypeError, pickle.PicklingError) as error:
        out.append("".join(traceback.format_exception(error)))
    return out


def clean(texts):
    return [part for part in PARTS if any(part in text for text in texts)] == []


def test_the_check_can_fail():
    assert len(PARTS) > 50
    assert not clean(shown(f"a {SECRETS[0]} b"))


def test_objects_show_no_text():
    scanner = sf.Scanner(allow_list=["zzzzzzzz" + SECRETS[0]])
    text = "é " + " and ".join(SECRETS)
    found = scanner.scan(text)
    red = scanner.redact(text, sf.Mask())
    stream = scanner.stream()
    stream.feed(text + SECRETS[0][:-6])
    batch = scanner.scan_batch([text, text])
    objects = [scanner, found, *found, *scanner.explain(text), red, red.findings, red.items, *red.items, stream, batch]
    vault = sf.Vault(SECRETS[0].encode().ljust(32)[:32])
    hidden = scanner.redact(text, vault=vault)
    operators = [sf.Hash(SECRETS[0].encode().ljust(32)[:32]), sf.Encrypt(SECRETS[0].encode().ljust(32)[:32])]
    restorer = vault.restorer()
    restorer.feed(hidden.text[:-3])
    document = scanner.redact_json([text, {text: text}], lambda value, _: value)
    objects += [vault, hidden, *hidden.items, *operators, *[o.key for o in operators], restorer, document]
    objects += [stream.findings, batch[0], batch.to_arrow(), found.columns(), scanner.rules, scanner.rules[0]]
    assert clean([line for value in objects for line in shown(value)])
    assert clean([red.text])


def errors_of(scanner, text):
    """Every way to fail with a secret at hand."""
    small = sf.Scanner(limits=sf.Limits(text_bytes=10))
    stream = scanner.stream()
    stream.feed(text)

    async def broken():
        yield text
        yield 3

    async def consume():
        return [piece async for piece in scanner.redact_stream(broken())]

    yield lambda: small.scan(text)
    yield lambda: small.redact(text)
    yield lambda: small.explain(text.encode())
    yield lambda: small.scan_batch([text])
    yield lambda: scanner.scan_batch([text, 3])
    yield lambda: scanner.scan_batch([text, text.encode()])
    yield lambda: scanner.scan_batch(text)
    yield lambda: scanner.scan([text])
    yield lambda: scanner.scan({text: text})
    yield lambda: stream.feed(text.encode())
    yield lambda: stream.feed(text)
    yield lambda: asyncio.run(consume())
    yield lambda: scanner.redact(text, text)
    yield lambda: scanner.redact(text, [text])
    yield lambda: sf.Mask(text)
    yield lambda: sf.Scanner(allow_list=[3, text])
    yield lambda: sf.Scanner(limits=text)
    yield lambda: scanner.scan(memoryview(text.encode())[::2])
    yield lambda: pickle.dumps(scanner.redact(text))
    yield lambda: sf.Hash(text.encode())
    yield lambda: sf.Vault(text)
    yield lambda: scanner.redact(text, vault=sf.Vault(bytes(32), max_entries=1))
    yield lambda: scanner.redact(text, lambda *_: 3)
    yield lambda: scanner.redact_json(text)
    yield lambda: scanner.redact_json({text: object()})
    yield lambda: sf.Vault(bytes(32)).restore([text])
    yield lambda: sf.Vault.load(text, bytes(32))
    yield lambda: scanner.redact(text, vault=text)


def test_errors_show_no_text():
    scanner = sf.Scanner()
    raised = 0
    for call in errors_of(scanner, " and ".join(SECRETS)):
        with pytest.raises((sf.SiftError, TypeError)) as caught:
            call()
        raised += 1
        chain = caught.value
        while chain is not None:
            assert clean([str(chain), repr(chain)])
            chain = chain.__cause__ or chain.__context__
    assert raised == 28


def test_a_surrogate_leaves_no_error_behind():
    """`UnicodeEncodeError` holds the text; none may be chained to what is raised, or stay set."""
    small = sf.Scanner(limits=sf.Limits(text_bytes=10))
    text = SECRETS[0] + "\ud800"
    with pytest.raises(sf.LimitExceeded) as caught:
        small.scan(text)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    with pytest.raises(sf.LimitExceeded) as caught:
        small.scan_batch([text])
    assert caught.value.__context__ is None
