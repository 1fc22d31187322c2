"""`python -m benches.secrets`: see ``benches/secrets/cli.py``."""

from __future__ import annotations

import sys

from benches.secrets.cli import main

if __name__ == "__main__":
    sys.exit(main())
