"""Writes the table of characters that pass for ASCII ones: rust/sift-text/src/decode/lookalikes.rs.

    python scripts/lookalikes.py PATH/TO/unicode-security-X.Y.Z/src/tables.rs

The argument is a source file of the crate `unicode-security`, which carries the data file confusables.txt
of Unicode Technical Standard 39; `cargo fetch` brings it. Compatibility forms (full width, mathematical,
enclosed, superscript) and small capitals come from Python's own `unicodedata`.

What UTS 39 calls a skeleton is not what a reader sees: there `1`, `I` and `l` are all `l`, `0` is `O` and `m`
is `rn`. Here a capital stays one, a digit stays one, and `rn` is `m`, so that the text reads as it is meant.
"""

import re
import sys
import unicodedata
from pathlib import Path

TARGET = Path(__file__).parent.parent / "rust/sift-text/src/decode/lookalikes.rs"
BLOCK = 128
LAST = 0x1FFFF


def confusables(source: str) -> tuple[str, dict[int, str]]:
    """Version of Unicode and {code point: skeleton} of the generated tables in `source`."""
    version = ".".join(re.search(r"UNICODE_VERSION.*= \((\d+), (\d+), (\d+)\)", source).groups())
    table = source.split("const CONFUSABLES: &'static [(char, &'static [char])] = &[", 1)[1].split("];", 1)[0]
    letter = r"'\\u\{([0-9a-f]+)\}'"
    found = {}
    for match in re.finditer(rf"\({letter},\s*&\[((?:{letter},?\s*)*)\]\)", table):
        skeleton = re.findall(letter, match.group(2))
        found[int(match.group(1), 16)] = "".join(chr(int(point, 16)) for point in skeleton)
    return version, found


def as_seen(letter: str, skeleton: str) -> str | None:
    """The ASCII character that `letter` reads as, or None."""
    if skeleton == "rn":
        return "m"
    if len(skeleton) != 1 or not " " < skeleton < "\x7f":
        return None
    digit = unicodedata.digit(letter, None)
    if skeleton in "lO" and digit in (0, 1):
        return str(digit)
    upper = unicodedata.category(letter) == "Lu"
    if skeleton == "l" and upper:
        return "I"
    return skeleton


def compatible(letter: str) -> str | None:
    """What the compatibility form or small capital `letter` stands for, or None."""
    point = ord(letter)
    for first in (0x1F150, 0x1F170, 0x1F1E6):  # negative circled, negative squared, regional indicators
        if first <= point < first + 26:
            return chr(ord("A") + point - first)
    plain = unicodedata.normalize("NFKC", letter).strip("()")
    if len(plain) == 1 and "!" <= plain <= "~":
        return plain
    small = re.fullmatch(r"LATIN LETTER SMALL CAPITAL ([A-Z])", unicodedata.name(letter, ""))
    return small.group(1).lower() if small else None


def main() -> None:
    """Reads the tables named on the command line and writes `TARGET`."""
    version, skeletons = confusables(Path(sys.argv[1]).read_text())
    table = {}
    for point in range(0x80, LAST + 1):
        letter = chr(point)
        seen = compatible(letter) or as_seen(letter, skeletons.get(point, ""))
        if seen and not letter.isspace():
            table[point] = ord(seen)
    if len(skeletons) < 6000 or table.get(0x430) != ord("a") or table.get(0x406) != ord("I"):
        sys.exit("the tables are not in the form this script reads: see `CONFUSABLES` in the source file")
    blocks: list[bytes] = [bytes(BLOCK)]
    index = []
    for first in range(0, LAST + 1, BLOCK):
        block = bytes(table.get(point, 0) for point in range(first, first + BLOCK))
        if block not in blocks:
            blocks.append(block)
        index.append(blocks.index(block))
    out = [
        "//! Characters that pass for an ASCII one: a table in two steps. Generated, do not edit:",
        "//! `python scripts/lookalikes.py .../unicode-security-0.1.3/src/tables.rs`.",
        "//!",
        f"//! {len(table)} characters, {len(index) + BLOCK * len(blocks)} bytes.",
        f"//! Data of Unicode {version} (confusables of UTS 39) and {unicodedata.unidata_version}",
        "//! (compatibility forms) under the Unicode License V3 (Unicode-3.0).",
        "",
        "/// Characters of one block.",
        f"pub(super) const BLOCK: usize = {BLOCK};",
        "",
        "/// Which of [`BLOCKS`] holds the characters from `BLOCK * i` on.",
        "#[rustfmt::skip]",
        f"pub(super) static INDEX: [u8; {len(index)}] = [",
    ]
    rows = [index[at : at + 24] for at in range(0, len(index), 24)]
    out += ["    " + ", ".join(map(str, row)) + "," for row in rows]
    out += [
        "];",
        "",
        "/// For each character of a block the ASCII character it passes for, or 0.",
        "#[rustfmt::skip]",
        f"pub(super) static BLOCKS: [[u8; BLOCK]; {len(blocks)}] = [",
    ]
    for block in blocks:
        lines = [block[at : at + 16] for at in range(0, BLOCK, 16)]
        out.append("    [")
        out += ["        " + ", ".join(map(str, line)) + "," for line in lines]
        out.append("    ],")
    out += ["];", ""]
    TARGET.write_text("\n".join(out))


main()
