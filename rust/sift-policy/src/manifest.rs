//! `tools.toml`: which tools exist, what their arguments are, what they risk and what they cost.

use crate::error::PolicyError;
use crate::http::HttpRules;
use crate::json::Value;
use crate::request::ChargeAmount;
use crate::schema::{ArgumentError, PersonalField, Schema};
use crate::sql::SqlRules;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tools in one manifest.
const MAX_TOOLS: usize = 10_000;
/// Approvals one rule may ask for.
const MAX_APPROVALS: u32 = 16;

/// How much harm a call can do. The order is the order of harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Reads what the tenant may read anyway.
    Low,
    /// Changes something that is easily put right.
    Medium,
    /// Costs money or touches other people's data.
    High,
    /// Cannot be put right.
    Critical,
}

impl Risk {
    /// The tier as policies see it: 0 is low, 3 is critical.
    pub fn tier(self) -> i64 {
        match self {
            Risk::Low => 0,
            Risk::Medium => 1,
            Risk::High => 2,
            Risk::Critical => 3,
        }
    }

    /// The word of the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Risk::Low => "low",
            Risk::Medium => "medium",
            Risk::High => "high",
            Risk::Critical => "critical",
        }
    }
}

/// `"2-of-finance"`: so many different members of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApprovalRule {
    /// As it is written.
    pub name: Arc<str>,
    /// How many approvers.
    pub m: u32,
    /// Of which group.
    pub group: Arc<str>,
}

impl ApprovalRule {
    /// Reads `m-of-group`.
    ///
    /// # Errors
    /// What is wrong, for a message at load.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts =
            text.split_once("-of-").and_then(|(m, group)| Some((m.parse::<u32>().ok()?, group)));
        match parts {
            Some((m @ 1..=MAX_APPROVALS, group)) if is_word(group) => {
                Ok(Self { name: text.into(), m, group: group.into() })
            }
            _ => Err(format!("approval `{text}` is not of the form `2-of-finance`, with 1 to {MAX_APPROVALS} approvers")),
        }
    }
}

/// Where the amount of a charge comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amount {
    /// The same for every call.
    Fixed(i64),
    /// An integer argument, times a factor.
    Argument {
        /// JSON pointer into the arguments.
        pointer: String,
        /// Micro-units per unit of the argument.
        times: i64,
    },
    /// The caller's estimate in this unit; settled later at the actual cost.
    Estimate,
}

/// What one call takes from a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Budget of `budgets.toml`.
    pub budget: Arc<str>,
    /// Unit of the amount.
    pub unit: Arc<str>,
    /// How much.
    pub from: Amount,
}

/// The tool that takes a call back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// Name of the undoing tool; it is in the same manifest.
    pub tool: String,
    /// Its arguments by name, as JSON pointers into `{"args": .., "result": ..}` of the call. Empty: the same arguments.
    pub args: Vec<(String, String)>,
}

/// What a tool does with its arguments that is looked into.
#[derive(Debug)]
pub enum Kind {
    /// Nothing more than its schema says.
    Function,
    /// One argument is an SQL statement.
    Sql(SqlTool),
    /// One argument is a URL.
    Http(HttpTool),
}

/// Rules of a tool of `kind = "sql"`.
#[derive(Debug)]
pub struct SqlTool(pub(crate) SqlRules);

/// Rules of a tool of `kind = "http"`.
#[derive(Debug)]
pub struct HttpTool(pub(crate) HttpRules);

impl Kind {
    /// The word of the manifest.
    pub fn as_str(&self) -> &'static str {
        match self {
            Kind::Function => "function",
            Kind::Sql(_) => "sql",
            Kind::Http(_) => "http",
        }
    }
}

/// A declared tool.
#[derive(Debug)]
pub struct Tool {
    /// Name that requests use; `Action::"NAME"` in policies.
    pub name: Arc<str>,
    /// What it does, for people.
    pub description: Option<String>,
    /// What it is.
    pub kind: Kind,
    /// Type of the action, such as `payment`; a group of actions in policies.
    pub action: Arc<str>,
    /// How much harm it can do.
    pub risk: Risk,
    /// Whether a call can be taken back.
    pub reversible: bool,
    /// Whether data leaves the service.
    pub exports: bool,
    /// What a call costs.
    pub charges: Vec<Charge>,
    /// Approvals every call needs, whatever the policies say.
    pub approval: Option<ApprovalRule>,
    /// Whether the content of arguments is scanned before the policy is asked.
    pub scan_args: bool,
    /// The tool that takes a call back.
    pub undo: Option<Undo>,
    /// Declarations that are missing; a tool that lacks one is denied.
    pub undeclared: Vec<&'static str>,
    /// Its place in the manifest's order of names.
    pub(crate) ordinal: usize,
    pub(crate) args: Option<Schema>,
    pub(crate) returns: Option<Schema>,
}

impl Tool {
    /// Checks arguments against the tool's schema; [`crate::Policy::decide`] does it again, so that no caller can
    /// forget it.
    ///
    /// # Errors
    /// The place in the schema that refuses them. A tool without a schema refuses everything.
    pub fn check_args(&self, args: &Value) -> Result<(), ArgumentError> {
        match &self.args {
            Some(schema) => schema.check(args),
            None => Err(ArgumentError { schema_path: String::new() }),
        }
    }

