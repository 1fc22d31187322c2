"""Who is measured, what each of them checks, and how one call of each is made.

A contender takes a request and says whether it was allowed; what can be prepared once (policies parsed, entities built,
requests written as JSON) is prepared once, as its documentation advises. Rivals that are not installed are left out.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import sift_fast as sf
from benches.kernel.world import ALL, ASKS, Ask, cedar, conditions, manifest, policy_json, request, write

#: One call: prepared outside of the time (`prepare`), made inside (`call`), undone outside (`after`).
Call = Callable[[Any], bool]


@dataclass(frozen=True)
class Contender:
    """One way to decide, with what it checks and proves."""

    name: str
    checks: str
    prepare: Callable[[Ask], Any]
    call: Call
    after: Callable[[], None] = lambda: None


def _ours_decide(numbers: range) -> Contender:
    from sift_fast._core import PolicySet

    policies = PolicySet.from_texts(manifest(), [("bench.cedar", cedar(numbers))])

    def call(prepared: str) -> bool:
        return '"allow"' in policies.decide(prepared)

    return Contender(
        "sift_fast `PolicySet.decide`",
        "strict JSON (duplicates, numbers, depth), schema of arguments, Cedar policies, approvals, charges",
        policy_json,
        call,
    )


def _cedar_entities(ask: Ask) -> list[dict[str, Any]]:
    role = {"type": "Role", "id": f"{ask.tenant}/{ask.role}"}
    return [
        {"uid": {"type": "Agent", "id": "bot"}, "attrs": {}, "parents": [role]},
        {"uid": role, "attrs": {}, "parents": []},
    ]


def _cedarpy(numbers: range) -> Contender:
    import cedarpy

    policies = cedarpy.PolicySet.from_str(cedar(numbers))
    entities = {ask.name: cedarpy.Entities.from_json_str(json.dumps(_cedar_entities(ask))) for ask in ASKS}

    def prepare(ask: Ask) -> Any:
        asked = {
            "principal": 'Agent::"bot"',
            "action": f'Action::"{ask.tool}"',
            "resource": f'Tool::"{ask.tool}"',
            "context": {"args": ask.args},
        }
        return asked, entities[ask.name]

    def call(prepared: Any) -> bool:
        asked, known = prepared
        return bool(cedarpy.is_authorized(asked, policies, known).allowed)

    return Contender("cedarpy, policies and entities parsed before", "Cedar policies", prepare, call)


def _toolkit_rules(numbers: range, of: str = "") -> Any:
    from agentmesh.governance.policy import Policy, PolicyRule

    rules = [
        PolicyRule(name=f"p{n}", condition=condition, action="allow")
        for n, condition in enumerate(conditions(numbers, of))
    ]
    return Policy(name="bench", agents=["*"], rules=rules, default_action="deny")


def _toolkit_context(ask: Ask) -> dict[str, Any]:
    return {"tenant": ask.tenant, "role": ask.role, "tool_name": ask.tool, **ask.args}


def _toolkit_engine(numbers: range) -> Contender:
    from agentmesh.governance.policy import PolicyEngine

    engine = PolicyEngine()
    engine.load_policy(_toolkit_rules(numbers))

    def call(prepared: dict[str, Any]) -> bool:
        return bool(engine.evaluate("bot", prepared).allowed)

    return Contender(
        "agent-governance-toolkit `PolicyEngine`", "its own rules, in order of priority", _toolkit_context, call
    )


def _toolkit_cedar(numbers: range) -> Contender:
    from agent_os.policies.backends import CedarBackend

    # It writes the names of tools in capitals before it asks Cedar.
    text = cedar(numbers).replace('Action::"t', 'Action::"T')
    backends = {
        ask.name: CedarBackend(policy_content=text, entities=_cedar_entities(ask), mode="cedarpy") for ask in ASKS
    }

    def prepare(ask: Ask) -> Any:
        return backends[ask.name], {
            "agent_id": 'Agent::"bot"',
            "tool_name": ask.tool,
            "resource": f'Tool::"{ask.tool}"',
            "args": ask.args,
        }

    def call(prepared: Any) -> bool:
        backend, context = prepared
        return bool(backend.evaluate(context).allowed)

    return Contender("agent-governance-toolkit `CedarBackend`", "Cedar policies, by cedarpy", prepare, call)


def _present(makers: Sequence[Callable[[], Contender]]) -> list[Contender]:
    found = []
    for make in makers:
        try:
            found.append(make())
        except ImportError:
            continue
    return found


def deciding(numbers: range) -> list[Contender]:
    """Those who decide about a request by policies alone.

    Args:
        numbers: of which rules.
    """
    logging.disable(logging.CRITICAL)
    makers = (_ours_decide, _cedarpy, _toolkit_engine, _toolkit_cedar)
    return _present([partial(make, numbers) for make in makers])


def _ours_signed_off(kernel: sf.Kernel, name: str, proof: str, prepare: Callable[[Ask], Any]) -> Contender:
    leases: list[str] = []

    def call(prepared: Any) -> bool:
        answer = kernel.authorize(*prepared)
        if answer.lease is not None:
            leases.append(answer.lease)
        return answer.allowed

    def after() -> None:
        for lease in leases:
            kernel.cancel(lease)
        leases.clear()

    checks = (
        f"limits, {proof}, revocation, time, replay, session grant, schema, Cedar policies, two budgets in durable "
        "blocks; receipt in the ledger's queue, durable before a permit is given"
    )
    return Contender(name, checks, prepare, call, after)


@contextmanager
def kernels(folder: Path) -> Iterator[list[Contender]]:
    """Those who sign off an action: policy, and evidence of what was decided.

    Args:
        folder: where kernels keep their state; on the disk to measure.
    """
    found: list[Contender] = []
    opened: list[sf.Kernel] = []
    for receipts, scan in (("batched", False), ("signed", False), ("signed", True)):
        place = folder / f"{receipts}-{scan}"
        key = write(place, receipts, scan=scan)
        kernel = sf.Kernel.open(place)
        opened.append(kernel)
        grant = sf.SessionGrant(tenant="acme5", agent="bot", roles=["role17", "role18"])
        session = kernel.open_session(sf.sign_grant(grant, key))

        def by_mac(ask: Ask, session: sf.Session = session) -> Any:
            inside = request(ask, session.id)
            return inside, session.mac(inside)

        def by_key(ask: Ask, key: sf.SigningKey = key) -> Any:
            return sf.sign_request(request(ask), key)

        more = ", arguments scanned" if scan else ""
        for proof, prepare in (("session MAC", by_mac), ("Ed25519", by_key)):
            name = f"sift_fast `authorize`, {proof}, receipt {receipts}{more}"
            found.append(_ours_signed_off(kernel, name, proof + more, prepare))
    try:
        yield found + _present([_toolkit_govern, _toolkit_receipts])
    finally:
        for kernel in opened:
            kernel.close()


def _toolkit_govern() -> Contender:
    from agentmesh.governance.govern import GovernanceConfig, GovernanceDenied, GovernedCallable

    def tool(**_: object) -> bool:
        return True

    governed = GovernedCallable(tool, GovernanceConfig(policy=_toolkit_rules(ALL, ".value"), agent_id="bot"))

    def call(prepared: dict[str, Any]) -> bool:
        try:
            return bool(governed(**prepared))
        except GovernanceDenied:
            return False

    checks = "its own rules; entry in a hash tree in memory. No caller is authenticated, nothing is signed or durable"
    return Contender("agent-governance-toolkit `govern`", checks, _toolkit_context, call)


def _toolkit_receipts() -> Contender:
    from agentmesh.governance.policy import PolicyEngine
    from mcp_receipt_governed.adapter import McpReceiptAdapter

    engine = PolicyEngine()
    engine.load_policy(_toolkit_rules(ALL))
    adapter = McpReceiptAdapter(signing_key_hex="07" * 32)
    # Its own policy language here is a pattern over action names, which cannot say these rules.
    state = threading.local()
    adapter._evaluator.evaluate = lambda _tool, _context: state.allowed

    def call(prepared: dict[str, Any]) -> bool:
        state.allowed = engine.evaluate("bot", prepared).allowed
        receipt = adapter.govern_tool_call("did:mesh:bot", prepared["tool_name"], {"amount": prepared["amount"]})
        return bool(receipt.cedar_decision == "allow")

    checks = "its own rules; receipt signed with Ed25519, chained by hashes, in memory. No caller is authenticated"
    return Contender("agent-governance-toolkit `McpReceiptAdapter`", checks, _toolkit_context, call)
