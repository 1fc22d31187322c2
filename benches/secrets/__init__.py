"""The evaluation of the secret rules: recall, false alarms and right spans beside the rivals, on given cases.

Run from the root of the repository, in an environment that has the wheel and the rivals::

    python -m benches.secrets --cases cases.jsonl.gz --corpora DIR            # the table, on screen
    python -m benches.secrets --cases cases.jsonl.gz --corpora DIR --record   # and record, page and plot
    python -m benches.secrets --cases cases.jsonl.gz --unseen-rules           # which rules hit a case

The cases are somebody else's and stay outside the repository: a record names a case by the digest of its
text. What is counted, and how, stands in ``docs/eval-secrets.md``, which is made from the newest record.
"""
