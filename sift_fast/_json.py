"""JSON as no two readers read it differently."""

from __future__ import annotations

__all__ = ["once"]


def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object whose keys stand once, as `object_pairs_hook`: which of two a reader takes differs from tool to tool.

    Raises:
        ValueError: a key stands twice.
    """
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key stands twice")
    return document
