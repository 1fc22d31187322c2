"""The command line, `sift-fast`.

`main` is the entry point; `app` holds the group, and each command lives in the file of its name. Nothing
but the standard library is imported before a command is known, and a command imports what it uses: rich
only where there is a terminal to draw on, numpy never.

Exit codes: 0 clean, 1 findings or denied, 2 error, 130 interrupted, 141 the reader of a pipe went away.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: words after the program's name; None takes those of the process.

    Returns:
        The exit code.
    """
    # An interrupt while modules load is an interrupt like any other: one line, no traceback.
    try:
        from sift_fast.cli.app import run

        return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        sys.stderr.write("sift-fast: interrupted\n")
        return 130
