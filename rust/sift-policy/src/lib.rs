//! Policy of the action kernel: may this agent call this tool with these arguments?
//!
//! Policies are [Cedar](https://www.cedarpolicy.com), validated against a schema that is generated from the manifest
//! `tools.toml`. A decision is a pure function of the policy and the [`Request`]: no clock, no file, no network.
//! Default deny; a forbid wins; order means nothing; an error in a forbid denies; an error in a permit permits nothing.
//!
//! ```
//! use sift_policy::{json, Effect, Policy, Request};
//!
//! let manifest = r#"
//!     version = 1
//!     [tool.refund]
//!     action = "payment"
//!     risk = "high"
//!     reversible = true
//!     exports = false
//!     charges = [{ budget = "refunds", unit = "usd_micros", argument = "/cents", times = 10_000 }]
//!     args = { type = "object", required = ["cents"], properties = { cents = { type = "integer", minimum = 1 } } }
//! "#;
//! let cedar = r#"
//!     @id("refund.small")
//!     permit (principal in Role::"support", action == Action::"refund", resource)
//!     when { context.args.cents <= 5000 };
//! "#;
//! let policy = Policy::from_texts(manifest, &[("refund.cedar", cedar)])?;
//! let tool = policy.tool("refund").ok_or("no tool")?;
//! let args = json::parse(br#"{"cents": 1200}"#, &json::JsonLimits::default())?;
//! let request = Request {
//!     tenant: "acme", agent: "bot", role: "support", tool, args: &args, session: None, conversation: None,
//!     model: None, model_version: None, now_ms: 0, findings: &[], taint: &[], approved_by: &[], elevation: None,
//!     estimate: &[],
//! };
//! let outcome = policy.decide(&request);
//! assert_eq!(outcome.effect, Effect::Allow);
//! assert_eq!(outcome.charges[0].amount, 12_000_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cases;
mod compile;
mod error;
mod explain;
mod facts;
pub mod http;
mod import;
mod index;
pub mod json;
mod lint;
mod manifest;
pub mod names;
mod owned;
mod policy;
mod request;
mod rule;
mod schema;
mod sql;
mod sql_read;
mod stack;
mod tally;

pub use cases::{effect_name, replay, run_cases, CaseResult, Difference, Recorded};
pub use error::PolicyError;
pub use explain::{Explanation, NearMiss};
pub use import::draft_manifest;
pub use lint::{Level, Lint};
pub use manifest::{Amount, ApprovalRule, Charge, HttpTool, Kind, Risk, SqlTool, Tool, Undo};
pub use owned::OwnedRequest;
pub use policy::{Engine, Policy, ShadowCounters};
pub use request::{
    Approver, ArgumentFinding, ChargeAmount, Effect, Evaluation, Outcome, Reason, Request,
    ShadowResult, Taint,
};
pub use schema::{ArgumentError, PersonalField};
pub use sql::SqlReason;
