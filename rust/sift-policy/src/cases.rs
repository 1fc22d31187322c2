//! Test cases of a policy as TOML, and the replay of recorded decisions.

use crate::json::JsonLimits;
use crate::owned::{from_json, OwnedRequest};
use crate::policy::Policy;
use crate::request::{Effect, Outcome};
use serde::Deserialize;
use toml::value::{Datetime, Offset};

/// Result of one case.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseResult {
    /// Name of the case.
    pub name: String,
    /// What differs from what was expected; empty when the case holds.
    pub differences: Vec<String>,
}

/// A decision as it was recorded.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Id of the request, for the report.
    pub request_id: String,
    /// What was asked.
    pub request: OwnedRequest,
    /// `allow`, `escalate` or `deny`.
    pub decision: String,
    /// Reason code.
    pub reason: String,
    /// Policies that decided.
    #[serde(default)]
    pub rule_ids: Vec<String>,
}

/// A recorded decision that this policy decides otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Id of the request.
    pub request_id: String,
    /// Decision and reason as recorded.
    pub before: (String, String),
    /// Decision and reason now.
    pub after: (String, String),
    /// Policies that decide now.
    pub rule_ids: Vec<String>,
}

impl Recorded {
    /// Reads a record from JSON, as strictly as a request.
    ///
    /// # Errors
    /// What is refused; names keys of this form, never a value.
    pub fn from_json(text: &[u8], limits: &JsonLimits) -> Result<Self, String> {
        from_json(text, limits)
    }
}

impl Difference {
    /// As JSON, for reports.
    pub fn to_json(&self) -> serde_json::Value {
        let side = |(decision, reason): &(String, String)| serde_json::json!({"decision": decision, "reason": reason});
        serde_json::json!({
            "request_id": self.request_id, "before": side(&self.before), "after": side(&self.after),
            "rule_ids": self.rule_ids,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    #[serde(default)]
    defaults: toml::Table,
    #[serde(default)]
    case: Vec<CaseText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseText {
    name: String,
    expect: String,
    reason: Option<String>,
    rules: Option<Vec<String>>,
    approval: Option<String>,
    now: Option<Datetime>,
    request: toml::Table,
}

/// The word of a decision.
pub fn effect_name(effect: &Effect) -> &'static str {
    match effect {
        Effect::Allow => "allow",
        Effect::Escalate(_) => "escalate",
        Effect::Deny => "deny",
    }
}

/// Runs the cases of a TOML text.
///
/// `[defaults]` holds parts of every request; a case has `name`, `expect = "allow" | "escalate" | "deny"`, optionally
/// `reason`, `rules`, `approval` and `now` (a TOML date and time with offset), and a table `request`.
///
/// # Errors
/// A text that is not of this form, or has no case.
pub fn run_cases(policy: &Policy, text: &str) -> Result<Vec<CaseResult>, String> {
    let Cases { defaults, case: cases } =
        toml::from_str(text).map_err(|error| error.to_string())?;
    if cases.is_empty() {
        return Err(
            "there is no [[case]]; a file of tests that tests nothing is an error".to_owned()
        );
    }
    cases.into_iter().map(|case| case.run(policy, &defaults)).collect()
}

impl CaseText {
    fn run(self, policy: &Policy, defaults: &toml::Table) -> Result<CaseResult, String> {
        let name = self.name;
        let failed = |problem: &dyn std::fmt::Display| format!("case `{name}`: {problem}");
        if !["allow", "escalate", "deny"].contains(&self.expect.as_str()) {
            return Err(failed(&"expect is `allow`, `escalate` or `deny`"));
        }
        let mut table = defaults.clone();
        table.extend(self.request);
        let mut request: OwnedRequest = table.try_into().map_err(|error| failed(&error))?;
        if let Some(now) = self.now {
            request.now_ms =
                milliseconds(&now).ok_or_else(|| failed(&"now is a date and time with offset"))?;
        }
        let outcome = request.decide(policy);
        let mut differences = Vec::new();
        let mut expect = |what: &str, expected: &str, got: &str| {
            if expected != got {
                differences.push(format!("{what} is {got}, expected {expected}"));
            }
        };
        expect("the decision", &self.expect, effect_name(&outcome.effect));
        if let Some(reason) = &self.reason {
            expect("the reason", reason, outcome.reason.code());
        }
        if let Some(mut rules) = self.rules {
            rules.sort_unstable();
            expect("the list of deciding rules", &rules.join(", "), &ids(&outcome).join(", "));
        }
        if let Some(approval) = &self.approval {
            let got = match &outcome.effect {
                Effect::Escalate(rule) => &rule.name,
                _ => "none",
            };
            expect("the approval", approval, got);
        }
        Ok(CaseResult { name, differences })
    }
}

fn ids(outcome: &Outcome) -> Vec<String> {
    outcome.rule_ids.iter().map(ToString::to_string).collect()
}

/// Decides a recorded request again; `None` when decision, reason and rules are the same.
pub fn replay(policy: &Policy, recorded: &Recorded) -> Option<Difference> {
    let outcome = recorded.request.decide(policy);
    let after = (effect_name(&outcome.effect).to_owned(), outcome.reason.code().to_owned());
    let before = (recorded.decision.clone(), recorded.reason.clone());
    let rule_ids = ids(&outcome);
    (before != after || recorded.rule_ids != rule_ids).then(|| Difference {
        request_id: recorded.request_id.clone(),
        before,
        after,
        rule_ids,
    })
}

/// Milliseconds since 1970. Days from a civil date: <https://howardhinnant.github.io/date_algorithms.html>.
fn milliseconds(value: &Datetime) -> Option<i64> {
    let (date, time) = (value.date?, value.time?);
    let offset = match value.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let (month, day) = (i64::from(date.month), i64::from(date.day));
    let year = i64::from(date.year) - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100
        + day_of_year
        - 719_468;
    let minutes = days * 1440 + i64::from(time.hour) * 60 + i64::from(time.minute) - offset;
    let (second, nanosecond) = (time.second.unwrap_or(0), time.nanosecond.unwrap_or(0));
    Some((minutes * 60 + i64::from(second)) * 1000 + i64::from(nanosecond) / 1_000_000)
}
