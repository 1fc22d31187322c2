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
from sift_fast.kernel import (
    ActionRequest,
    Approval,
    ApprovalSignature,
    Authorization,
    Credential,
    HeldPermit,
    Kernel,
    LeaseOutcome,
    Permit,
    PermitRegister,
    Session,
    SessionGrant,
    SignedElevation,
    SignedGrant,
    SigningKey,
    sign_elevation,
    sign_grant,
    sign_request,
    trusted_credential,
    verify_permit,
)
from sift_fast.receipts import (
    Audit,
    Check,
    Keys,
    Receipt,
    Statement,
    Verified,
    audit_ledger,
    check_receipt,
    verify_receipt,
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
    "ActionRequest",
    "Approval",
    "ApprovalSignature",
    "Audit",
    "Authorization",
    "Batch",
    "Check",
    "ConfigError",
    "Credential",
    "Encrypt",
    "Explanation",
    "Finding",
    "Findings",
    "GuardBlocked",
    "Hash",
    "HeldPermit",
    "InvalidReceipt",
    "InvalidSignature",
    "Item",
    "JsonItem",
    "JsonRedaction",
    "Keep",
    "Kernel",
    "Keys",
    "LeaseConflict",
    "LeaseOutcome",
    "LimitExceeded",
    "Limits",
    "Mask",
    "Permit",
    "PermitRegister",
    "PolicyError",
    "Pseudonym",
    "Receipt",
    "Redaction",
    "Remove",
    "Replace",
    "Restorer",
    "Rule",
    "RuleError",
    "Rules",
    "Scanner",
    "Session",
    "SessionGrant",
    "SiftError",
    "SignedElevation",
    "SignedGrant",
    "SigningKey",
    "StateUnavailable",
    "Statement",
    "Stream",
    "Vault",
    "Verified",
    "__version__",
    "audit_ledger",
    "build_info",
    "check_receipt",
    "sign_elevation",
    "sign_grant",
    "sign_request",
    "trusted_credential",
    "verify_permit",
    "verify_receipt",
]

__version__ = "0.1.0"
