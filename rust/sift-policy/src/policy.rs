//! A loaded policy: reading, validation, and the decision.

use crate::error::PolicyError;
use crate::facts::{cedar_schema, datetime_text, is_name, Facts, TypeNames};
use crate::manifest::{is_word, ApprovalRule, Manifest, Tool};
use crate::request::{Approver, Effect, Evaluation, Outcome, Reason, Request, ShadowResult};
use cedar_policy::{Authorizer, Entities, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic as _;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Bytes of manifest and policies together.
const MAX_BYTES: usize = 64 << 20;
/// Policies in one set.
const MAX_POLICIES: usize = 100_000;
/// Annotations that mean something here or to a reader; any other is refused, for it may be a misspelt one.
const ANNOTATIONS: [&str; 7] = ["id", "reason", "message", "approval", "shadow", "doc", "owner"];

/// An immutable policy. Share it in an `Arc`; a reload makes another one and swaps the `Arc`.
pub struct Policy {
    manifest: Manifest,
    /// Sorted by id.
    rules: Vec<Rule>,
    entities: Vec<Entities>,
    names: TypeNames,
    authorizer: Authorizer,
    schema_text: String,
    warnings: Vec<String>,
    hash: [u8; 32],
}

/// One policy of a file.
struct Rule {
    id: Arc<str>,
    forbid: bool,
    reason: Option<Arc<str>>,
    message: Option<Arc<str>>,
    approval: Option<ApprovalRule>,
    shadow: Option<Counters>,
    /// The policy alone, so that its result is its own.
    alone: PolicySet,
}

#[derive(Default)]
struct Counters {
    evaluated: AtomicU64,
    satisfied: AtomicU64,
    errors: AtomicU64,
    would_change: AtomicU64,
}

/// How often a shadow policy did what, since the policy was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowCounters {
    /// Its `@id`.
    pub rule_id: Arc<str>,
    /// Requests it was a candidate for.
    pub evaluated: u64,
    /// Requests it matched.
    pub satisfied: u64,
    /// Requests it could not be evaluated for.
    pub errors: u64,
    /// Requests whose decision it would have changed.
    pub would_change: u64,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("tools", &self.manifest.tools.len())
            .field("rules", &self.rules.len())
            .finish()
    }
}

