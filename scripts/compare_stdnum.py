# /// script
# requires-python = ">=3.11"
# dependencies = ["python-stdnum==2.2"]
# ///
"""Compares the checksums of `sift-checks` with those of python-stdnum on random numbers.

    uv run scripts/compare_stdnum.py [--seed 1] [--number 400]

python-stdnum (LGPL) is no part of the package and of no other environment than the one that this command makes. For each
kind of number, random ones are drawn from a seed, half of them mended until python-stdnum takes them; each is then
given to both. What the two disagree about on purpose stands in `KINDS` with its reason; anything else is an error.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import random
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIGITS, CAPITALS = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

#: Letters of a template that stand for a random character of these; a date in braces; anything else for itself.
CLASSES = {"9": DIGITS, "A": CAPITALS, "X": DIGITS + CAPITALS}


@dataclass(frozen=True)
class Kind:
    """A check, python-stdnum's modules for the number (one of them must take it), and how it is written."""

    check: str
    modules: tuple[str, ...]
    template: str
    #: How many characters at the end are tried to mend a number.
    tail: int = 1
    #: Numbers that only we take, or only python-stdnum, on purpose.
    ours: str = ""
    theirs: str = ""
    #: What a wrong check digit is worth where it says nothing.
    wrong: tuple[str, ...] = ()


KINDS = (
    Kind("au_abn", ("au.abn",), "99999999999", 2),
    Kind("au_acn", ("au.acn",), "999999999"),
    Kind("au_tfn", ("au.tfn",), "999999999"),
    Kind("au_tfn", ("au.tfn",), "99999999"),
    Kind("be_national", ("be.nn", "be.bis"), "{%y%m%d}99999", 2, ours="a day of a month that is too long for it"),
    Kind("be_national", ("be.bis",), "854799999" + "99", 2, ours="a day of a month that is too long for it"),
    Kind("br_cnpj", ("br.cnpj",), "99999999999999", 2),
    Kind("br_cnpj", ("br.cnpj",), "XXXXXXXXXXXX99", 2),
    Kind("br_cpf", ("br.cpf",), "99999999999", 2, theirs="one digit eleven times"),
    Kind("ca_health_bc", ("ca.bc_phn",), "9999999999"),
    Kind("ca_sin", ("ca.sin",), "999999999"),
    Kind("cn_identity_card", ("cn.ric",), "110105{%Y%m%d}999X", ours="a division that was dissolved, a day to come"),
    Kind("de_tax_id", ("de.idnr",), "99999999999", ours="two digits that come again", theirs=""),
    Kind("de_vat", ("de.vat",), "DE999999999", wrong=("keep",)),
    Kind("es_cif", ("es.cif",), "A9999999X", theirs="a letter where the form has a digit, or the reverse"),
    Kind("es_nie", ("es.nie",), "X9999999A"),
    Kind("es_nif", ("es.nif",), "99999999A", theirs="what begins with another letter"),
    Kind("es_nif", ("es.nif",), "K9999999A"),
    Kind("fi_identity_code", ("fi.hetu",), "{%d%m%y}-999X", ours="serials of 900 and more, which are for tests"),
    Kind("fr_nir", ("fr.nir",), "199019999999999"[:13] + "99", 2, ours="", theirs="a month that was never given out"),
    Kind("il_national_id", ("il.idnr",), "999999999"),
    Kind("imei", ("imei",), "999999999999999", theirs="a body that no office has"),
    Kind("in_aadhaar", ("in_.aadhaar",), "999999999999"),
    Kind("it_fiscal_code", ("it.codicefiscale",), "AAAAAA85T10A999A", wrong=("keep",)),
    Kind("it_vat", ("it.iva",), "99999999999", ours="an office that there is not"),
    Kind("jp_corporate_number", ("jp.cn",), "9999999999999"),
    Kind("jp_my_number", ("jp.in_",), "999999999999"),
    Kind("kr_brn", ("kr.brn",), "9999999999", ours="an office or a kind that there is not"),
    Kind("nl_bsn", ("nl.bsn",), "999999999"),
    Kind("nz_ird", ("nz.ird",), "999999999"),
    Kind("pl_nip", ("pl.nip",), "9999999999"),
    Kind("pl_pesel", ("pl.pesel",), "{%y%m%d}99999"),
    Kind("pl_regon", ("pl.regon",), "999999999"),
    Kind("pl_regon", ("pl.regon",), "12345678599999"),
    Kind("se_organisation", ("se.orgnr",), "9999999999", theirs="a third digit below 2, which is a month"),
    Kind("se_personnummer", ("se.personnummer",), "{%y%m%d}-9999", ours="a day to come"),
    Kind("sg_uen", ("sg.uen",), "99999999A"),
    Kind("sg_uen", ("sg.uen",), "196899999A"),
    Kind("sg_uen", ("sg.uen",), "T08LL9999A"),
    Kind("th_tnin", ("th.pin",), "9999999999999", theirs="a province that there is not"),
    Kind("tr_national_id", ("tr.tckimlik",), "99999999999", 2),
    Kind("uk_nhs", ("gb.nhs",), "9999999999", theirs="one digit ten times"),
    Kind("uk_utr", ("gb.utr",), "9999999999"),
    Kind("us_ein", ("us.ein",), "99-9999999"),
    Kind("us_itin", ("us.itin",), "999-99-9999"),
    Kind("us_ssn", ("us.ssn",), "999-99-9999"),
    Kind("aba_routing", ("us.rtn",), "999999999", ours="a prefix that no bank has, scored 0.05"),
    Kind("za_id", ("za.idnr",), "{%y%m%d}9999089", 2, ours="a day to come", theirs="a digit that is no 8 or 9"),
)