    /// Checks what the tool returned; a tool without a schema of returns takes everything.
    ///
    /// # Errors
    /// The place in the schema that refuses it.
    pub fn check_returns(&self, returned: &Value) -> Result<(), ArgumentError> {
        self.returns.as_ref().map_or(Ok(()), |schema| schema.check(returned))
    }

    /// Fields of the arguments that are marked as personal data.
    pub fn personal_args(&self) -> &[PersonalField] {
        self.args.as_ref().map_or(&[], |schema| &schema.personal)
    }

    /// Fields of the returns that are marked as personal data.
    pub fn personal_returns(&self) -> &[PersonalField] {
        self.returns.as_ref().map_or(&[], |schema| &schema.personal)
    }

    /// What a call with these arguments costs; `None` when it cannot be computed or is negative.
    pub(crate) fn charge(
        &self,
        args: &Value,
        estimate: &[(&str, i64)],
    ) -> Option<Vec<ChargeAmount>> {
        let mut amounts = Vec::with_capacity(self.charges.len());
        for charge in &self.charges {
            let amount = match &charge.from {
                Amount::Fixed(amount) => *amount,
                Amount::Argument { pointer, times } => {
                    args.pointer(pointer)?.as_int()?.checked_mul(*times)?
                }
                Amount::Estimate => estimate.iter().find(|(unit, _)| **unit == *charge.unit)?.1,
            };
            if amount < 0 {
                return None;
            }
            amounts.push(ChargeAmount {
                budget: charge.budget.clone(),
                unit: charge.unit.clone(),
                amount,
            });
        }
        Some(amounts)
    }
}

/// Tools in the order of their names.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) tools: Vec<Tool>,
    by_name: BTreeMap<Arc<str>, usize>,
    /// Units that an estimate may have, sorted.
    pub(crate) units: Vec<Arc<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestText {
    version: u32,
    #[serde(default)]
    tool: BTreeMap<String, ToolText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolText {
    description: Option<String>,
    #[serde(default)]
    kind: KindText,
    action: Option<String>,
    risk: Option<Risk>,
    reversible: Option<bool>,
    exports: Option<bool>,
    charges: Option<Vec<ChargeText>>,
    approval: Option<String>,
    #[serde(default = "yes")]
    scan_args: bool,
    undo: Option<UndoText>,
    args: Option<SchemaText>,
    returns: Option<SchemaText>,
    sql: Option<SqlRules>,
    http: Option<HttpRules>,
}

#[derive(Deserialize, Default, PartialEq, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum KindText {
    #[default]
    Function,
    Sql,
    Http,
}

