"""What the guard adds to a turn: `python -m benches.guard`, with the package installed."""
