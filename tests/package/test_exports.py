"""The public names: listed, sorted, there, and complete."""

from __future__ import annotations

import types

import sift_fast


def test_names_are_sorted_and_listed_once():
    """A list that is kept by hand rots where new names are appended."""
    assert list(sift_fast.__all__) == sorted(set(sift_fast.__all__))


def test_every_name_is_there():
    """A name that loads lazily breaks only when it is used."""
    missing = [name for name in sift_fast.__all__ if not hasattr(sift_fast, name)]
    assert missing == []


def test_nothing_else_is_public():
    """A helper that slips into the package's namespace becomes a promise."""
    for name in sift_fast.__all__:
        getattr(sift_fast, name)
    public = {
        name
        for name, value in vars(sift_fast).items()
        # Modules are named by their place; what they hold is listed in them.
        if not name.startswith("_") and not isinstance(value, types.ModuleType) and name != "annotations"
    }
    assert public <= set(sift_fast.__all__)


def test_names_know_where_they_live():
    """`repr` and pickles show `__module__`: it must not be a file that may move."""
    for name in sift_fast.__all__:
        value = getattr(sift_fast, name)
        if isinstance(value, type):
            assert value.__module__.split(".")[0] == "sift_fast", name


def test_star_import_gives_the_list(python):
    """`dir` and `import *` are how people look around."""
    shown = python(
        "from sift_fast import *\n"
        "import sift_fast\n"
        "print(sorted(set(sift_fast.__all__) - set(globals())), sorted(set(sift_fast.__all__) - set(dir(sift_fast))))"
    )
    assert shown.strip() == "[] []"
