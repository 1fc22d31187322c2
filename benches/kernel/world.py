"""One world, said in every dialect: 1,000 rules over 50 tools, 20 roles and 10 tenants, and three requests.

Rule `n` allows tool `n mod 50` for role `n mod 20` of tenant `n / 100` up to an amount of `500 + n`; what no rule
allows is denied. So each request has candidates by tool and role, and one rule that decides.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sift_fast as sf

TOOLS, ROLES = 50, 20
#: Numbers of the rules: all of them, and ten around the one that decides.
ALL, FEW = range(1_000), range(530, 540)
AUDIENCE = "kernel.bench"
ORIGIN = "bench.example/actions"


@dataclass(frozen=True)
class Ask:
    """A request and the answer that every contender must give."""

    name: str
    tenant: str
    role: str
    tool: str
    amount: int
    allowed: bool

    @property
    def args(self) -> dict[str, Any]:
        """Arguments of the tool."""
        return {"amount": self.amount, "currency": "EUR", "account": "acct-2231", "memo": "second order"}


#: The rule in the middle decides the first two.
ASKS = (
    Ask("allowed", "acme5", "role17", "t37", 120, True),
    Ask("amount too high", "acme5", "role17", "t37", 5_000, False),
    Ask("no rule for the role", "acme5", "role18", "t37", 120, False),
)


def rules(numbers: range) -> list[tuple[int, str, str, str, int]]:
    """Number, tenant, role, tool and highest amount of each rule."""
    return [(n, f"acme{n // 100}", f"role{n % ROLES}", f"t{n % TOOLS}", 500 + n) for n in numbers]


def cedar(numbers: range) -> str:
    """The rules in Cedar, as they stand in `policy/*.cedar` and as cedarpy takes them."""
    return "\n".join(
        f'@id("p{n}") permit (principal in Role::"{tenant}/{role}", action == Action::"{tool}", resource)\n'
        f"when {{ context.args.amount <= {most} }};"
        for n, tenant, role, tool, most in rules(numbers)
    )


def manifest(*, scan: bool = False) -> str:
    """The tools, with their schema and what they charge.

    Args:
        scan: whether arguments are scanned (`scan_args`, on unless a manifest says otherwise).
    """
    return "version = 1\n" + "\n".join(
        f"""
[tool.t{n}]
risk = "medium"
reversible = true
exports = false
scan_args = {"true" if scan else "false"}
charges = [
    {{ budget = "spend", unit = "usd_micros", argument = "/amount", times = 10_000 }},
    {{ budget = "calls", unit = "calls", amount = 1 }},
]
[tool.t{n}.args]
type = "object"
required = ["amount", "currency", "account"]
additionalProperties = false
[tool.t{n}.args.properties]
amount = {{ type = "integer", minimum = 1 }}
currency = {{ type = "string", enum = ["EUR", "USD", "GBP"] }}
account = {{ type = "string", maxLength = 64 }}
memo = {{ type = "string", maxLength = 200 }}
"""
        for n in range(TOOLS)
    )


def conditions(numbers: range, of: str = "") -> list[str]:
    """The conditions as the Agent Governance Toolkit's own rules have them.

    Args:
        numbers: of which rules.
        of: what stands behind each name; `govern` puts what it is called with under `.value`.
    """
    return [
        f"tenant{of} == '{tenant}' and role{of} == '{role}' and tool_name{of} == '{tool}' and amount{of} <= {most}"
        for _, tenant, role, tool, most in rules(numbers)
    ]


def write(folder: Path, receipts: str, *, scan: bool = False) -> sf.SigningKey:
    """Write the folder of a kernel; the key of its agent is returned.

    Args:
        folder: made when it is not there.
        receipts: `signed` or `batched`.
        scan: as for `manifest`.
    """
    (folder / "policy").mkdir(parents=True)
    (folder / "policy" / "bench.cedar").write_text(cedar(ALL), encoding="utf-8")
    (folder / "tools.toml").write_text(manifest(scan=scan), encoding="utf-8")
    limit = '[[limit]]\nbudget = "{}"\nunit = "{}"\nscope = "{}"\nwindow = "1d"\ncap = 9_000_000_000_000\n'
    budgets = limit.format("spend", "usd_micros", "tenant") + limit.format("calls", "calls", "agent")
    (folder / "budgets.toml").write_text(budgets, encoding="utf-8")
    (folder / "kernel.toml").write_text(
        f'audience = "{AUDIENCE}"\norigin = "{ORIGIN}"\nreceipt_key = "receipt.key"\nreceipt_key_id = "receipt-1"\n'
        f'log_key = "log.key"\nreceipts = "{receipts}"\n',
        encoding="utf-8",
    )
    entries = []
    for name, purpose, more in (
        ("receipt", "receipt", ""),
        ("log", "log", f'name = "{ORIGIN}"'),
        ("bot", "agent", 'tenant = "acme5"\nagent = "bot"\nroles = ["role17", "role18"]\nname = "olga"'),
    ):
        key = sf.SigningKey.generate(f"{name}-1", AUDIENCE)
        key.save(folder / f"{name}.key")
        entries.append(
            f'[[key]]\nid = "{name}-1"\npurpose = "{purpose}"\nalgorithm = "ed25519"\npublic = "{key.public}"\n{more}\n'
        )
    (folder / "keys.toml").write_text("".join(entries), encoding="utf-8")
    return sf.SigningKey.load(folder / "bot.key", "bot-1", AUDIENCE)


def request(ask: Ask, session: str | None = None) -> sf.ActionRequest:
    """The request as the kernel takes it."""
    return sf.ActionRequest(
        tenant=ask.tenant, agent="bot", role=ask.role, tool=ask.tool, args=ask.args, session=session, conversation="c1"
    )


def policy_json(ask: Ask) -> str:
    """The request as `PolicySet.decide` takes it."""
    return json.dumps(
        {"tenant": ask.tenant, "agent": "bot", "role": ask.role, "tool": ask.tool, "args": ask.args, "now_ms": 1}
    )
