"""`python -m sift_fast.cli`, for where the console script is not on the path."""

import sys

from sift_fast.cli import main

sys.exit(main())
