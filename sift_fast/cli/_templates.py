"""The governance folders that `sift-fast init` writes: three starting points to be changed.

Each has a manifest, budgets and policies that load and decide as they stand, and cases of `policy test`; a test opens
them all. Keys are made when a folder is written.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["IGNORED", "KERNEL", "TEMPLATES", "Template"]

IGNORED: Final = """\
# Private keys, and the kernel's own files: what stands in a repository, others have.
keys/
state/
run/
"""

KERNEL: Final = """\
# What this kernel is. Every bound has a default; docs/kernel.md lists them.
audience = "{audience}"
origin = "{origin}"
state = "state"
receipt_key = "keys/receipt.key"
receipt_key_id = "receipt-1"
log_key = "keys/log.key"

[approval]
seconds = 900
elevation_group = "{group}"
"""


class Template(NamedTuple):
    """One starting point."""

    #: One line for `--help`.
    about: str
    #: Name and role of the agent that gets a key.
    agent: str
    role: str
    #: The group of the two people who approve.
    group: str
    budgets: str
    tools: str
    policy: str
    #: Cases of `policy test`, for the tenant `{tenant}`.
    cases: str
    #: A call that is allowed, for the sentence at the end.
    tool: str
    args: str


_SUPPORT = Template(
    about="an agent that answers customers, refunds and sends mail",
    agent="support-bot",
    role="support",
    group="finance",
    budgets="""\
# Integers in the smallest part of a unit: usd_micros are millionths of a dollar.
[[limit]]
budget = "refunds"
unit = "usd_micros"
scope = "tenant"
window = "1d"
cap = 2_000_000_000

[[limit]]
budget = "refunds"
unit = "usd_micros"
scope = "conversation"
window = "1d"
cap = 500_000_000

[[limit]]
budget = "calls"
unit = "calls"
scope = "agent"
window = "1h"
cap = 2_000

[[rate]]
name = "mail"
scope = "agent"
limit = 30
per = "1m"
burst = 5
only = { tool = "send_mail" }
""",
    tools="""\
version = 1

[tool.read_order]
description = "Look an order up"
action = "read"
risk = "low"
reversible = true
exports = false
scan_args = false
charges = [{ budget = "calls", unit = "calls", amount = 1 }]
[tool.read_order.args]
type = "object"
required = ["order"]
additionalProperties = false
[tool.read_order.args.properties]
order = { type = "string", maxLength = 64 }

[tool.refund]
description = "Pay money back to the customer of an order"
action = "payment"
risk = "high"
reversible = false
exports = false
charges = [
    { budget = "refunds", unit = "usd_micros", argument = "/cents", times = 10_000 },
    { budget = "calls", unit = "calls", amount = 1 },
]
[tool.refund.args]
type = "object"
required = ["order", "cents"]
additionalProperties = false
[tool.refund.args.properties]
order = { type = "string", maxLength = 64 }
cents = { type = "integer", minimum = 1 }

[tool.send_mail]
description = "Write to a customer"
action = "message"
risk = "medium"
reversible = false
exports = true
charges = [{ budget = "calls", unit = "calls", amount = 1 }]
[tool.send_mail.args]
type = "object"
required = ["to", "text"]
additionalProperties = false
[tool.send_mail.args.properties]
to = { type = "string", maxLength = 320 }
text = { type = "string", maxLength = 20000 }
""",
    policy="""\
// Nothing is allowed unless a permit below says so, and a forbid always wins.

@id("support.read")
permit (principal in Role::"support", action == Action::"read_order", resource);

@id("support.refund.small")
permit (principal in Role::"support", action == Action::"refund", resource)
when { context.args.cents <= 5000 };

@id("support.refund.large")
@approval("2-of-finance")
@message("A refund of this size needs two people of finance.")
permit (principal in Role::"support", action == Action::"refund", resource)
when { context.args.cents > 5000 && context.args.cents <= 50000 };

@id("support.mail")
permit (principal in Role::"support", action == Action::"send_mail", resource)
when { context.args.to like "*@*" && !(context.args.to like "*,*") && !(context.args.to like "*;*") };

