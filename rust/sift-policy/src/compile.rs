//! Conditions compiled from Cedar's syntax tree, for the expressions this file can take.
//!
//! A condition is a list of conjuncts in Cedar's order of evaluation. What is not taken (record literals, sets of
//! expressions, tags, durations, addresses, decimals) leaves the whole policy to Cedar's evaluator, decided at load.
//! What can only be seen at run time (equality of records or of sets, large sets against large sets) answers
//! [`Stop::AskCedar`]. Errors are where Cedar has them: a missing attribute, an operand of another type, an overflow.

mod weigh;

use crate::facts::{Facts, Rec, SetVal, Uid, Val};
use crate::policy::most_operators;
use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, PatternElem, UnaryOp, Var};
use cedar_policy::{Entities, EvalResult, Expression};
use std::str::FromStr;

/// Levels of an expression; deeper ones are left to Cedar ([`crate::stack::evaluating`]).
const MAX_DEPTH: usize = 48;
/// Comparisons of one set against another; more are left to Cedar, whose sets are ordered.
const MAX_COMPARISONS: usize = 4096;

/// Why an evaluation gives no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Cedar has an evaluation error here.
    Error,
    /// Not decided here.
    AskCedar,
}

type Evaluated<T> = Result<T, Stop>;

/// The conditions of one policy.
#[derive(Debug)]
pub(crate) struct Conditions {
    conjuncts: Vec<Conjunct>,
    /// Whether every conjunct is compiled.
    compiled: bool,
    operators: usize,
}

/// One operand of the conjunction that a policy's `when` and `unless` make.
#[derive(Debug)]
pub(crate) struct Conjunct {
    code: Option<Code>,
    /// For `unless`.
    negated: bool,
    /// As Cedar prints it.
    pub(crate) text: Box<str>,
}

impl Conjunct {
    /// The text with its `unless`.
    pub(crate) fn shown(&self) -> String {
        if self.negated {
            format!("unless {{ {} }}", self.text)
        } else {
            self.text.to_string()
        }
    }

    pub(crate) fn evaluate(&self, facts: &Facts<'_>) -> Evaluated<bool> {
        let code = self.code.as_ref().ok_or(Stop::AskCedar)?;
        Ok(truth(code.eval(facts)?)? != self.negated)
    }

    /// The same by Cedar's own evaluator.
    pub(crate) fn ask(
        &self,
        request: &cedar_policy::Request,
        entities: &Entities,
    ) -> Evaluated<bool> {
        let expression = Expression::from_str(&self.text).map_err(|_| Stop::Error)?;
        match cedar_policy::eval_expression(request, entities, &expression) {
            Ok(EvalResult::Bool(value)) => Ok(value != self.negated),
            _ => Err(Stop::Error),
        }
    }
}

impl Conditions {
    pub(crate) fn compile(clauses: &[Clause]) -> Self {
        let mut conjuncts = Vec::new();
        for clause in clauses {
            match clause {
                Clause::When(expr) => {
                    let mut operands = Vec::new();
                    spine(expr, BinaryOp::And, &mut operands);
                    conjuncts.extend(operands.into_iter().map(|operand| Conjunct {
                        code: Code::compile(operand, MAX_DEPTH),
                        negated: false,
                        text: operand.to_string().into(),
                    }));
                }
                Clause::Unless(expr) => conjuncts.push(Conjunct {
                    code: Code::compile(expr, MAX_DEPTH),
                    negated: true,
                    text: expr.to_string().into(),
                }),
            }
        }
        let compiled = conjuncts.iter().all(|conjunct| conjunct.code.is_some());
        let operators = conjuncts.iter().map(|one| most_operators(&one.text) + 1).sum();
        Self { conjuncts, compiled, operators }
    }

    /// How many operators and brackets there are, which is as deep as they nest at most.
    pub(crate) fn operators(&self) -> usize {
        self.operators
    }

    pub(crate) fn conjuncts(&self) -> &[Conjunct] {
        &self.conjuncts
    }

    pub(crate) fn is_compiled(&self) -> bool {
        self.compiled
    }

