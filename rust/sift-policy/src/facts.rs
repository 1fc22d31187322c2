//! What a policy sees of a request: one description that Cedar's evaluator and the compiled one both read.
//!
//! Values are built here from parsed JSON by the type the manifest declares. Cedar's own JSON form is not used: there
//! a member named `__entity` or `__extn` in untrusted arguments would become an entity or an extension value.

use crate::compile::Constant;
use crate::http::HttpFacts;
use crate::json::{Object, Value};
use crate::manifest::{Kind, Manifest, Tool};
use crate::request::{Reason, Request};
use crate::schema::{Field, Type};
use crate::sql::SqlFacts;
use cedar_policy::{Context, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A value as a policy sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Val<'a> {
    Bool(bool),
    Long(i64),
    Str(&'a str),
    /// Milliseconds since 1970.
    Datetime(i64),
    Entity(Uid<'a>),
    Record(Rec<'a>),
    Set(SetVal<'a>),
}

/// Entities a policy can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Uid<'a> {
    /// `Agent::"tenant/agent"`
    Agent(&'a str, &'a str),
    /// `Role::"role"`, in every tenant.
    Role(&'a str),
    /// `Role::"tenant/role"`
    TenantRole(&'a str, &'a str),
    Tenant(&'a str),
    Tool(&'a str),
    Action(&'a str),
}

impl Uid<'_> {
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Uid::Agent(..) => "Agent",
            Uid::Role(_) | Uid::TenantRole(..) => "Role",
            Uid::Tenant(_) => "Tenant",
            Uid::Tool(_) => "Tool",
            Uid::Action(_) => "Action",
        }
    }
}

/// Records of the context.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rec<'a> {
    Context(&'a Facts<'a>),
    Args(&'a [Field], &'a Object),
    Time(&'a Facts<'a>),
    Findings(&'a Facts<'a>),
    Taint(&'a Facts<'a>),
    Approvals(&'a Facts<'a>),
    Estimate(&'a Facts<'a>),
    Sql(&'a SqlFacts),
    Http(&'a HttpFacts),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum SetVal<'a> {
    Json(&'a Type, &'a [Value]),
    Strings(&'a [Cow<'a, str>]),
    Names(&'a [String]),
    Constants(&'a [Constant]),
}

/// A request and what follows from it.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) tool: &'a Tool,
    args: (&'a [Field], &'a Object),
    finding_categories: Vec<Cow<'a, str>>,
    finding_types: Vec<Cow<'a, str>>,
    finding_arguments: Vec<Cow<'a, str>>,
    finding_at: Vec<Cow<'a, str>>,
    taint_sources: Vec<Cow<'a, str>>,
    taint_arguments: Vec<Cow<'a, str>>,
    taint_at: Vec<Cow<'a, str>>,
    approvers: Vec<Cow<'a, str>>,
    approver_groups: Vec<Cow<'a, str>>,
    sql: Option<SqlFacts>,
    http: Option<HttpFacts>,
}

fn sorted<'a>(values: impl Iterator<Item = Cow<'a, str>>) -> Vec<Cow<'a, str>> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values.dedup();
    values
}

impl<'a> Facts<'a> {
    /// Reads the request; a statement or a URL that its tool's rules refuse is the error.
    pub(crate) fn new(request: &'a Request<'a>, tool: &'a Tool) -> Result<Self, Reason> {
        let (tenant, args) = (request.tenant, request.args);
        let (sql, http) = match &tool.kind {
            Kind::Function => (None, None),
            Kind::Sql(sql) => (Some(sql.0.check(tenant, args).map_err(Reason::Sql)?), None),
            Kind::Http(http) => (None, Some(http.0.check(tenant, args).map_err(Reason::Http)?)),
        };
        Self::read(request, tool, sql, http).ok_or(Reason::InvalidArguments)
    }

    /// `None` when the arguments are no object; the schema has refused such arguments before.
    fn read(
        request: &'a Request<'a>,
        tool: &'a Tool,
        sql: Option<SqlFacts>,
        http: Option<HttpFacts>,
    ) -> Option<Self> {
        let fields = match &tool.args.as_ref()?.ty {
            Type::Record(fields) => fields.as_slice(),
            _ => &[],
        };
        let (findings, taint, approved) = (request.findings, request.taint, request.approved_by);
        Some(Self {
            request,
            tool,
            args: (fields, request.args.as_object()?),
            finding_categories: sorted(
                findings.iter().map(|finding| finding.category.as_str().into()),
            ),
            finding_types: sorted(
                findings.iter().map(|finding| finding.entity_type.as_str().into()),
            ),
            finding_arguments: sorted(
                findings.iter().map(|finding| finding.argument.as_str().into()),
            ),
            finding_at: sorted(
                findings
                    .iter()
                    .map(|finding| format!("{}@{}", finding.category, finding.argument).into()),
            ),
            taint_sources: sorted(taint.iter().map(|taint| taint.source.as_str().into())),
            taint_arguments: sorted(taint.iter().map(|taint| taint.argument.as_str().into())),
            taint_at: sorted(
                taint.iter().map(|taint| format!("{}@{}", taint.source, taint.argument).into()),
            ),
            approvers: sorted(approved.iter().map(|approver| approver.name.as_str().into())),
            approver_groups: sorted(
                approved
                    .iter()
                    .flat_map(|approver| &approver.groups)
                    .map(|group| group.as_str().into()),
            ),
            sql,
            http,
        })
    }

    pub(crate) fn principal(&self) -> Uid<'a> {
        Uid::Agent(self.request.tenant, self.request.agent)
    }

    pub(crate) fn action(&self) -> Uid<'a> {
        Uid::Action(&self.tool.name)
    }

    pub(crate) fn resource(&self) -> Uid<'a> {
        Uid::Tool(&self.tool.name)
    }

    /// Whether `child` is `parent` or one of its members.
    pub(crate) fn is_in(&self, child: Uid<'_>, parent: Uid<'_>) -> bool {
        child == parent
            || match (child, parent) {
                (Uid::Agent(..), _) if child != self.principal() => false,
                (Uid::Agent(tenant, _), Uid::Tenant(name)) => tenant == name,
                (Uid::Agent(..), Uid::Role(name)) => self.request.role == name,
                (Uid::Agent(tenant, _), Uid::TenantRole(of, name)) => {
                    tenant == of && self.request.role == name
                }
                // Types of actions are entities of the whole manifest, but only this action is asked about.
                (Uid::Action(name), Uid::Action(group)) => {
                    *name == *self.tool.name && *group == *self.tool.action
                }
                _ => false,
            }
    }

    /// An attribute of an entity; only the principal and the resource have any.
    pub(crate) fn attribute(&self, entity: Uid<'_>, name: &str) -> Option<Val<'a>> {
        let tool = self.tool;
        if entity == self.principal() {
            Some(Val::Str(match name {
                "name" => self.request.agent,
                "tenant" => self.request.tenant,
                "role" => self.request.role,
                _ => return None,
            }))
        } else if entity == self.resource() {
            Some(match name {
                "risk" => Val::Long(tool.risk.tier()),
                "reversible" => Val::Bool(tool.reversible),
                "exports" => Val::Bool(tool.exports),
                "kind" => Val::Str(tool.kind.as_str()),
                "returns_personal_data" => Val::Bool(!tool.personal_returns().is_empty()),
                _ => return None,
            })
        } else {
            None
        }
    }
}

const CONTEXT: [&str; 14] = [
    "approvals",
    "args",
    "conversation",
    "elevation",
    "estimate",
    "findings",
    "http",
    "model",
    "model_version",
    "now",
    "session",
    "sql",
    "taint",
    "time",
];

impl<'a> Rec<'a> {
    pub(crate) fn get(self, name: &str) -> Option<Val<'a>> {
        fn set<'a>(strings: &'a [Cow<'a, str>]) -> Option<Val<'a>> {
            Some(Val::Set(SetVal::Strings(strings)))
        }
        match self {
            Rec::Args(fields, object) => {
                let field = fields.iter().find(|field| *field.name == *name)?;
                typed(&field.ty, object.get(name)?)
            }
            Rec::Context(facts) => {
                let request = facts.request;
                match name {
                    "args" => Some(Val::Record(Rec::Args(facts.args.0, facts.args.1))),
                    "now" => Some(Val::Datetime(request.now_ms)),
                    "time" => Some(Val::Record(Rec::Time(facts))),
                    "findings" => Some(Val::Record(Rec::Findings(facts))),
                    "taint" => Some(Val::Record(Rec::Taint(facts))),
                    "approvals" => Some(Val::Record(Rec::Approvals(facts))),
                    "estimate" => Some(Val::Record(Rec::Estimate(facts))),
                    "sql" => facts.sql.as_ref().map(|sql| Val::Record(Rec::Sql(sql))),
                    "http" => facts.http.as_ref().map(|http| Val::Record(Rec::Http(http))),
                    "session" => request.session.map(Val::Str),
                    "conversation" => request.conversation.map(Val::Str),
                    "model" => request.model.map(Val::Str),
                    "model_version" => request.model_version.map(Val::Str),
                    "elevation" => request.elevation.map(Val::Str),
                    _ => None,
                }
            }
            Rec::Time(facts) => {
                let minutes = facts.request.now_ms.div_euclid(60_000);
                let days = minutes.div_euclid(1440);
                Some(Val::Long(match name {
                    "hour" => minutes.rem_euclid(1440) / 60,
                    "minute" => minutes.rem_euclid(60),
                    // 1970-01-01 was a Thursday; ISO 8601 counts Monday as 1.
                    "weekday" => (days + 3).rem_euclid(7) + 1,
                    _ => return None,
                }))
            }
            Rec::Findings(facts) => match name {
                "categories" => set(&facts.finding_categories),
                "entity_types" => set(&facts.finding_types),
                "arguments" => set(&facts.finding_arguments),
                "at" => set(&facts.finding_at),
                _ => None,
            },
            Rec::Taint(facts) => match name {
                "sources" => set(&facts.taint_sources),
                "arguments" => set(&facts.taint_arguments),
                "at" => set(&facts.taint_at),
                _ => None,
            },
            Rec::Approvals(facts) => match name {
                "count" => i64::try_from(facts.approvers.len()).ok().map(Val::Long),
                "approvers" => set(&facts.approvers),
                "groups" => set(&facts.approver_groups),
                _ => None,
            },
            Rec::Sql(sql) => match name {
                "statement" => Some(Val::Str(sql.statement)),
                "tables" => Some(Val::Set(SetVal::Names(&sql.tables))),
                "rows" => sql.rows.map(Val::Long),
                _ => None,
            },
            Rec::Http(http) => match name {
                "scheme" => Some(Val::Str(&http.scheme)),
                "host" => Some(Val::Str(&http.host)),
                "port" => Some(Val::Long(http.port)),
                "method" => Some(Val::Str(&http.method)),
                "path" => Some(Val::Str(&http.path)),
                _ => None,
            },
            Rec::Estimate(facts) => {
                let estimate = facts.request.estimate;
                estimate
                    .iter()
                    .find(|(unit, _)| *unit == name)
                    .map(|(_, amount)| Val::Long(*amount))
            }
        }
    }

    /// Names that [`Rec::get`] may know.
    fn names(self, manifest: &'a Manifest) -> Vec<&'a str> {
        match self {
            Rec::Args(fields, _) => fields.iter().map(|field| &*field.name).collect(),
            Rec::Context(_) => CONTEXT.to_vec(),
            Rec::Time(_) => vec!["hour", "minute", "weekday"],
            Rec::Findings(_) => vec!["categories", "entity_types", "arguments", "at"],
            Rec::Taint(_) => vec!["sources", "arguments", "at"],
            Rec::Approvals(_) => vec!["count", "approvers", "groups"],
            Rec::Sql(_) => vec!["statement", "tables", "rows"],
            Rec::Http(_) => vec!["scheme", "host", "port", "method", "path"],
            Rec::Estimate(_) => manifest.units.iter().map(|unit| &**unit).collect(),
        }
    }
}

fn typed<'a>(ty: &'a Type, value: &'a Value) -> Option<Val<'a>> {
    match (ty, value) {
        (Type::Bool, Value::Bool(value)) => Some(Val::Bool(*value)),
        (Type::Long, Value::Int(value)) => Some(Val::Long(*value)),
        (Type::Str, Value::Str(value)) => Some(Val::Str(value)),
        (Type::Set(item), Value::List(items)) => Some(Val::Set(SetVal::Json(item, items))),
        (Type::Record(fields), Value::Object(object)) => {
            Some(Val::Record(Rec::Args(fields, object)))
        }
        // Null is absent; what does not conform was refused by the schema.
        _ => None,
    }
}

impl<'a> SetVal<'a> {
    pub(crate) fn iter(self) -> SetIter<'a> {
        match self {
            SetVal::Json(ty, items) => SetIter::Json(ty, items.iter()),
            SetVal::Strings(strings) => SetIter::Strings(strings.iter()),
            SetVal::Names(names) => SetIter::Names(names.iter()),
            SetVal::Constants(constants) => SetIter::Constants(constants.iter()),
        }
    }

    pub(crate) fn len(self) -> usize {
        match self {
            SetVal::Json(_, items) => items.len(),
            SetVal::Strings(strings) => strings.len(),
            SetVal::Names(names) => names.len(),
            SetVal::Constants(constants) => constants.len(),
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Members of a set.
pub(crate) enum SetIter<'a> {
    Json(&'a Type, std::slice::Iter<'a, Value>),
    Strings(std::slice::Iter<'a, Cow<'a, str>>),
    Names(std::slice::Iter<'a, String>),
    Constants(std::slice::Iter<'a, Constant>),
}

impl<'a> Iterator for SetIter<'a> {
    type Item = Val<'a>;

    fn next(&mut self) -> Option<Val<'a>> {
        match self {
            SetIter::Json(ty, items) => typed(ty, items.next()?),
            SetIter::Strings(strings) => strings.next().map(|text| Val::Str(text)),
            SetIter::Names(names) => names.next().map(|name| Val::Str(name)),
            SetIter::Constants(constants) => constants.next()?.value(),
        }
    }
}

/// Names of the entity types, parsed once.
pub(crate) struct TypeNames {
    agent: EntityTypeName,
    role: EntityTypeName,
    tenant: EntityTypeName,
    tool: EntityTypeName,
    action: EntityTypeName,
}

impl TypeNames {
    pub(crate) fn new() -> Option<Self> {
        let name = |text| EntityTypeName::from_str(text).ok();
        Some(Self {
            agent: name("Agent")?,
            role: name("Role")?,
            tenant: name("Tenant")?,
            tool: name("Tool")?,
            action: name("Action")?,
        })
    }

    pub(crate) fn uid(&self, uid: Uid<'_>) -> EntityUid {
        let (ty, id) = match uid {
            Uid::Agent(tenant, name) => (&self.agent, format!("{tenant}/{name}")),
            Uid::Role(name) => (&self.role, name.to_owned()),
            Uid::TenantRole(tenant, name) => (&self.role, format!("{tenant}/{name}")),
            Uid::Tenant(name) => (&self.tenant, name.to_owned()),
            Uid::Tool(name) => (&self.tool, name.to_owned()),
            Uid::Action(name) => (&self.action, name.to_owned()),
        };
        EntityUid::from_type_name_and_id(ty.clone(), EntityId::new(id))
    }

    /// The entity of a tool and the entity of its action.
    pub(crate) fn tool_entities(&self, tool: &Tool) -> Option<[Entity; 2]> {
        let attributes = HashMap::from([
            ("risk".to_owned(), RestrictedExpression::new_long(tool.risk.tier())),
            ("reversible".to_owned(), RestrictedExpression::new_bool(tool.reversible)),
            ("exports".to_owned(), RestrictedExpression::new_bool(tool.exports)),
            ("kind".to_owned(), RestrictedExpression::new_string(tool.kind.as_str().to_owned())),
            (
                "returns_personal_data".to_owned(),
                RestrictedExpression::new_bool(!tool.personal_returns().is_empty()),
            ),
        ]);
        let entity =
            Entity::new(self.uid(Uid::Tool(&tool.name)), attributes, HashSet::new()).ok()?;
        let group = (tool.action != tool.name).then(|| self.uid(Uid::Action(&tool.action)));
        let action =
            Entity::new_no_attrs(self.uid(Uid::Action(&tool.name)), group.into_iter().collect());
        Some([entity, action])
    }

    /// The entity of the agent that asks.
    pub(crate) fn agent_entity(&self, facts: &Facts<'_>) -> Option<Entity> {
        let request = facts.request;
        let text = |value: &str| RestrictedExpression::new_string(value.to_owned());
        let attributes = HashMap::from([
            ("name".to_owned(), text(request.agent)),
            ("tenant".to_owned(), text(request.tenant)),
            ("role".to_owned(), text(request.role)),
        ]);
        let parents = HashSet::from([
            self.uid(Uid::Role(request.role)),
            self.uid(Uid::TenantRole(request.tenant, request.role)),
            self.uid(Uid::Tenant(request.tenant)),
        ]);
        Entity::new(self.uid(facts.principal()), attributes, parents).ok()
    }

    /// The request in Cedar's form.
    pub(crate) fn request(
        &self,
        facts: &Facts<'_>,
        manifest: &Manifest,
    ) -> Option<cedar_policy::Request> {
        let record = Rec::Context(facts);
        let pairs = record.names(manifest).into_iter().filter_map(|name| {
            let value = record.get(name)?;
            Some(self.expression(value, manifest).map(|value| (name.to_owned(), value)))
        });
        let context = Context::from_pairs(pairs.collect::<Option<Vec<_>>>()?).ok()?;
        let uid = |entity| self.uid(entity);
        cedar_policy::Request::new(
            uid(facts.principal()),
            uid(facts.action()),
            uid(facts.resource()),
            context,
            None,
        )
        .ok()
    }

    fn expression<'a>(
        &self,
        value: Val<'a>,
        manifest: &'a Manifest,
    ) -> Option<RestrictedExpression> {
        Some(match value {
            Val::Bool(value) => RestrictedExpression::new_bool(value),
            Val::Long(value) => RestrictedExpression::new_long(value),
            Val::Str(value) => RestrictedExpression::new_string(value.to_owned()),
            Val::Datetime(ms) => RestrictedExpression::new_datetime(datetime_text(ms)?),
            Val::Entity(uid) => RestrictedExpression::new_entity_uid(self.uid(uid)),
            Val::Set(set) => RestrictedExpression::new_set(
                set.iter()
                    .map(|item| self.expression(item, manifest))
                    .collect::<Option<Vec<_>>>()?,
            ),
            Val::Record(record) => {
                let fields = record.names(manifest).into_iter().filter_map(|name| {
                    let value = record.get(name)?;
                    Some(self.expression(value, manifest).map(|value| (name.to_owned(), value)))
                });
                RestrictedExpression::new_record(fields.collect::<Option<Vec<_>>>()?).ok()?
            }
        })
    }
}

/// Milliseconds since 1970 of the years 0 to 9999: what a date of Cedar can be.
pub(crate) const DATES: RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

/// ISO 8601 with milliseconds, UTC; `None` beyond [`DATES`].
///
/// Days to a date in the proleptic Gregorian calendar: <https://howardhinnant.github.io/date_algorithms.html>.
fn datetime_text(ms: i64) -> Option<String> {
    if !DATES.contains(&ms) {
        return None;
    }
    let (days, rest) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let z = days.checked_add(719_468)?;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second, milli) =
        (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"))
}

/// The schema of all policies, in Cedar's JSON form.
pub(crate) fn cedar_schema(manifest: &Manifest) -> serde_json::Value {
    use serde_json::json;
    let strings = || json!({"type": "Set", "element": {"type": "String"}});
    let record =
        |attributes: serde_json::Value| json!({"type": "Record", "attributes": attributes});
    let optional = || json!({"type": "String", "required": false});
    let units: serde_json::Map<_, _> = manifest
        .units
        .iter()
        .map(|unit| (unit.to_string(), json!({"type": "Long", "required": false})))
        .collect();
    let mut actions = serde_json::Map::new();
    for tool in &manifest.tools {
        if tool.action != tool.name {
            actions.entry(tool.action.to_string()).or_insert_with(|| json!({}));
        }
        let args =
            tool.args.as_ref().map_or_else(|| record(json!({})), |schema| schema.ty.to_cedar());
        let mut context = json!({
            "args": args,
            "now": {"type": "Extension", "name": "datetime"},
            "time": record(json!({
                "hour": {"type": "Long"}, "minute": {"type": "Long"}, "weekday": {"type": "Long"},
            })),
            "findings": record(json!({
                "categories": strings(), "entity_types": strings(), "arguments": strings(), "at": strings(),
            })),
            "taint": record(json!({"sources": strings(), "arguments": strings(), "at": strings()})),
            "approvals": record(json!({
                "count": {"type": "Long"}, "approvers": strings(), "groups": strings(),
            })),
            "estimate": record(serde_json::Value::Object(units.clone())),
            "session": optional(),
            "conversation": optional(),
            "model": optional(),
            "model_version": optional(),
            "elevation": optional(),
        });
        let text = || json!({"type": "String"});
        match &tool.kind {
            Kind::Function => {}
            Kind::Sql(_) => {
                context["sql"] = record(json!({
                    "statement": text(), "tables": strings(), "rows": {"type": "Long", "required": false},
                }));
            }
            Kind::Http(_) => {
                context["http"] = record(json!({
                    "scheme": text(), "host": text(), "port": {"type": "Long"}, "method": text(), "path": text(),
                }));
            }
        }
        let context = record(context);
        let groups = (tool.action != tool.name).then(|| json!([{"id": &*tool.action}]));
        actions.insert(
            tool.name.to_string(),
            json!({
                "memberOf": groups.unwrap_or_else(|| json!([])),
                "appliesTo": {"principalTypes": ["Agent"], "resourceTypes": ["Tool"], "context": context},
            }),
        );
    }
    json!({"": {
        "entityTypes": {
            "Tenant": {},
            "Role": {},
            "Agent": {
                "memberOfTypes": ["Tenant", "Role"],
                "shape": record(json!({
                    "name": {"type": "String"}, "tenant": {"type": "String"}, "role": {"type": "String"},
                })),
            },
            "Tool": {"shape": record(json!({
                "risk": {"type": "Long"},
                "reversible": {"type": "Boolean"},
                "exports": {"type": "Boolean"},
                "kind": {"type": "String"},
                "returns_personal_data": {"type": "Boolean"},
            }))},
        },
        "actions": actions,
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_four_digits() {
        let text = |ms| datetime_text(ms).unwrap_or_default();
        assert_eq!(text(*DATES.start()), "0000-01-01T00:00:00.000Z");
        assert_eq!(text(*DATES.end()), "9999-12-31T23:59:59.999Z");
        assert_eq!(text(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(datetime_text(DATES.start() - 1), None);
        assert_eq!(datetime_text(DATES.end() + 1), None);
    }
}
