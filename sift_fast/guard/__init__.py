"""The guard: five layers in front of a model, from one file.

>>> from sift_fast.guard import Guard, RequestContext
>>> guard = Guard({"version": 1, "preset": "chat"})
>>> guard.check_input_sync("Hello", RequestContext(tenant="acme")).allowed
True
"""

from sift_fast.guard.config import GuardConfig
from sift_fast.guard.filters import as_filter
from sift_fast.guard.guard import Guard
from sift_fast.guard.verdict import Classifier, Document, Guardrail, Opinion, RequestContext, Verdict

__all__ = [
    "Classifier",
    "Document",
    "Guard",
    "GuardConfig",
    "Guardrail",
    "Opinion",
    "RequestContext",
    "Verdict",
    "as_filter",
]
