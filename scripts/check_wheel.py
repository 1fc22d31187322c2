"""Tries a built wheel as a user would, away from the source tree.

    python -I scripts/check_wheel.py WHEEL --requirements requirements/dev.txt --tree .

Static: size, tag, contents, what the module links with and exports. Then, in a fresh virtual environment
in a temporary folder: install with the mandatory dependencies only, import, scan and redact a fake secret
made from a seed, run `sift-fast`. Every complaint is one sentence; exit 1 if there is one. Nothing that
was scanned is printed.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

MAX_BYTES = 20_000_000

#: The libraries of glibc itself, and the unwinder that it loads on its own account (Debian's libc6 depends
#: on it): present wherever glibc is.
GLIBC = frozenset(
    {
        "ld-linux-x86-64.so.2",
        "ld-linux-aarch64.so.1",
        "libc.so.6",
        "libdl.so.2",
        "libgcc_s.so.1",
        "libm.so.6",
        "libpthread.so.0",
        "librt.so.1",
        "linux-vdso.so.1",
    }
)

#: Patterns over names in the archive; everything else is a complaint.
EXPECTED = (
    "sift_fast/*.py",
    "sift_fast/*.pyi",
    "sift_fast/*.pxd",
    "sift_fast/*.h",
    "sift_fast/*.toml",
    "sift_fast/py.typed",
    "sift_fast/_core.abi3.so",
    "sift_fast-*.dist-info/METADATA",
    "sift_fast-*.dist-info/WHEEL",
    "sift_fast-*.dist-info/RECORD",
    "sift_fast-*.dist-info/entry_points.txt",
    "sift_fast-*.dist-info/licenses/*",
)
UNWANTED = ("*/tests/*", "*/test_*.py", "*/conftest.py", "*/__pycache__/*")
REQUIRED = (
    "sift_fast/__init__.py",
    "sift_fast/_core.abi3.so",
    "sift_fast/_core.pyi",
    "sift_fast/py.typed",
    "sift_fast-*.dist-info/entry_points.txt",
    "sift_fast-*.dist-info/licenses/LICENSE",
    # Hyperscan's licence asks for its text beside every binary that holds it.
    "sift_fast-*.dist-info/licenses/licenses/hyperscan.txt",
)

#: What runs in the fresh environment. The token has the shape that its vendor documents: a prefix, thirty
#: base62 characters, and six of their CRC-32.
TRIAL = """
import random, string, sys, zlib
import sift_fast as sf

alphabet = string.digits + string.ascii_uppercase + string.ascii_lowercase
body = "".join(random.Random(20).choices(alphabet, k=30))
crc, check = zlib.crc32(body.encode()), ""
for _ in range(6):
    crc, digit = divmod(crc, 62)
    check = alphabet[digit] + check
secret = "_".join(("ghp", body + check))
text = "é the token is " + secret + " and that is all"

found = sf.Scanner().scan(text)
spans = [(f.entity_type, f.start, f.end) for f in found]
start = text.index(secret)
if spans != [("GITHUB_TOKEN", start, start + len(secret))]:
    sys.exit(f"scan found {len(spans)} spans where one token stands, or put it elsewhere")
if secret in sf.Scanner().redact(text).text:
    sys.exit("redact left the token in the text")
if len(sf.Scanner().scan("nothing to see in this sentence")):
    sys.exit("scan found something in a harmless sentence")
if sf.build_info()["profile"] != "release":
    sys.exit("the wheel holds a debug build")
