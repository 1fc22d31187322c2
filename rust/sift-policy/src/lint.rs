//! What is odd about a policy that loads: rules that cannot decide anything, permits without limits, half-declared tools.

use crate::manifest::{Kind, Risk, Tool};
use crate::policy::Policy;
use crate::rule::Rule;
use std::collections::HashMap;
use std::sync::Arc;

/// How much a remark matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Probably a mistake.
    Warning,
}

/// A remark on a policy or a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// How much it matters.
    pub level: Level,
    /// Stable code, such as `shadowed`.
    pub code: &'static str,
    /// The policy's id, or `tool:NAME`.
    pub subject: Arc<str>,
    /// What is odd and what to do.
    pub text: String,
}

impl Policy {
    /// Looks for rules that can never decide, permits without argument limits, and tools that are not fully declared.
    /// Sorted by level, then code, then subject.
    pub fn lint(&self) -> Vec<Lint> {
        let mut lints = Vec::new();
        let mut add = |level, code, subject: &Arc<str>, text: String| {
            lints.push(Lint { level, code, subject: subject.clone(), text });
        };
        let rules = self.rules();
        for warning in self.warnings() {
            add(Level::Warning, "validator", &"policies".into(), warning.clone());
        }
        for rule in rules {
            if rule.scope.principal.never || rule.scope.tools.is_none() {
                let text = "its scope fits no request; correct principal, action and resource, or remove it";
                add(Level::Warning, "unreachable", &rule.id, text.to_owned());
            }
        }
        let scoped = |rule: &&Rule| !rule.scope.principal.never && !rule.scope.tools.is_none();
        for rule in rules.iter().filter(scoped).filter(|rule| rule.conditions.never()) {
            let text = "its conditions cannot hold together, whatever is asked; correct them, or remove it";
            add(Level::Warning, "unreachable", &rule.id, text.to_owned());
        }
        let reachable = |rule: &&Rule| scoped(rule) && !rule.conditions.never();
        let in_force = |rule: &&Rule| rule.shadow.is_none() && rule.approval.is_none();
        // Whatever a rule covers that always holds adds nothing, or is never heard.
        let plain = |rule: &&Rule| rule.conditions.always() && in_force(rule);
        for wide in rules.iter().filter(reachable).filter(in_force) {
            for rule in rules
                .iter()
                .filter(reachable)
                .filter(|rule| rule.id != wide.id && rule.shadow.is_none())
            {
                if !wide.scope.covers(&rule.scope)
                    || (plain(&rule) && rule.scope == wide.scope && rule.id < wide.id)
                {
                    continue;
                }
                // A forbid is heard before a permit wherever its conditions hold, too.
                let heard =
                    plain(&wide) || (wide.forbid && wide.conditions.follow_from(&rule.conditions));
                if !heard || (!plain(&wide) && rule.forbid) {
                    continue;
                }
                match (wide.forbid, rule.forbid) {
                    (true, false) => add(
                        Level::Warning,
                        "shadowed",
                        &rule.id,
                        format!(
                            "`{}` forbids whatever it permits; narrow that one or remove this one",
                            wide.id
                        ),
                    ),
                    (wide_forbids, forbids) if wide_forbids == forbids => add(
                        Level::Warning,
                        "redundant",
                        &rule.id,
                        format!(
                            "`{}` says the same without conditions; remove one of the two",
                            wide.id
                        ),
                    ),
                    _ => {}
                }
            }
        }
        let mut bodies: HashMap<String, &Rule> = HashMap::new();
        for rule in rules.iter().filter(|rule| !rule.conditions.conjuncts().is_empty()) {
            let conditions: Vec<_> =
                rule.conditions.conjuncts().iter().map(|conjunct| conjunct.shown()).collect();
            let body = format!("{} {:?} {}", rule.forbid, rule.scope, conditions.join(" && "));
            if let Some(first) = bodies.insert(body, rule) {
                let text = format!(
                    "`{}` has the same scope and conditions; remove one of the two",
                    first.id
                );
                add(Level::Warning, "redundant", &rule.id, text);
            }
        }
        for rule in rules.iter().filter(|rule| !rule.forbid && rule.approval.is_none()) {
            let limits = rule.conditions.limit_arguments();
            let risky: Vec<_> = self
                .tools()
                .iter()
                .filter(|tool| {
                    rule.scope.tools.contains(tool.ordinal) && is_risky(tool) && has_arguments(tool)
                })
                .map(|tool| &*tool.name)
                .collect();
            if let (false, Some(first)) = (limits, risky.first()) {
                let text = format!(
                    "it permits `{first}`{} with any arguments; limit them in a condition or ask for an approval",
                    if risky.len() > 1 { format!(" and {} more", risky.len() - 1) } else { String::new() }
                );
                add(Level::Warning, "no_argument_limit", &rule.id, text);
            }
        }
        for tool in self.tools() {
            let subject: Arc<str> = format!("tool:{}", tool.name).into();
            if !tool.undeclared.is_empty() {
                let text = format!(
                    "it does not declare {}; every call is denied",
                    tool.undeclared.join(", ")
                );
                add(Level::Warning, "not_declared", &subject, text);
                continue;
            }
            let permits = |rule: &Rule| {
                !rule.forbid && rule.shadow.is_none() && rule.scope.tools.contains(tool.ordinal)
            };
            if !rules.iter().any(permits) {
                add(
                    Level::Note,
                    "no_permit",
                    &subject,
                    "no policy permits it; every call is denied".to_owned(),
                );
            }
            if let Kind::Sql(sql) = &tool.kind {
                if sql.0.unbounded_writes() {
                    let text = "its writes may touch any number of rows; declare sql.max_affected and sql.keys";
                    add(Level::Warning, "unbounded_writes", &subject, text.to_owned());
                }
                if !sql.0.has_tenant() {
                    let text = "it does not tell tenants apart; declare sql.tenant_column";
                    add(Level::Warning, "no_tenant", &subject, text.to_owned());
                }
            }
            if tool.exports && !tool.scan_args {
                let text = "data leaves the service through it and its arguments are not scanned; set scan_args = true";
                add(Level::Warning, "exports_unscanned", &subject, text.to_owned());
            }
            let opaque = tool.args.as_ref().map_or(&[][..], |schema| &schema.opaque);
            if !opaque.is_empty() {
                let text = format!(
                    "policies cannot see {}: numbers with a fraction, free-form objects and unions have no type in \
                     Cedar; declare integers (cents, micro-units) and properties",
                    opaque.join(", ")
                );
                add(Level::Note, "not_visible", &subject, text);
            }
        }
        for id in self.left_to_cedar() {
            let text = "a condition is not compiled; Cedar evaluates it, in microseconds and not in nanoseconds";
            add(Level::Note, "not_compiled", id, text.to_owned());
        }
        lints.sort_by(|a, b| {
            (b.level, a.code, &a.subject, &a.text).cmp(&(a.level, b.code, &b.subject, &b.text))
        });
        lints
    }
}

fn is_risky(tool: &Tool) -> bool {
    tool.risk >= Risk::High || tool.exports || !tool.reversible
}

fn has_arguments(tool: &Tool) -> bool {
    use crate::schema::Type;
    tool.args
        .as_ref()
        .is_some_and(|schema| !matches!(&schema.ty, Type::Record(fields) if fields.is_empty()))
}
