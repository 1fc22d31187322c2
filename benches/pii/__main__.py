"""`python -m benches.pii`: see ``benches/pii/cli.py``."""

from __future__ import annotations

import sys

from benches.pii.cli import main

if __name__ == "__main__":
    sys.exit(main())
