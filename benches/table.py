"""A table of results, rendered to the terminal (rich) and to Markdown from the same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """Rows of text under headers; the first column is the label."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = field(default=())

    def markdown(self) -> str:
        """The table in GitHub's notation, title and notes as paragraphs."""
        lines = [f"**{self.title}**", ""] if self.title else []
        lines.append("| " + " | ".join(_cell(column) for column in self.columns) + " |")
        lines.append("|" + "|".join(["---"] + ["---:"] * (len(self.columns) - 1)) + "|")
        lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in self.rows]
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def figure(value: float) -> str:
    """A number as people read it: three significant digits, thousands with a comma."""
    if not math.isfinite(value):
        return "n/a"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 1:
        return f"{value:.2f}"
    return f"{value:.3f}" if size >= 0.001 or size == 0 else f"{value:.1e}"


def times(ratio: float) -> str:
    """A ratio, as in `12.3x`."""
    return f"{figure(ratio)}x" if math.isfinite(ratio) else "n/a"


def size(byte_count: int) -> str:
    """A size of a piece: `200 B`, `4 KB`, `1 MB` (binary, as the pieces are cut), `2,000 B`."""
    if byte_count % (1 << 10):
        return f"{byte_count:,} B"
    if byte_count >= 1 << 20:
        return f"{byte_count / (1 << 20):g} MB"
    if byte_count >= 1 << 10:
        return f"{byte_count / (1 << 10):g} KB"
    return f"{byte_count} B"