fn read(path: &Path) -> Result<String, PolicyError> {
    let source = |source| PolicyError::Io { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(source)?.len();
    if usize::try_from(length).is_ok_and(|length| length > MAX_BYTES) {
        return Err(PolicyError::TooLarge { what: "a policy file in bytes", limit: MAX_BYTES });
    }
    std::fs::read_to_string(path).map_err(source)
}

impl Policy {
    /// Reads `tools.toml` and `policy/*.cedar` of a folder.
    ///
    /// # Errors
    /// The first file, tool or policy that is refused; nothing is taken from a folder with an error.
    pub fn load(dir: &Path) -> Result<Policy, PolicyError> {
        let manifest = read(&dir.join("tools.toml"))?;
        let folder = dir.join("policy");
        let io = |source| PolicyError::Io { path: folder.clone(), source };
        let mut texts = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|extension| extension == "cedar") {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                texts.push((name, read(&path)?));
            }
        }
        texts.sort_unstable();
        let texts: Vec<_> =
            texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        Self::from_texts(&manifest, &texts)
    }

    /// Loads from texts: the manifest, and policies as `(file name for messages, Cedar)`.
    ///
    /// # Errors
    /// As [`Policy::load`].
    pub fn from_texts(manifest: &str, policies: &[(&str, &str)]) -> Result<Policy, PolicyError> {
        let bytes =
            policies.iter().fold(manifest.len(), |sum, (_, text)| sum.saturating_add(text.len()));
        if bytes > MAX_BYTES {
            return Err(PolicyError::TooLarge {
                what: "manifest and policies in bytes",
                limit: MAX_BYTES,
            });
        }
        let hash = hash(manifest, policies);
        let manifest = Manifest::parse(manifest)?;
        let schema_json = cedar_schema(&manifest);
        let schema_error =
            |problem: String| PolicyError::Manifest(format!("it gives no Cedar schema: {problem}"));
        let schema_text = cedar_policy::SchemaFragment::from_json_value(schema_json.clone())
            .map_err(|error| schema_error(error.to_string()))?
            .to_cedarschema()
            .map_err(|error| schema_error(error.to_string()))?;
        let schema = Schema::from_json_value(schema_json)
            .map_err(|error| schema_error(error.to_string()))?;

        let mut rules: BTreeMap<Arc<str>, (Rule, &str)> = BTreeMap::new();
        let mut whole = PolicySet::new();
        for &(file, text) in policies {
            let parsed = PolicySet::from_str(text).map_err(|error| PolicyError::Parse {
                file: file.to_owned(),
                problem: parse_problem(text, &error),
            })?;
            if let Some(template) = parsed.templates().next() {
                return Err(PolicyError::Policy {
                    file: file.to_owned(),
                    policy: template.id().to_string(),
                    problem: "it is a template; write a policy per role or tenant".to_owned(),
                });
            }
            for policy in parsed.policies() {
                let refuse = |problem: String| PolicyError::Policy {
                    file: file.to_owned(),
                    policy: policy
                        .annotation("id")
                        .map_or_else(|| policy.id().to_string(), str::to_owned),
                    problem,
                };
                let (rule, policy) = Rule::read(policy).map_err(refuse)?;
                whole.add(policy).map_err(|_| refuse("its @id is used twice".to_owned()))?;
                rules.insert(rule.id.clone(), (rule, file));
            }
        }
        if rules.len() > MAX_POLICIES {
            return Err(PolicyError::TooLarge {
                what: "the number of policies",
                limit: MAX_POLICIES,
            });
        }
        let result = Validator::new(schema).validate(&whole, ValidationMode::Strict);
        let mut problems: Vec<_> = result.validation_errors().map(ToString::to_string).collect();
        if !problems.is_empty() {
            problems.sort_unstable();
            problems.dedup();
            return Err(PolicyError::Validation(problems));
        }
        let mut warnings: Vec<_> = result.validation_warnings().map(ToString::to_string).collect();
        warnings.sort_unstable();

        let names = TypeNames::new().ok_or_else(|| schema_error("entity types".to_owned()))?;
        let entities = manifest
            .tools
            .iter()
            .map(|tool| {
                let entities = names.tool_entities(tool)?;
                Entities::from_entities(entities, None).ok()
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| schema_error("entities of the tools".to_owned()))?;
        Ok(Policy {
            manifest,
            rules: rules.into_values().map(|(rule, _)| rule).collect(),
            entities,
            names,
            authorizer: Authorizer::new(),
            schema_text,
            warnings,
            hash,
        })
    }

    /// SHA-256 over manifest and policy texts. Order and names of files do not matter.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// A tool of the manifest.
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.manifest.tool(name)
    }

    /// All tools, in the order of their names.
    pub fn tools(&self) -> &[Tool] {
        &self.manifest.tools
    }

    /// Ids of all policies, sorted.
    pub fn rule_ids(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.rules.iter().map(|rule| &rule.id)
    }

    /// The schema that policies are validated against, in Cedar's notation, for a reviewer.
    pub fn schema(&self) -> &str {
        &self.schema_text
    }

    /// What Cedar's validator warns about.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Counters of the policies in shadow mode.
    pub fn shadow_counters(&self) -> Vec<ShadowCounters> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = self.rules.iter().filter_map(|rule| {
            let counters = rule.shadow.as_ref()?;
            Some(ShadowCounters {
                rule_id: rule.id.clone(),
                evaluated: read(&counters.evaluated),
                satisfied: read(&counters.satisfied),
                errors: read(&counters.errors),
                would_change: read(&counters.would_change),
            })
        });
        counters.collect()
    }

    /// Decides one request. Pure but for the counters of shadow policies; total; whatever fails denies.
    pub fn decide(&self, request: &Request<'_>) -> Outcome {
        match self.facts(request) {
            Ok(facts) => self.evaluate(&facts),
            Err(reason) => deny(reason),
        }
    }

    /// What holds before any policy is asked.
    fn facts<'a>(&'a self, request: &'a Request<'a>) -> Result<Facts<'a>, Reason> {
        if ![request.tenant, request.agent, request.role].into_iter().all(is_name) {
            return Err(Reason::InvalidName);
        }
        // The tool must be this policy's: a declaration from before a reload must not decide.
        let tool = self
            .manifest
            .tools
            .get(request.tool.ordinal)
            .filter(|tool| std::ptr::eq(*tool, request.tool));
        let tool = tool.ok_or(Reason::UnknownTool)?;
        if !tool.undeclared.is_empty() {
            return Err(Reason::ToolNotDeclared);
        }
        if datetime_text(request.now_ms).is_none() {
            return Err(Reason::InvalidTime);
        }
        tool.check_args(request.args).map_err(|_| Reason::InvalidArguments)?;
        Facts::new(request, tool).ok_or(Reason::InvalidArguments)
    }

    fn evaluate(&self, facts: &Facts<'_>) -> Outcome {
        let Some(cedar) = self.cedar(facts) else { return deny(Reason::PolicyError) };
        let mut tally = Tally::default();
        let mut shadows = Vec::new();
        for rule in &self.rules {
            let result = self.ask_cedar(rule, &cedar);
            match &rule.shadow {
                None => tally.add(rule, result, facts.request),
                Some(counters) => shadows.push((rule, counters, result)),
            }
        }
        let mut outcome = tally.outcome(facts);
        for (rule, counters, result) in shadows {
            let mut with = tally.clone();
            with.add(rule, result, facts.request);
            let would_change = with.outcome(facts).effect != outcome.effect;
            let count =
                |counter: &AtomicU64, is: bool| counter.fetch_add(u64::from(is), Ordering::Relaxed);
            count(&counters.evaluated, true);
            count(&counters.satisfied, result == Evaluation::Satisfied);
            count(&counters.errors, result == Evaluation::Error);
            count(&counters.would_change, would_change);
            outcome.shadow.push(ShadowResult { rule_id: rule.id.clone(), result, would_change });
        }
        outcome
    }

    fn cedar(&self, facts: &Facts<'_>) -> Option<(cedar_policy::Request, Entities)> {
        let base = self.entities.get(facts.tool.ordinal)?.clone();
        let entities = base.add_entities([self.names.agent_entity(facts)?], None).ok()?;
        Some((self.names.request(facts, &self.manifest)?, entities))
    }

    fn ask_cedar(
        &self,
        rule: &Rule,
        (request, entities): &(cedar_policy::Request, Entities),
    ) -> Evaluation {
        let response = self.authorizer.is_authorized(request, &rule.alone, entities);
        let diagnostics = response.diagnostics();
        if diagnostics.errors().next().is_some() {
            Evaluation::Error
        } else if diagnostics.reason().next().is_some() {
            Evaluation::Satisfied
        } else {
            Evaluation::NotSatisfied
        }
    }
}