@id("exports.no-secrets")
@reason("secret_in_arguments")
@message("The message holds a key or password and was not sent.")
forbid (principal, action, resource)
when { resource.exports && context.findings.categories.contains("secret") };
""",
    cases="""\
[defaults]
tenant = "{tenant}"
agent = "support-bot"
role = "support"

[[case]]
name = "a small refund is allowed"
expect = "allow"
rules = ["support.refund.small"]
request = { tool = "refund", args = { order = "o-1", cents = 5000 } }

[[case]]
name = "a large refund asks two people of finance"
expect = "escalate"
approval = "2-of-finance"
request = { tool = "refund", args = { order = "o-1", cents = 50000 } }

[[case]]
name = "a refund beyond that is nobody's to ask for"
expect = "deny"
reason = "no_permit"
request = { tool = "refund", args = { order = "o-1", cents = 50001 } }

[[case]]
name = "a mail goes to one recipient"
expect = "deny"
reason = "no_permit"
request = { tool = "send_mail", args = { to = "a@example.com,b@example.com", text = "hello" } }

[[case]]
name = "no mail takes a secret along"
expect = "deny"
reason = "secret_in_arguments"
[case.request]
tool = "send_mail"
args = { to = "a@example.com", text = "hello" }
findings = [{ category = "secret", entity_type = "PASSWORD", argument = "/text", score = 0.9 }]
""",
    tool="refund",
    args='{"order": "o-1", "cents": 500}',
)

_CI = Template(
    about="an agent that changes a code base and deploys it",
    agent="ci-bot",
    role="builder",
    group="release",
    budgets="""\
[[limit]]
budget = "calls"
unit = "calls"
scope = "agent"
window = "1h"
cap = 5_000

[[limit]]
budget = "deploys"
unit = "calls"
scope = "tenant"
window = "1d"
cap = 20

[[rate]]
name = "deploys"
scope = "tenant"
limit = 4
per = "1h"
only = { tool = "deploy" }
""",
    tools="""\
version = 1

[tool.run_tests]
action = "build"
risk = "low"
reversible = true
exports = false
scan_args = false
charges = [{ budget = "calls", unit = "calls", amount = 1 }]
[tool.run_tests.args]
type = "object"
required = ["ref"]
additionalProperties = false
[tool.run_tests.args.properties]
ref = { type = "string", maxLength = 128 }

[tool.open_pull_request]
action = "write"
risk = "medium"
reversible = true
exports = true
charges = [{ budget = "calls", unit = "calls", amount = 1 }]
[tool.open_pull_request.args]
type = "object"
required = ["branch", "title", "body"]
additionalProperties = false
[tool.open_pull_request.args.properties]
branch = { type = "string", maxLength = 128 }
title = { type = "string", maxLength = 256 }
body = { type = "string", maxLength = 60000 }

[tool.deploy]
action = "release"
risk = "critical"
reversible = true
exports = false
charges = [{ budget = "deploys", unit = "calls", amount = 1 }]
[tool.deploy.args]
type = "object"
required = ["ref", "environment"]
additionalProperties = false
[tool.deploy.args.properties]
ref = { type = "string", pattern = "^[0-9a-f]{40}$" }
environment = { type = "string", enum = ["staging", "production"] }
""",
    policy="""\
// Nothing is allowed unless a permit below says so, and a forbid always wins.

@id("ci.test")
permit (principal in Role::"builder", action == Action::"run_tests", resource);

@id("ci.pull-request")
permit (principal in Role::"builder", action == Action::"open_pull_request", resource)
when { context.args.branch like "ci-bot/*" };

@id("ci.staging")
permit (principal in Role::"builder", action == Action::"deploy", resource)
when { context.args.environment == "staging" };

@id("ci.production")
@approval("1-of-release")
@message("A deployment to production needs one person of release.")
permit (principal in Role::"builder", action == Action::"deploy", resource)
when { context.args.environment == "production" };

@id("exports.no-secrets")
@reason("secret_in_arguments")
@message("The text holds a key or password and was not published.")
forbid (principal, action, resource)
when { resource.exports && context.findings.categories.contains("secret") };
""",
    cases="""\
