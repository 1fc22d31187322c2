# /// script
# requires-python = ">=3.11"
# dependencies = ["python-stdnum==2.2"]
# ///
"""Compares the checksums of `sift-checks` with those of python-stdnum on random numbers.

    uv run scripts/compare_stdnum.py [--seed 1] [--number 400]

python-stdnum (LGPL) is no part of the package, nor of any other environment than the one that this command makes.
For each kind of number, random ones are drawn from a seed, half of them mended until python-stdnum takes them; each is
then given to both. What the two disagree about on purpose stands in `KINDS` with its reason; anything else is an error.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import random
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIGITS, CAPITALS = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

#: Letters of a template that stand for a random character of these. A form of `strftime` in braces is a day, and
#: anything else stands for itself.
CLASSES = {"d": DIGITS, "c": CAPITALS, "x": DIGITS + CAPITALS}


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
    Kind("au_abn", ("au.abn",), "d" * 11, 2),
    Kind("au_acn", ("au.acn",), "d" * 9),
    Kind("au_tfn", ("au.tfn",), "d" * 9),
    # Eight digits have weights of their own, which python-stdnum does not know.
    Kind("au_tfn", ("au.tfn",), "d" * 8, ours="the weights of eight digits", theirs="those of nine on eight digits"),
    Kind("be_national", ("be.nn", "be.bis"), "{%y%m%d}ddddd", 2, ours="a year to come"),
    Kind("be_national", ("be.bis",), "854721ddddd", 2, ours="a year to come"),
    Kind("br_cnpj", ("br.cnpj",), "d" * 14, 2),
    Kind("br_cnpj", ("br.cnpj",), "x" * 12 + "dd", 2),
    Kind("br_cpf", ("br.cpf",), "d" * 11, 2),
    Kind("ca_health_bc", ("ca.bc_phn",), "9" + "d" * 9),
    Kind("ca_sin", ("ca.sin",), "d" * 9),
    Kind("cn_identity_card", ("cn.ric",), "110105{%Y%m%d}dddx"),
    Kind("de_tax_id", ("de.idnr",), "d" * 11, ours="two digits that come again, for numbers made up"),
    Kind("de_vat", ("de.vat",), "DE" + "d" * 9, wrong=("keep",)),
    Kind("es_cif", ("es.cif",), "Adddddddx", theirs="a letter where the form has a digit"),
    Kind("es_cif", ("es.cif",), "Pdddddddx", theirs="a digit where the form has a letter"),
    Kind("es_cif", ("es.cif",), "Gdddddddx"),
    Kind("es_nie", ("es.nie",), "Ydddddddc"),
    Kind("es_nif", ("es.nif",), "ddddddddc"),
    Kind("es_nif", ("es.nif",), "Kdddddddc"),
    Kind("fi_identity_code", ("fi.hetu",), "{%d%m%y}-dddx", ours="serials from 900 on, which are for tests"),
    Kind("fr_nir", ("fr.nir",), "1{%y%m}75dddddddd", 2),
    Kind("il_national_id", ("il.idnr",), "d" * 9),
    Kind("imei", ("imei",), "d" * 15),
    Kind("in_aadhaar", ("in_.aadhaar",), "d" * 12),
    Kind("it_fiscal_code", ("it.codicefiscale",), "cccccc85T10Adddc", wrong=("keep",)),
    Kind("it_vat", ("it.iva",), "d" * 7 + "015d"),
    Kind("it_vat", ("it.iva",), "d" * 11, ours="an office that there is not, scored as a weak one"),
    Kind("jp_corporate_number", ("jp.cn",), "d" * 13),
    Kind("jp_my_number", ("jp.in_",), "d" * 12),
    # python-stdnum looks at the parts of the number and not at its check digit.
    Kind("kr_brn", ("kr.brn",), "d" * 10, ours="an office that there is not", theirs="any check digit"),
    Kind("nl_bsn", ("nl.bsn",), "d" * 9),
    Kind("nz_ird", ("nz.ird",), "10" + "d" * 7),
    Kind("pl_nip", ("pl.nip",), "d" * 10),
    Kind("pl_pesel", ("pl.pesel",), "{%y%m%d}ddddd"),
    Kind("pl_regon", ("pl.regon",), "d" * 9),
    Kind("pl_regon", ("pl.regon",), "123456785ddddd"),
    Kind("se_organisation", ("se.orgnr",), "d" * 10, theirs="a third digit below 2, which is that of a month"),
    Kind("se_personnummer", ("se.personnummer",), "{%y%m%d}-dddd"),
    Kind("sg_uen", ("sg.uen",), "ddddddddc"),
    Kind("sg_uen", ("sg.uen",), "1968dddddc"),
    Kind("sg_uen", ("sg.uen",), "T08LLddddc"),
    Kind("th_tnin", ("th.pin",), "d" * 13, theirs="a province that there is not"),
    Kind("tr_national_id", ("tr.tckimlik",), "d" * 11, 2),
    Kind("uk_nhs", ("gb.nhs",), "d" * 10),
    Kind("uk_utr", ("gb.utr",), "d" * 10),
    Kind("us_ein", ("us.ein",), "dd-ddddddd"),
    Kind("us_itin", ("us.itin",), "9dd-dd-dddd", ours="groups 50 to 65, which the IRS assigns"),
    Kind("us_ssn", ("us.ssn",), "ddd-dd-dddd"),
    Kind("aba_routing", ("us.rtn",), "d" * 9, ours="a prefix that no bank has, scored 0.05"),
    Kind("za_id", ("za.idnr",), "{%y%m%d}dddd08d"),
)


def drawn(template: str, draw: random.Random) -> str:
    """A number of a form."""
    before, brace, rest = template.partition("{")
    if brace:
        form, _, after = rest.partition("}")
        day = dt.date(1930, 1, 1) + dt.timedelta(days=draw.randrange(25_000))
        return drawn(before, draw) + day.strftime(form) + drawn(after, draw)
    return "".join(draw.choice(CLASSES.get(letter, letter)) for letter in template)


def takes(modules: Iterable[str], value: str) -> bool:
    """Whether python-stdnum takes a number."""
    return any(importlib.import_module(f"stdnum.{name}").is_valid(value) for name in modules)


def mended(kind: Kind, value: str) -> str:
    """The number with another end, if python-stdnum takes it with one; else as it is."""
    ends = [""]
    for letter in kind.template[-kind.tail :]:
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
            value = drawn(kind.template, draw)
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
        sides = (("ours", ours, kind.ours), ("theirs", theirs, kind.theirs))
        reasons = "; ".join(f"{name}: {why}" for name, count, why in sides if count)
        mark = "FAULT " if unmeant or not both else ""
        print(
            f"{mark}{kind.check:<20} {kind.template:<22} both {both:>4}  only ours {ours:>4}  only theirs {theirs:>4}  "
            f"neither {neither:>4}  {reasons}"
        )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