fn deny(reason: Reason) -> Outcome {
    Outcome {
        effect: Effect::Deny,
        reason,
        message: None,
        rule_ids: Vec::new(),
        charges: Vec::new(),
        shadow: Vec::new(),
        fulfilled: None,
    }
}

/// Results of the policies in force, and what they come to.
#[derive(Clone, Default)]
struct Tally<'p> {
    forbids: Vec<&'p Rule>,
    errors: Vec<&'p Rule>,
    /// Forbids that an approval lifts, and that are not lifted.
    required: Vec<(&'p Rule, &'p ApprovalRule)>,
    permits: Vec<&'p Rule>,
    /// Permits that hold once approved.
    offers: Vec<(&'p Rule, &'p ApprovalRule)>,
    /// What approvals lifted.
    lifted: Vec<(&'p Rule, &'p ApprovalRule)>,
}

impl<'p> Tally<'p> {
    fn add(&mut self, rule: &'p Rule, result: Evaluation, request: &Request<'_>) {
        let approval =
            rule.approval.as_ref().map(|approval| (approval, fulfils(request, approval)));
        match (result, rule.forbid, approval) {
            (Evaluation::NotSatisfied, ..) | (Evaluation::Error, false, _) => {}
            (Evaluation::Error, true, _) => self.errors.push(rule),
            (Evaluation::Satisfied, true, None) => self.forbids.push(rule),
            (Evaluation::Satisfied, true, Some((approval, false))) => {
                self.required.push((rule, approval))
            }
            (Evaluation::Satisfied, true, Some((approval, true))) => {
                self.lifted.push((rule, approval))
            }
            (Evaluation::Satisfied, false, None) => self.permits.push(rule),
            (Evaluation::Satisfied, false, Some((approval, false))) => {
                self.offers.push((rule, approval))
            }
            (Evaluation::Satisfied, false, Some((approval, true))) => {
                self.permits.push(rule);
                self.lifted.push((rule, approval));
            }
        }
    }