/// A schema as a table, or as JSON in a string: both are the same schema.
#[derive(Deserialize)]
#[serde(untagged)]
enum SchemaText {
    Json(String),
    Table(serde_json::Map<String, serde_json::Value>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum UndoText {
    Same(String),
    Mapped(UndoTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UndoTable {
    tool: String,
    args: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChargeText {
    budget: String,
    unit: String,
    amount: Option<i64>,
    argument: Option<String>,
    times: Option<i64>,
    estimate: Option<bool>,
}

fn yes() -> bool {
    true
}

/// Names of tools and actions: what tool protocols allow.
pub(crate) fn is_tool_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:".contains(&byte);
    (1..=128).contains(&name.len()) && name.bytes().all(allowed)
}

/// Names of budgets, units, groups and ids of policies.
pub(crate) fn is_word(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=128).contains(&name.len()) && name.bytes().all(allowed)
}

fn is_pointer(text: &str) -> bool {
    text.starts_with('/')
}

impl Manifest {
    pub(crate) fn parse(text: &str) -> Result<Self, PolicyError> {
        let parsed: ManifestText = toml::from_str(text)
            .map_err(|error| PolicyError::Manifest(error.to_string().trim_end().to_owned()))?;
        if parsed.version != 1 {
            return Err(PolicyError::Manifest(format!(
                "version is {}, this release reads 1",
                parsed.version
            )));
        }
        if parsed.tool.len() > MAX_TOOLS {
            return Err(PolicyError::TooLarge { what: "the number of tools", limit: MAX_TOOLS });
        }
        let mut tools = Vec::with_capacity(parsed.tool.len());
        for (ordinal, (name, text)) in parsed.tool.into_iter().enumerate() {
            let tool = text
                .build(&name, ordinal)
                .map_err(|problem| PolicyError::Tool { tool: name, problem })?;
            tools.push(tool);
        }
        let by_name: BTreeMap<_, _> =
            tools.iter().map(|tool| (tool.name.clone(), tool.ordinal)).collect();
        for tool in &tools {
            let refuse =
                |problem: String| Err(PolicyError::Tool { tool: tool.name.to_string(), problem });
            if tool.action != tool.name && by_name.contains_key(&tool.action) {
                return refuse(format!(
                    "its action `{}` is the name of another tool; choose another",
                    tool.action
                ));
            }
            if let Some(undo) = &tool.undo {
                if !by_name.contains_key(undo.tool.as_str()) {
                    return refuse(format!(
                        "undo names `{}`, which is not a tool of this manifest",
                        undo.tool
                    ));
                }
            }
        }
        let mut units: Vec<_> =
            tools.iter().flat_map(|tool| &tool.charges).map(|charge| charge.unit.clone()).collect();
        units.sort_unstable();
        units.dedup();
        Ok(Self { tools, by_name, units })
    }

    pub(crate) fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.get(*self.by_name.get(name)?)
    }
}

impl ToolText {
    fn build(self, name: &str, ordinal: usize) -> Result<Tool, String> {
        if !is_tool_name(name) {
            return Err("its name may hold letters, digits and `_ - . / :`, at most 128".to_owned());
        }
        let action = self.action.unwrap_or_else(|| name.to_owned());
        if !is_tool_name(&action) {
            return Err(
                "its action may hold letters, digits and `_ - . / :`, at most 128".to_owned()
            );
        }
        let mut undeclared = Vec::new();
        let mut declared = |what: &'static str, is: bool| {
            if !is {
                undeclared.push(what);
            }
        };
        declared("args", self.args.is_some());
        declared("charges", self.charges.is_some());
        declared("exports", self.exports.is_some());
        declared("reversible", self.reversible.is_some());
        declared("risk", self.risk.is_some());
        let args = self.args.map(|schema| schema.compile("args", true)).transpose()?;
        let returns = self.returns.map(|schema| schema.compile("returns", false)).transpose()?;
        let charges = self
            .charges
            .unwrap_or_default()
            .into_iter()
            .map(ChargeText::build)
            .collect::<Result<Vec<_>, _>>()?;
        let kind = match (self.kind, self.sql, self.http) {
            (KindText::Function, None, None) => Kind::Function,
            (KindText::Sql, Some(mut rules), None) => {
                rules.fold();
                rules.validate()?;
                Kind::Sql(SqlTool(rules))
            }
            (KindText::Http, None, Some(rules)) => {
                rules.validate()?;
                Kind::Http(HttpTool(rules))
            }
            _ => return Err(
                "kind = \"sql\" has a table `sql`, kind = \"http\" a table `http`, others neither"
                    .to_owned(),
            ),
        };
        let undo = match self.undo {
            None => None,
            Some(UndoText::Same(tool)) => Some(Undo { tool, args: Vec::new() }),
            Some(UndoText::Mapped(UndoTable { tool, args })) => {
                let valid = |pointer: &String| {
                    pointer.starts_with("/args/") || pointer.starts_with("/result")
                };
                if !args.values().all(valid) {
                    return Err(
                        "undo.args holds pointers that begin with `/args/` or `/result`".to_owned()
                    );
                }
                Some(Undo { tool, args: args.into_iter().collect() })
            }
        };
        Ok(Tool {
            name: name.into(),
            description: self.description,
            kind,
            action: action.into(),
            // What is not declared is taken for the worst; such a tool is denied anyway.
            risk: self.risk.unwrap_or(Risk::Critical),
            reversible: self.reversible.unwrap_or(false),
            exports: self.exports.unwrap_or(true),
            charges,
            approval: self.approval.as_deref().map(ApprovalRule::parse).transpose()?,
            scan_args: self.scan_args,
            undo,
            undeclared,
            ordinal,
            args,
            returns,
        })
    }
}

impl SchemaText {
    fn compile(self, what: &str, object: bool) -> Result<Schema, String> {
        let schema = match self {
            SchemaText::Table(table) => serde_json::Value::Object(table),
            SchemaText::Json(text) => serde_json::from_str(&text)
                .map_err(|error| format!("{what} is not a JSON Schema: {error}"))?,
        };
        if object && schema.get("type").is_none_or(|ty| ty != "object") {
            return Err(format!("{what} must be a schema of `type = \"object\"`"));
        }
        Schema::compile(schema).map_err(|problem| format!("{what} is not a JSON Schema: {problem}"))
    }
}

impl ChargeText {
    fn build(self) -> Result<Charge, String> {
        if !is_word(&self.budget) || !is_word(&self.unit) {
            return Err("budget and unit of a charge hold letters, digits and `_ - .`".to_owned());
        }
        let from = match (self.amount, self.argument, self.estimate) {
            (Some(amount @ 0..), None, None) if self.times.is_none() => Amount::Fixed(amount),
            (None, Some(pointer), None) if is_pointer(&pointer) && self.times.is_none_or(|times| times > 0) => {
                Amount::Argument { pointer, times: self.times.unwrap_or(1) }
            }
            (None, None, Some(true)) if self.times.is_none() => Amount::Estimate,
            _ => {
                return Err(format!(
                    "a charge on `{}` has exactly one of `amount` (0 or more), `argument` (a JSON pointer, with \
                     `times` above 0) and `estimate = true`",
                    self.budget
                ))
            }
        };
        Ok(Charge { budget: self.budget.into(), unit: self.unit.into(), from })
    }
}
