"""What `import sift_fast` loads. Import time is a promise, and modules are what it is spent on.

No time is asserted: a busy machine would make the test say something about itself.
"""

from __future__ import annotations

import json
import shutil

import pytest

#: Slow to load, and not needed to scan a text. The mandatory dependencies are among them.
HEAVY = (
    "asyncio",
    "click",
    "concurrent.futures",
    "email",
    "http",
    "importlib.metadata",
    "inspect",
    "logging",
    "markdown_it",
    "multiprocessing",
    "numpy",
    "onnxruntime",
    "pandas",
    "polars",
    "pyarrow",
    "pygments",
    "rich",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tomllib",
    "unittest",
    "urllib.request",
    "xml",
)

REPORT = "\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"


def loaded(python, code: str) -> set[str]:
    """The heavy modules that `code` loads beyond those of an interpreter that does nothing."""
    bare = set(json.loads(python(REPORT)))
    modules = set(json.loads(python(code + REPORT))) - bare
    return {heavy for heavy in HEAVY if any(name == heavy or name.startswith(f"{heavy}.") for name in modules)}


def test_the_list_is_real(python):
    """The check itself can fail: importing a heavy module is seen."""
    assert "numpy" in loaded(python, "import numpy")


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import sift_fast", id="import"),
        pytest.param("import sift_fast; sift_fast.Scanner().scan('a text')", id="scan"),
        pytest.param("import sift_fast; sift_fast.Scanner().redact('a text').text", id="redact"),
        pytest.param("import sift_fast; s = sift_fast.Scanner().stream(); s.feed('a'); s.finish()", id="stream"),
        pytest.param("import sift_fast.cli", id="command line"),
    ],
)
def test_nothing_heavy_is_loaded(python, code):
    """One convenient import at the top of a file costs every user tens of milliseconds."""
    assert loaded(python, code) == set()


def test_columns_load_numpy_when_asked(python):
    """The other half of lazy: what is asked for comes."""
    assert "numpy" in loaded(python, "import sift_fast; sift_fast.Scanner().scan('a text').columns()")


def test_the_source_folder_says_what_it_lacks(root, tmp_path, python):
    """`python -c "import sift_fast"` in a checkout takes the source, which was never compiled."""
    shutil.copytree(root / "sift_fast", tmp_path / "sift_fast", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "try:\n    import sift_fast\nexcept ImportError as error:\n    print(error.name, error)"
    )
    told = python(code)
    assert told.startswith("sift_fast._core ")
    assert "another folder" in told
    assert "make install" in told
