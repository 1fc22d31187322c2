"""sift_fast finds secrets, prompt injections and leaks in text, whole or streamed.

>>> import sift_fast as sf
>>> scanner = sf.Scanner()  # compile once, share between threads
>>> bool(scanner.scan("nothing to see here"))
False
>>> scanner.redact("nothing to see here").text
'nothing to see here'

`errors` draws the tree of exceptions. numpy, pyarrow, asyncio and rich are imported where they are used.
"""

import typing

try:
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
except ModuleNotFoundError as error:
    if error.name != "sift_fast._core":
        raise
    raise ImportError(
        f"{__path__[0]} is the source of sift_fast without its compiled part: start Python in another folder, with the "
        "wheel installed (`make install` puts it into .venv)",
        name="sift_fast._core",
    ) from None
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
    Undone,
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
    receipt_opening,
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

if typing.TYPE_CHECKING:
    from sift_fast import classifier
    from sift_fast.guard import Document, Guard, GuardConfig, Opinion, RequestContext, Verdict

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
    "Document",
    "Encrypt",
    "Explanation",
    "Finding",
    "Findings",
    "Guard",
    "GuardBlocked",
    "GuardConfig",
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
    "Opinion",
    "Permit",
    "PermitRegister",
    "PolicyError",
    "Pseudonym",
    "Receipt",
    "Redaction",
    "Remove",
    "Replace",
    "RequestContext",
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
    "Undone",
    "Vault",
    "Verdict",
    "Verified",
    "__version__",
    "audit_ledger",
    "build_info",
    "check_receipt",
    "classifier",
    "receipt_opening",
    "sign_elevation",
    "sign_grant",
    "sign_request",
    "trusted_credential",
    "verify_permit",
    "verify_receipt",
]

__version__ = "0.1.0"

# Loaded when first asked for: who only scans does not pay for them.
_LAZY = {
    "classifier": "classifier",
    "Document": "guard",
    "Guard": "guard",
    "GuardConfig": "guard",
    "Opinion": "guard",
    "RequestContext": "guard",
    "Verdict": "guard",
}


def __getattr__(name: str) -> typing.Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module `sift_fast` has no attribute `{name}`")
    import importlib

    value: typing.Any = importlib.import_module(f"sift_fast.{module}")
    if name != module:
        value = getattr(value, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
