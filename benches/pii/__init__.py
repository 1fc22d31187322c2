"""The evaluation of personal data: recognizers, validators and anonymizer on given cases, alarms in clean text, speed.

Run from the root of the repository, in an environment that has the wheel and the rivals::

    python -m benches.pii --cases DIR --corpora DIR             # tables on screen
    python -m benches.pii --cases DIR --corpora DIR --record    # and records, docs/eval-pii.md
    python -m benches.pii --cases DIR --no-speed --details F    # failed cases WITH their texts, to F

The cases are somebody else's and stay outside the repository: a record names a case by its line and its entity.
What is counted, and how, stands in ``docs/eval-pii.md``, which is made from the newest records. Speed is measured
by the definitions ``benches/definitions/pii-*.toml``, as every benchmark is.
"""