def drawn(kind: Kind, draw: random.Random) -> str:
    """A number of the kind's form."""
    template, out = kind.template, []
    if "{" in template:
        before, _, rest = template.partition("{")
        form, _, after = rest.partition("}")
        first = datetime.date(1930, 1, 1)
        day = first + datetime.timedelta(days=draw.randrange(25_000))
        return drawn(Kind("", (), before), draw) + day.strftime(form) + drawn(Kind("", (), after), draw)
    for at, letter in enumerate(template):
        # The first letter of a form stands for the kinds of holders.
        one_of = CLASSES.get(letter)
        out.append(letter if one_of is None or (at < 6 and template[:6] in FIXED) else draw.choice(one_of))
    return "".join(out)


#: Beginnings that are meant as they stand.
FIXED = ("110105", "854799", "196899", "123456")


def takes(modules: Iterable[str], value: str) -> bool:
    """Whether python-stdnum takes a number."""
    return any(importlib.import_module(f"stdnum.{name}").is_valid(value) for name in modules)


def mended(kind: Kind, value: str) -> str:
    """The number with another end, if python-stdnum takes it with one; else as it is."""
    ends = [""]
    for letter in kind.template.replace("}", "")[-kind.tail :]:
        ends = [end + one for end in ends for one in CLASSES.get(letter, letter)]
    return next((it for end in ends if takes(kind.modules, it := value[: -kind.tail] + end)), value)


def answers(lines: Iterable[str]) -> list[str]:
    """What `sift-checks` says of each line."""
    command = ["cargo", "run", "--quiet", "--locked", "-p", "sift-checks", "--example", "outcome"]
    done = subprocess.run(command, cwd=ROOT, input="".join(lines), text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"the example `outcome` of sift-checks failed: {done.stderr.strip()}")
    return done.stdout.splitlines()


def main() -> int:
    """0 if both agree but for what is meant."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--number", type=int, default=400, help="random numbers of each kind")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    cases = []
    for kind in KINDS:
        for number in range(options.number):
            value = drawn(kind, draw)
            cases.append((kind, mended(kind, value) if number % 2 else value))
    said = answers(f"{kind.check}\t{value}\n" for kind, value in cases)
    faults = 0
    for kind in KINDS:
        both = ours = theirs = neither = 0
        for (of, value), answer in zip(cases, said, strict=True):
            if of is not kind:
                continue
            mine = not answer.startswith("drop") and answer not in kind.wrong
            other = takes(kind.modules, value)
            both += mine and other
            ours += mine and not other
            theirs += other and not mine
            neither += not (mine or other)
        unmeant = (ours and not kind.ours) or (theirs and not kind.theirs)
        faults += bool(unmeant) or not both
        reasons = "; ".join(
            f"{name}: {why}" for name, count, why in (("ours", ours, kind.ours), ("theirs", theirs, kind.theirs)) if count
        )
        mark = "FAULT " if unmeant or not both else ""
        print(
            f"{mark}{kind.check:<20} {kind.template:<22} both {both:>4}  only ours {ours:>4}  only theirs {theirs:>4}  "
            f"neither {neither:>4}  {reasons}"
        )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