    fn outcome(&self, facts: &Facts<'_>) -> Outcome {
        let (tool, request) = (facts.tool, facts.request);
        let refusing: Vec<_> = self.forbids.iter().chain(&self.errors).copied().collect();
        if let Some(first) = self.forbids.first().or(self.errors.first()) {
            let otherwise =
                if self.forbids.is_empty() { Reason::PolicyError } else { Reason::Forbidden };
            return decided(Effect::Deny, otherwise, Some(first), &refusing);
        }
        if self.permits.is_empty() && self.offers.is_empty() {
            return deny(Reason::NoPermit);
        }
        let Some(charges) = tool.charge(request.args, request.estimate) else {
            return deny(Reason::InvalidCharge);
        };
        let by_tool = tool.approval.as_ref().map(|approval| (approval, fulfils(request, approval)));
        // Of several approvals that are all needed the hardest is asked for first; of several offers the easiest.
        let hardest = self.required.iter().map(|(rule, approval)| (Some(*rule), *approval));
        let by_manifest =
            by_tool.filter(|(_, fulfilled)| !fulfilled).map(|(approval, _)| (None, approval));
        let required = hardest.chain(by_manifest).max_by_key(|(rule, approval)| {
            (approval.m, std::cmp::Reverse((&approval.name, rule.map(|rule| &rule.id))))
        });
        let offer = self
            .offers
            .iter()
            .min_by_key(|(rule, approval)| (approval.m, &approval.name, &rule.id));
        let wanted = required.or(match self.permits.is_empty() {
            true => offer.map(|(rule, approval)| (Some(*rule), *approval)),
            false => None,
        });
        let mut deciding = self.permits.clone();
        let mut outcome = match wanted {
            Some((rule, approval)) => {
                deciding.extend(self.offers.iter().map(|(rule, _)| *rule));
                deciding.extend(self.required.iter().map(|(rule, _)| *rule));
                decided(
                    Effect::Escalate(approval.clone()),
                    Reason::ApprovalRequired,
                    rule,
                    &deciding,
                )
            }
            None => {
                deciding.extend(self.lifted.iter().map(|(rule, _)| *rule));
                decided(Effect::Allow, Reason::Allowed, None, &deciding)
            }
        };
        if by_tool.is_some() {
            outcome.rule_ids.push(format!("tool:{}", tool.name).into());
        }
        outcome.charges = charges;
        if outcome.effect == Effect::Allow {
            let lifted = self.lifted.iter().map(|(_, approval)| *approval);
            let fulfilled = lifted
                .chain(by_tool.map(|(approval, _)| approval))
                .max_by_key(|rule| (rule.m, &rule.name));
            outcome.fulfilled = fulfilled.cloned();
        }
        outcome
    }
}