    /// Whether all conjuncts hold. In Cedar's order, for a false one hides the errors of those after it.
    pub(crate) fn hold(&self, facts: &Facts<'_>) -> Evaluated<bool> {
        if !self.compiled {
            return Err(Stop::AskCedar);
        }
        for conjunct in &self.conjuncts {
            if !conjunct.evaluate(facts)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The entity that the first conjunct demands the principal to be or to be in. Nothing is evaluated before it, so
    /// a policy whose principal is elsewhere is false without an error.
    pub(crate) fn leading_principal(&self) -> Option<&Name> {
        let first = self.conjuncts.first().filter(|first| !first.negated)?;
        match first.code.as_ref()? {
            Code::In(left, right) | Code::Equal(left, right) => match (&**left, &**right) {
                (Code::Principal, Code::Constant(Constant::Entity(name))) => Some(name),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Operands of a chain of one operator, left to right.
fn spine<'e>(expr: &'e Expr, op: BinaryOp, operands: &mut Vec<&'e Expr>) {
    // Chains lean to either side: those a parser makes and those that joining clauses makes.
    let mut todo = vec![expr];
    while let Some(expr) = todo.pop() {
        match expr {
            Expr::BinaryOp { op: found, left, right } if *found == op => {
                todo.push(right);
                todo.push(left);
            }
            _ => operands.push(expr),
        }
    }
}

/// A constant of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Constant {
    Bool(bool),
    Long(i64),
    Str(Box<str>),
    Datetime(i64),
    Entity(Name),
}

/// An entity that a policy names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    Agent(Box<str>, Box<str>),
    Role(Box<str>),
    TenantRole(Box<str>, Box<str>),
    Tenant(Box<str>),
    Tool(Box<str>),
    Action(Box<str>),
    /// An agent without a tenant, or with two: no request has it.
    Nobody,
}

impl Name {
    pub(crate) fn new(ty: &str, id: &str) -> Option<Self> {
        // A `/` divides tenant and name, and neither holds one.
        let divided = id.split_once('/').filter(|(_, name)| !name.contains('/'));
        Some(match (ty, divided) {
            ("Agent", Some((tenant, name))) => Name::Agent(tenant.into(), name.into()),
            ("Role", Some((tenant, name))) => Name::TenantRole(tenant.into(), name.into()),
            ("Role", None) if !id.contains('/') => Name::Role(id.into()),
            ("Agent" | "Role", _) => Name::Nobody,
            ("Tenant", _) => Name::Tenant(id.into()),
            ("Tool", _) => Name::Tool(id.into()),
            ("Action", _) => Name::Action(id.into()),
            _ => return None,
        })
    }

    fn uid(&self) -> Option<Uid<'_>> {
        Some(match self {
            Name::Agent(tenant, name) => Uid::Agent(tenant, name),
            Name::Role(name) => Uid::Role(name),
            Name::TenantRole(tenant, name) => Uid::TenantRole(tenant, name),
            Name::Tenant(name) => Uid::Tenant(name),
            Name::Tool(name) => Uid::Tool(name),
            Name::Action(name) => Uid::Action(name),
            Name::Nobody => return None,
        })
    }
}

impl Constant {
    pub(crate) fn value(&self) -> Option<Val<'_>> {
        Some(match self {
            Constant::Bool(value) => Val::Bool(*value),
            Constant::Long(value) => Val::Long(*value),
            Constant::Str(value) => Val::Str(value),
            Constant::Datetime(value) => Val::Datetime(*value),
            Constant::Entity(name) => Val::Entity(name.uid()?),
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Code {
    Constant(Constant),
    Constants(Vec<Constant>),
    Principal,
    Action,
    Resource,
    Context,
    Attribute(Box<Code>, Box<str>),
    Has(Box<Code>, Vec<Box<str>>),
    Not(Box<Code>),
    Negate(Box<Code>),
    IsEmpty(Box<Code>),
    All(Vec<Code>),
    Any(Vec<Code>),
    If(Box<[Code; 3]>),
    Equal(Box<Code>, Box<Code>),
    Unequal(Box<Code>, Box<Code>),
    /// With whether equal operands count and whether the result is turned round.
    Less(Box<Code>, Box<Code>, bool, bool),
    Add(Box<Code>, Box<Code>),
    Subtract(Box<Code>, Box<Code>),
    Multiply(Box<Code>, Box<Code>),
    In(Box<Code>, Box<Code>),
    Contains(Box<Code>, Box<Code>),
    ContainsAll(Box<Code>, Box<Code>),
    ContainsAny(Box<Code>, Box<Code>),
    Like(Box<Code>, Like),
    Is(Box<Code>, Box<str>),
}

impl Code {
    fn compile(expr: &Expr, depth: usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        let sub = |expr: &Expr| Self::compile(expr, depth).map(Box::new);
        Some(match expr {
            Expr::Literal(literal) => Code::Constant(constant(literal)?),
            Expr::Var(Var::Principal) => Code::Principal,
            Expr::Var(Var::Action) => Code::Action,
            Expr::Var(Var::Resource) => Code::Resource,
            Expr::Var(Var::Context) => Code::Context,
            Expr::GetAttr { expr, attr } => Code::Attribute(sub(expr)?, attr.as_str().into()),
            Expr::HasAttr { expr, attrs } => {
                Code::Has(sub(expr)?, attrs.iter().map(|attr| attr.as_str().into()).collect())
            }
            Expr::UnaryOp { op, expr } => match op {
                UnaryOp::Not => Code::Not(sub(expr)?),
                UnaryOp::Neg => Code::Negate(sub(expr)?),
                UnaryOp::IsEmpty => Code::IsEmpty(sub(expr)?),
                UnaryOp::Datetime => match &**expr {
                    Expr::Literal(Literal::String(text)) => {
                        Code::Constant(Constant::Datetime(datetime(text)?))
                    }
                    _ => return None,
                },
                _ => return None,
            },
            Expr::BinaryOp { op: op @ (BinaryOp::And | BinaryOp::Or), .. } => {
                let mut operands = Vec::new();
                spine(expr, *op, &mut operands);
                let codes = operands
                    .into_iter()
                    .map(|operand| Self::compile(operand, depth))
                    .collect::<Option<_>>()?;
                if *op == BinaryOp::And {
                    Code::All(codes)
                } else {
                    Code::Any(codes)
                }
            }
            Expr::BinaryOp { op, left, right } => {
                let (left, right) = (sub(left)?, sub(right)?);
                match op {
                    BinaryOp::Eq => Code::Equal(left, right),
                    BinaryOp::NotEq => Code::Unequal(left, right),
                    BinaryOp::Less => Code::Less(left, right, false, false),
                    BinaryOp::LessEq => Code::Less(left, right, true, false),
                    BinaryOp::Greater => Code::Less(left, right, true, true),
                    BinaryOp::GreaterEq => Code::Less(left, right, false, true),
                    BinaryOp::Add => Code::Add(left, right),
                    BinaryOp::Sub => Code::Subtract(left, right),
                    BinaryOp::Mul => Code::Multiply(left, right),
                    BinaryOp::In => Code::In(left, right),
                    BinaryOp::Contains => Code::Contains(left, right),
                    BinaryOp::ContainsAll => Code::ContainsAll(left, right),
                    BinaryOp::ContainsAny => Code::ContainsAny(left, right),
                    _ => return None,
                }
            }
            Expr::Like { expr, pattern } => Code::Like(sub(expr)?, Like::new(pattern)),
            Expr::Is { expr, entity_type, in_expr } => {
                let is = Code::Is(sub(expr)?, entity_type.to_string().into());
                match in_expr {
                    None => is,
                    Some(parent) => Code::All(vec![is, Code::In(sub(expr)?, sub(parent)?)]),
                }
            }
            Expr::IfThenElse { cond, then_expr, else_expr } => Code::If(Box::new([
                Self::compile(cond, depth)?,
                Self::compile(then_expr, depth)?,
                Self::compile(else_expr, depth)?,
            ])),
            Expr::Set(items) => Code::Constants(
                items
                    .iter()
                    .map(|item| match &**item {
                        Expr::Literal(literal) => constant(literal),
                        _ => None,
                    })
                    .collect::<Option<_>>()?,
            ),
            _ => return None,
        })
    }

    fn eval<'a>(&'a self, facts: &'a Facts<'a>) -> Evaluated<Val<'a>> {
        Ok(match self {
            Code::Constant(constant) => constant.value().ok_or(Stop::AskCedar)?,
            Code::Constants(constants) => Val::Set(SetVal::Constants(constants)),
            Code::Principal => Val::Entity(facts.principal()),
            Code::Action => Val::Entity(facts.action()),
            Code::Resource => Val::Entity(facts.resource()),
            Code::Context => Val::Record(Rec::Context(facts)),
            Code::Attribute(of, name) => {
                attribute(facts, of.eval(facts)?, name)?.ok_or(Stop::Error)?
            }
            Code::Has(of, names) => {
                let mut value = of.eval(facts)?;
                for name in names {
                    match attribute(facts, value, name)? {
                        Some(next) => value = next,
                        None => return Ok(Val::Bool(false)),
                    }
                }
                Val::Bool(true)
            }
            Code::Not(of) => Val::Bool(!truth(of.eval(facts)?)?),
            Code::Negate(of) => Val::Long(long(of.eval(facts)?)?.checked_neg().ok_or(Stop::Error)?),
            Code::IsEmpty(of) => Val::Bool(set(of.eval(facts)?)?.is_empty()),
            Code::All(operands) => {
                for operand in operands {
                    if !truth(operand.eval(facts)?)? {
                        return Ok(Val::Bool(false));
                    }
                }
                Val::Bool(true)
            }
            Code::Any(operands) => {
                for operand in operands {
                    if truth(operand.eval(facts)?)? {
                        return Ok(Val::Bool(true));
                    }
                }
                Val::Bool(false)
            }
            Code::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                let chosen = if truth(condition.eval(facts)?)? { then } else { otherwise };
                chosen.eval(facts)?
            }
            Code::Equal(left, right) => Val::Bool(equal(left.eval(facts)?, right.eval(facts)?)?),
            Code::Unequal(left, right) => Val::Bool(!equal(left.eval(facts)?, right.eval(facts)?)?),
            Code::Less(left, right, or_equal, turned) => {
                let ordering = match (left.eval(facts)?, right.eval(facts)?) {
                    (Val::Long(left), Val::Long(right))
                    | (Val::Datetime(left), Val::Datetime(right)) => left.cmp(&right),
                    _ => return Err(Stop::Error),
                };
                let holds = if *or_equal { ordering.is_le() } else { ordering.is_lt() };
                Val::Bool(holds != *turned)
            }
            Code::Add(left, right) => arithmetic(facts, left, right, i64::checked_add)?,
            Code::Subtract(left, right) => arithmetic(facts, left, right, i64::checked_sub)?,
            Code::Multiply(left, right) => arithmetic(facts, left, right, i64::checked_mul)?,
            Code::In(child, parent) => {
                let Val::Entity(child) = child.eval(facts)? else { return Err(Stop::Error) };
                match parent.eval(facts)? {
                    Val::Entity(parent) => Val::Bool(facts.is_in(child, parent)),
                    Val::Set(parents) => {
                        let mut found = false;
                        for parent in parents.iter() {
                            match parent {
                                Val::Entity(parent) => found |= facts.is_in(child, parent),
                                _ => return Err(Stop::Error),
                            }
                        }
                        Val::Bool(found)
                    }
                    _ => return Err(Stop::Error),
                }
            }
            Code::Contains(of, item) => {
                let (of, item) = (of.eval(facts)?, item.eval(facts)?);
                Val::Bool(contains(set(of)?, item)?)
            }
            Code::ContainsAll(of, items) => {
                let (of, items) = pair(of.eval(facts)?, items.eval(facts)?)?;
                let mut all = true;
                for item in items.iter() {
                    all &= contains(of, item)?;
                }
                Val::Bool(all)
            }
            Code::ContainsAny(of, items) => {
                let (of, items) = pair(of.eval(facts)?, items.eval(facts)?)?;
                let mut any = false;
                for item in items.iter() {
                    any |= contains(of, item)?;
                }
                Val::Bool(any)
            }
            Code::Like(of, pattern) => match of.eval(facts)? {
                Val::Str(text) => Val::Bool(pattern.matches(text)),
                _ => return Err(Stop::Error),
            },
            Code::Is(of, ty) => match of.eval(facts)? {
                Val::Entity(entity) => Val::Bool(entity.type_name() == &**ty),
                _ => return Err(Stop::Error),
            },
        })
    }
}

fn constant(literal: &Literal) -> Option<Constant> {
    Some(match literal {
        Literal::Bool(value) => Constant::Bool(*value),
        Literal::Long(value) => Constant::Long(*value),
        Literal::String(value) => Constant::Str(value.as_str().into()),
        Literal::EntityUID(uid) => match Name::new(&uid.ty.to_string(), &uid.eid)? {
            Name::Nobody => return None,
            name => Constant::Entity(name),
        },
        _ => return None,
    })
}

/// Milliseconds since 1970 of a literal, read by Cedar itself.
fn datetime(text: &str) -> Option<i64> {
    let epoch = Expression::from_str(&format!(
        "datetime(\"{}\").durationSince(datetime(\"1970-01-01\")).toMilliseconds()",
        text.escape_default()
    ))
    .ok()?;
    let nobody = cedar_policy::EntityUid::from_str("Agent::\"\"").ok()?;
    let context = cedar_policy::Context::empty();
    let request =
        cedar_policy::Request::new(nobody.clone(), nobody.clone(), nobody, context, None).ok()?;
    match cedar_policy::eval_expression(&request, &Entities::empty(), &epoch) {
        Ok(EvalResult::Long(ms)) => Some(ms),
        _ => None,
    }
}

#[inline]
fn truth(value: Val<'_>) -> Evaluated<bool> {
    match value {
        Val::Bool(value) => Ok(value),
        _ => Err(Stop::Error),
    }
}

#[inline]
fn long(value: Val<'_>) -> Evaluated<i64> {
    match value {
        Val::Long(value) => Ok(value),
        _ => Err(Stop::Error),
    }
}

#[inline]
fn set(value: Val<'_>) -> Evaluated<SetVal<'_>> {
    match value {
        Val::Set(set) => Ok(set),
        _ => Err(Stop::Error),
    }
}

fn pair<'a>(left: Val<'a>, right: Val<'a>) -> Evaluated<(SetVal<'a>, SetVal<'a>)> {
    let (left, right) = (set(left)?, set(right)?);
    if left.len().saturating_mul(right.len()) > MAX_COMPARISONS {
        return Err(Stop::AskCedar);
    }
    Ok((left, right))
}

fn attribute<'a>(facts: &Facts<'a>, of: Val<'a>, name: &str) -> Evaluated<Option<Val<'a>>> {
    match of {
        Val::Record(record) => Ok(record.get(name)),
        Val::Entity(entity) => Ok(facts.attribute(entity, name)),
        _ => Err(Stop::Error),
    }
}

fn arithmetic<'a>(
    facts: &'a Facts<'a>,
    left: &'a Code,
    right: &'a Code,
    operation: fn(i64, i64) -> Option<i64>,
) -> Evaluated<Val<'a>> {
    let (left, right) = (long(left.eval(facts)?)?, long(right.eval(facts)?)?);
    operation(left, right).map(Val::Long).ok_or(Stop::Error)
}