[defaults]
tenant = "{tenant}"
agent = "ci-bot"
role = "builder"

[[case]]
name = "tests run"
expect = "allow"
request = { tool = "run_tests", args = { ref = "main" } }

[[case]]
name = "a pull request comes from a branch of the agent's own"
expect = "deny"
reason = "no_permit"
request = { tool = "open_pull_request", args = { branch = "main", title = "t", body = "b" } }

[[case]]
name = "staging needs nobody"
expect = "allow"
[case.request]
tool = "deploy"
args = { ref = "0123456789012345678901234567890123456789", environment = "staging" }

[[case]]
name = "production needs a person"
expect = "escalate"
approval = "1-of-release"
[case.request]
tool = "deploy"
args = { ref = "0123456789012345678901234567890123456789", environment = "production" }
""",
    tool="run_tests",
    args='{"ref": "main"}',
)

_TRADING = Template(
    about="an agent that places orders within limits",
    agent="desk-bot",
    role="trader",
    group="risk",
    budgets="""\
[[limit]]
budget = "exposure"
unit = "usd_micros"
scope = "tenant"
window = "1d"
cap = 1_000_000_000_000

[[limit]]
budget = "exposure"
unit = "usd_micros"
scope = "agent"
window = "1h"
cap = 100_000_000_000

[[limit]]
budget = "calls"
unit = "calls"
scope = "agent"
window = "1m"
cap = 600

[[rate]]
name = "orders"
scope = "agent"
limit = 60
per = "1m"
burst = 10
only = { tool = "place_order" }
""",
    tools="""\
version = 1

[tool.quote]
action = "read"
risk = "low"
reversible = true
exports = false
scan_args = false
charges = [{ budget = "calls", unit = "calls", amount = 1 }]
[tool.quote.args]
type = "object"
required = ["symbol"]
additionalProperties = false
[tool.quote.args.properties]
symbol = { type = "string", pattern = "^[A-Z.]{1,12}$" }

[tool.place_order]
action = "trade"
risk = "critical"
reversible = false
exports = false
scan_args = false
charges = [
    { budget = "exposure", unit = "usd_micros", argument = "/notional_cents", times = 10_000 },
    { budget = "calls", unit = "calls", amount = 1 },
]
[tool.place_order.args]
type = "object"
required = ["symbol", "side", "notional_cents"]
additionalProperties = false
[tool.place_order.args.properties]
symbol = { type = "string", pattern = "^[A-Z.]{1,12}$" }
side = { type = "string", enum = ["buy", "sell"] }
notional_cents = { type = "integer", minimum = 1 }
""",
    policy="""\
// Nothing is allowed unless a permit below says so, and a forbid always wins.

@id("desk.quote")
permit (principal in Role::"trader", action == Action::"quote", resource);

@id("desk.order.small")
permit (principal in Role::"trader", action == Action::"place_order", resource)
when { context.args.notional_cents <= 100000 };

@id("desk.order.large")
@approval("1-of-risk")
@message("An order of this size needs one person of risk.")
permit (principal in Role::"trader", action == Action::"place_order", resource)
when { context.args.notional_cents > 100000 && context.args.notional_cents <= 5000000 };
""",
    cases="""\
[defaults]
tenant = "{tenant}"
agent = "desk-bot"
role = "trader"
tool = "place_order"

[[case]]
name = "a small order is allowed"
expect = "allow"
request = { args = { symbol = "ABC", side = "buy", notional_cents = 100000 } }

[[case]]
name = "a large order asks one person of risk"
expect = "escalate"
approval = "1-of-risk"
request = { args = { symbol = "ABC", side = "buy", notional_cents = 100001 } }

[[case]]
name = "an order beyond that is nobody's to ask for"
expect = "deny"
reason = "no_permit"
request = { args = { symbol = "ABC", side = "buy", notional_cents = 5000001 } }
""",
    tool="place_order",
    args='{"symbol": "ABC", "side": "buy", "notional_cents": 500}',
)

TEMPLATES: Final = {"ci": _CI, "support": _SUPPORT, "trading": _TRADING}