fn decided(effect: Effect, otherwise: Reason, by: Option<&Rule>, deciding: &[&Rule]) -> Outcome {
    let mut rule_ids: Vec<_> = deciding.iter().map(|rule| rule.id.clone()).collect();
    rule_ids.sort_unstable();
    rule_ids.dedup();
    Outcome {
        effect,
        reason: by.and_then(|rule| rule.reason.clone()).map_or(otherwise, Reason::Policy),
        message: by.and_then(|rule| rule.message.clone()),
        rule_ids,
        charges: Vec::new(),
        shadow: Vec::new(),
        fulfilled: None,
    }
}

/// Whether enough different members of the group approved; whoever asks does not count.
fn fulfils(request: &Request<'_>, rule: &ApprovalRule) -> bool {
    let member = |approver: &&Approver| {
        approver.name != request.agent && approver.groups.iter().any(|group| **group == *rule.group)
    };
    let mut names: Vec<_> =
        request.approved_by.iter().filter(member).map(|approver| &approver.name).collect();
    names.sort_unstable();
    names.dedup();
    names.len() >= rule.m as usize
}

impl Rule {
    fn read(policy: &cedar_policy::Policy) -> Result<(Self, cedar_policy::Policy), String> {
        if let Some((name, _)) = policy.annotations().find(|(name, _)| !ANNOTATIONS.contains(name))
        {
            return Err(format!(
                "annotation @{name} is not known; known are {}",
                ANNOTATIONS.join(", ")
            ));
        }
        let id = policy.annotation("id").filter(|id| is_word(id)).ok_or(
            "it needs an @id(\"..\") of letters, digits and `_ - .`: receipts and messages name it"
                .to_owned(),
        )?;
        let reason = policy.annotation("reason");
        if let Some(reason) = reason {
            let word =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            if !(1..=64).contains(&reason.len()) || !reason.bytes().all(word) {
                return Err("@reason is a code of lower-case letters, digits and `_`, at most 64"
                    .to_owned());
            }
        }
        let shadow = match policy.annotation("shadow") {
            None => None,
            Some("") => Some(Counters::default()),
            Some(_) => {
                return Err(
                    "@shadow takes no value; remove the annotation to put the policy in force"
                        .to_owned(),
                )
            }
        };
        let approval = policy.annotation("approval").map(ApprovalRule::parse).transpose()?;
        let policy = policy.new_id(PolicyId::new(id));
        let alone =
            PolicySet::from_policies([policy.clone()]).map_err(|error| error.to_string())?;
        let rule = Self {
            id: id.into(),
            forbid: policy.effect() == cedar_policy::Effect::Forbid,
            reason: reason.map(Into::into),
            message: policy.annotation("message").map(Into::into),
            approval,
            shadow,
            alone,
        };
        Ok((rule, policy))
    }
}

/// First problem of a policy text with its line.
fn parse_problem(text: &str, errors: &cedar_policy::ParseErrors) -> String {
    let label = errors.labels().and_then(|mut labels| labels.next());
    match label {
        Some(label) => {
            let line = text.bytes().take(label.offset()).filter(|byte| *byte == b'\n').count() + 1;
            format!("line {line}: {errors}")
        }
        None => errors.to_string(),
    }
}

fn hash(manifest: &str, policies: &[(&str, &str)]) -> [u8; 32] {
    let mut parts: Vec<[u8; 32]> =
        policies.iter().map(|(_, text)| Sha256::digest(text).into()).collect();
    parts.sort_unstable();
    let mut whole = Sha256::new();
    whole.update(b"sift-policy-v1\0");
    whole.update(Sha256::digest(manifest));
    for part in parts {
        whole.update(part);
    }
    whole.finalize().into()
}