/// Equality of scalars; values of different kinds are unequal. Records and sets are left to Cedar.
fn equal(left: Val<'_>, right: Val<'_>) -> Evaluated<bool> {
    Ok(match (left, right) {
        (Val::Bool(left), Val::Bool(right)) => left == right,
        (Val::Long(left), Val::Long(right)) | (Val::Datetime(left), Val::Datetime(right)) => {
            left == right
        }
        (Val::Str(left), Val::Str(right)) => left == right,
        (Val::Entity(left), Val::Entity(right)) => left == right,
        (Val::Set(_), Val::Set(_)) | (Val::Record(_), Val::Record(_)) => {
            return Err(Stop::AskCedar)
        }
        _ => false,
    })
}

fn contains(set: SetVal<'_>, item: Val<'_>) -> Evaluated<bool> {
    for member in set.iter() {
        if equal(member, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A pattern of `like`: what stands between its wildcards.
#[derive(Debug, PartialEq, Eq)]
struct Like {
    /// At least one; the text begins with the first and ends with the last.
    parts: Vec<Box<str>>,
}

impl Like {
    fn new(pattern: &[PatternElem]) -> Self {
        let mut parts = vec![String::new()];
        for element in pattern {
            match element {
                PatternElem::Wildcard => parts.push(String::new()),
                PatternElem::Char(c) => {
                    if let Some(part) = parts.last_mut() {
                        part.push(*c);
                    }
                }
            }
        }
        Self { parts: parts.into_iter().map(Into::into).collect() }
    }

    /// The leftmost place of each middle part is as good as any, so one pass decides.
    fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.parts.as_slice() else {
            return self.parts.first().is_some_and(|only| **only == *text);
        };
        let Some(mut rest) =
            text.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last))
        else {
            return false;
        };
        for part in middle {
            match rest.split_once(&**part) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        true
    }
}
