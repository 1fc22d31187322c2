"""`python -m benches.guard`: what the guard adds, how it behaves under many streams, and beside others."""

from benches.guard.cli import main

if __name__ == "__main__":
    main()