open("with.txt", "w", encoding="utf-8").write(text)
open("without.txt", "w", encoding="utf-8").write("nothing to see in this sentence")
print(sf.__file__)
"""


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a name in the archive fits one of the patterns."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def check_archive(wheel: Path, tree: Path) -> list[str]:
    """Complaints about size, tag and contents.

    Args:
        wheel: The archive.
        tree: The root of the source tree, whose Python files must all be there.
    """
    complaints = []
    size = wheel.stat().st_size
    if size >= MAX_BYTES:
        complaints.append(f"the wheel has {size} bytes, and {MAX_BYTES} is the limit")
    if not re.fullmatch(r"sift_fast-[^-]+-cp311-abi3-manylinux[0-9a-z_.]+\.whl", wheel.name):
        complaints.append(f"the wheel is named {wheel.name}, and cp311-abi3-manylinux is wanted")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    complaints += [
        f"{name} does not belong into the wheel"
        for name in names
        if not matches(name, EXPECTED) or matches(name, UNWANTED)
    ]
    complaints += [
        f"{pattern} is missing from the wheel"
        for pattern in REQUIRED
        if not any(fnmatch.fnmatchcase(name, pattern) for name in names)
    ]
    sources = {
        path.relative_to(tree).as_posix()
        for suffix in ("*.py", "*.pyi", "*.pxd", "py.typed")
        for path in (tree / "sift_fast").rglob(suffix)
        if "__pycache__" not in path.parts
    }
    complaints += [f"{name} is in the tree but not in the wheel" for name in sorted(sources - set(names))]
    return complaints


def check_module(wheel: Path, folder: Path) -> list[str]:
    """Complaints about what the compiled module needs and what it shows to other modules."""
    with zipfile.ZipFile(wheel) as archive:
        module = archive.extract("sift_fast/_core.abi3.so", folder)
    complaints = []
    listed = subprocess.run(["ldd", module], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        words = line.split()
        if words and Path(words[0]).name not in GLIBC:
            complaints.append(f"the module needs {words[0]}, which is not part of glibc")
    # Two modules in one process may both hold Hyperscan: none may bind to the other's.
    exported = subprocess.run(["nm", "-D", "--defined-only", module], capture_output=True, text=True, check=True).stdout
    symbols = {line.split()[-1] for line in exported.splitlines()}
    if symbols != {"PyInit__core"}:
        complaints.append(f"the module exports {len(symbols)} symbols, and PyInit__core alone is wanted")
    return complaints


def pins(requirements: Path) -> str:
    """The pinned versions of a requirements file as constraints: names and markers, without hashes."""
    lines = re.findall(r"^([A-Za-z0-9._-]+==[^\\\n]+?)\s*\\?$", requirements.read_text(encoding="utf-8"), re.MULTILINE)
    return "\n".join(lines) + "\n"


def check_trial(wheel: Path, requirements: Path, folder: Path) -> list[str]:
    """Complaints about the wheel in use, in a fresh environment below `folder`."""
    home = folder / "environment"
    away = folder / "away"
    away.mkdir()
    venv.create(home, with_pip=True)
    constraints = folder / "constraints.txt"
    constraints.write_text(pins(requirements), encoding="utf-8")
    # Without what could point back to the tree.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"

    def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in command], cwd=away, env=environment, capture_output=True, text=True, check=False
        )

    python, program = home / "bin" / "python", home / "bin" / "sift-fast"
    installed = run(python, "-m", "pip", "install", "--quiet", "-c", constraints, wheel)
    if installed.returncode:
        return [f"the wheel cannot be installed: {last_line(installed.stderr)}"]
    trial = run(python, "-I", "-c", TRIAL)
    if trial.returncode:
        return [f"the installed wheel fails: {last_line(trial.stderr)}"]

    complaints = []
    if not Path(trial.stdout.strip()).is_relative_to(home):
        complaints.append("the import did not come from the installed wheel")
    version = wheel.name.split("-")[1]
    shown = run(program, "--version")
    if shown.returncode or version not in shown.stdout:
        complaints.append(f"`sift-fast --version` exits {shown.returncode} and does not say {version}")
    for name, wanted in (("without.txt", 0), ("with.txt", 1), ("absent.txt", 2)):
        status = run(program, "scan", name).returncode
        if status != wanted:
            complaints.append(f"`sift-fast scan {name}` exits {status}, and {wanted} is wanted")
    return complaints


def last_line(text: str) -> str:
    """What a program said last."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it says nothing"


def main() -> int:
    """Run all checks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--requirements", type=Path, required=True, help="pins of the mandatory dependencies")
    parser.add_argument("--tree", type=Path, required=True, help="the source tree that the wheel was built from")
    arguments = parser.parse_args()
    wheel = arguments.wheel.resolve()
    complaints = check_archive(wheel, arguments.tree.resolve())
    with tempfile.TemporaryDirectory(prefix="sift-fast-wheel-") as name:
        folder = Path(name)
        if not any(complaint.endswith("_core.abi3.so is missing from the wheel") for complaint in complaints):
            complaints += check_module(wheel, folder)
            complaints += check_trial(wheel, arguments.requirements.resolve(), folder)
    for complaint in complaints:
        print(f"error: {complaint}", file=sys.stderr)
    if not complaints:
        print(f"{wheel.name}: installs, scans and needs nothing but glibc")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
