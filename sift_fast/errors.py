"""The exceptions of sift_fast, one tree.

```
SiftError               anything below; itself: a used-up or misused stream, an engine that fails
+-- RuleError           a rule document is wrong; names file, rule and reason
+-- PolicyError         a policy, tool manifest or schema is wrong
+-- ConfigError         an argument or a setting is wrong
+-- LimitExceeded       a limit was hit where an incomplete answer would be unsafe
+-- InvalidReceipt      a receipt, permit or proof does not say what it should
+-- InvalidSignature    a signature does not verify
+-- LeaseConflict       a lease was ended before, differently
+-- ActionDenied        an action was entered that is not allowed
+-- GuardBlocked        a text was used that is blocked
+-- StateUnavailable    the state behind a decision cannot be reached or trusted
```

A denial is a value; an exception is for misuse, breakage, or where ignoring it would be unsafe. A value of a
wrong type is a plain `TypeError`. No message holds text that was scanned.
"""

from typing import Any

__all__ = [
    "ActionDenied",
    "ConfigError",
    "GuardBlocked",
    "InvalidReceipt",
    "InvalidSignature",
    "LeaseConflict",
    "LimitExceeded",
    "PolicyError",
    "RuleError",
    "SiftError",
    "StateUnavailable",
]


class SiftError(Exception):
    """Anything that goes wrong in sift_fast; raised itself for misused streams and failing engines."""


class RuleError(SiftError):
    """A rule document is wrong, and nothing of it was loaded. The message names file, rule and reason."""


class PolicyError(SiftError):
    """A policy, tool manifest or schema is wrong."""


class ConfigError(SiftError):
    """An argument or a setting is wrong."""


class LimitExceeded(SiftError):
    """A limit was hit where an incomplete answer would be unsafe."""


class InvalidReceipt(SiftError):
    """A receipt, permit or proof does not say what it should."""


class InvalidSignature(SiftError):
    """A signature does not verify."""


class LeaseConflict(SiftError):
    """A lease was ended before, with another outcome."""


class ActionDenied(SiftError):
    """An action was entered that is not allowed.

    Attributes:
        authorization: the answer of the kernel, an `Authorization`: reason, message, rules, approval.
    """

    authorization: Any = None


class GuardBlocked(SiftError):
    """A text was used that is blocked."""


class StateUnavailable(SiftError):
    """The state behind a decision cannot be reached or trusted."""
