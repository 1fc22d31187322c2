"""sift_fast finds secrets, prompt injections and leaks in text, whole or streamed.

>>> import sift_fast as sf
>>> scanner = sf.Scanner()  # compile once, share between threads
>>> bool(scanner.scan("nothing to see here"))
False
>>> scanner.redact("nothing to see here").text
'nothing to see here'

`errors` draws the tree of exceptions. numpy, pyarrow, asyncio and rich are imported where they are used.
"""

from sift_fast._core import (
    Batch,
    Explanation,
    Finding,
    Findings,
    Item,
    Redaction,
    Restorer,
    Rule,
    Rules,
    Stream,
    build_info,
)
from sift_fast.errors import (
    ActionDenied,
    ConfigError,
    GuardBlocked,
    InvalidReceipt,
    InvalidSignature,
    LeaseConflict,
    LimitExceeded,
    PolicyError,
    RuleError,
    SiftError,
    StateUnavailable,
)
from sift_fast.redact import (
    Encrypt,
    Hash,
    JsonItem,
    JsonRedaction,
    Keep,
    Mask,
    Pseudonym,
    Remove,
    Replace,
)
from sift_fast.scanner import Scanner
from sift_fast.types import Limits
from sift_fast.vault import Vault

__all__ = [
    "ActionDenied",
    "Batch",
    "ConfigError",
    "Encrypt",
    "Explanation",
    "Finding",
    "Findings",
    "GuardBlocked",
    "Hash",
    "InvalidReceipt",
    "InvalidSignature",
    "Item",
    "JsonItem",
    "JsonRedaction",
    "Keep",
    "LeaseConflict",
    "LimitExceeded",
    "Limits",
    "Mask",
    "PolicyError",
    "Pseudonym",
    "Redaction",
    "Remove",
    "Replace",
    "Restorer",
    "Rule",
    "RuleError",
    "Rules",
    "Scanner",
    "SiftError",
    "StateUnavailable",
    "Stream",
    "Vault",
    "__version__",
    "build_info",
]

__version__ = "0.1.0"
