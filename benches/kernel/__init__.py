"""What the action kernel costs from Python, beside its rivals: `python -m benches.kernel`."""
