"""Seeded fake secrets and personal data. None is ever literal in the tree, none belongs to anybody.

Shapes follow the vendors' documents; addresses use the reserved domain names of RFC 2606.
"""

from __future__ import annotations

import random
import string
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from benches.words import WORDS

DIGITS = string.digits
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
HEX = string.digits + "abcdef"


@dataclass(frozen=True)
class Fake:
    """A value to plant, and the part of it that must not come out."""

    kind: str
    value: str
    sensitive: str


def _pick(random_source: random.Random, alphabet: str, count: int) -> str:
    return "".join(random_source.choices(alphabet, k=count))


def base62(number: int, width: int) -> str:
    """`number` in base 62, digits before capitals before small letters, padded to `width`."""
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return digits.rjust(width, "0")


def _github(random_source: random.Random) -> Fake:
    body = _pick(random_source, BASE62, 30)
    body += base62(zlib.crc32(body.encode()), 6)
    return Fake("github", f"ghp_{body}", body)


def _slack(random_source: random.Random) -> Fake:
    # 56 characters: a plausible length that is above the 50 which one rival holds back.
    body = "-".join(
        (_pick(random_source, DIGITS, 12), _pick(random_source, DIGITS, 13), _pick(random_source, BASE62, 24))
    )
    return Fake("slack", f"xoxb-{body}", body)


def _gitlab(random_source: random.Random) -> Fake:
    body = _pick(random_source, BASE62, 20)
    return Fake("gitlab", f"glpat-{body}", body)


def _stripe(random_source: random.Random) -> Fake:
    body = _pick(random_source, BASE62, 24)
    return Fake("stripe", f"sk_live_{body}", body)


def _sendgrid(random_source: random.Random) -> Fake:
    body = f"{_pick(random_source, BASE62, 22)}.{_pick(random_source, BASE62, 43)}"
    return Fake("sendgrid", f"SG.{body}", body)


def _email(random_source: random.Random) -> Fake:
    user = f"{random_source.choice(WORDS)}.{random_source.choice(WORDS)}{random_source.randint(10, 99)}"
    host = random_source.choice(["mail", "office", "team"])
    value = f"{user}@{host}.{random_source.choice(WORDS)}.{random_source.choice(['example.com', 'example.org'])}"
    return Fake("email", value, value)


def _url(random_source: random.Random) -> Fake:
    token = _pick(random_source, BASE62, 24)
    return Fake("url", f"https://{random_source.choice(WORDS)}.example.com/reset?token={token}", token)


def _card(random_source: random.Random) -> Fake:
    digits = [4, *(random_source.randrange(10) for _ in range(14))]
    # Luhn over the 15 digits with the check digit still to come: every second from the right doubles.
    total = sum((2 * d - 9 if 2 * d > 9 else 2 * d) if i % 2 == 0 else d for i, d in enumerate(digits))
    digits.append(-total % 10)
    text = "".join(map(str, digits))
    value = " ".join(text[i : i + 4] for i in range(0, 16, 4))
    return Fake("credit_card", value, value)


def _us_ssn(random_source: random.Random) -> Fake:
    # Area 001 to 665, group and serial not zero.
    parts = (random_source.randint(1, 665), random_source.randint(1, 99), random_source.randint(1000, 9999))
    value = "{:03}-{:02}-{:04}".format(*parts)
    return Fake("us_ssn", value, value)


def _iban(random_source: random.Random) -> Fake:
    account = _pick(random_source, DIGITS, 18)
    # ISO 13616: the country and two zeros behind the account, letters as 10 to 35, 98 less the remainder by 97.
    check = 98 - int(account + "131400") % 97
    value = f"DE{check:02}{account}"
    return Fake("iban", value, value)


def _ip(random_source: random.Random) -> Fake:
    # The block that RFC 3849 keeps for documentation.
    groups = ":".join(f"{random_source.randint(4096, 65535):x}" for _ in range(6))
    value = f"2001:db8:{groups}"
    return Fake("ip", value, value)


MAKERS: dict[str, Callable[[random.Random], Fake]] = {
    "github": _github,
    "slack": _slack,
    "gitlab": _gitlab,
    "stripe": _stripe,
    "sendgrid": _sendgrid,
    "email": _email,
    "url": _url,
    "credit_card": _card,
    "us_ssn": _us_ssn,
    "iban": _iban,
    "ip": _ip,
}


#: Kinds that every scanner of secrets here finds.
SECRETS = ("github", "slack", "gitlab", "stripe", "sendgrid")

#: Kinds that every scanner of personal data here finds, and our sets that hold them.
PERSONAL = ("email", "credit_card", "us_ssn", "iban", "ip")
PERSONAL_SETS = ("pii", "pii-all")


def make(kind: str, random_source: random.Random) -> Fake:
    """One fake of `kind`."""
    return MAKERS[kind](random_source)
