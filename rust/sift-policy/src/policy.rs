//! A loaded policy: reading, validation, and the decision.

use crate::compile::Stop;
use crate::error::PolicyError;
use crate::facts::{cedar_schema, Facts, TypeNames, DATES};
use crate::index::Index;
use crate::manifest::{Manifest, Tool};
use crate::names::is_name;
use crate::request::{Evaluation, Outcome, Reason, Request, ShadowResult};
use crate::rule::Rule;
use crate::stack::{deep, evaluating};
use crate::tally::{deny, Tally};
use cedar_policy::{
    AuthorizationError, Authorizer, Entities, PolicySet, Schema, ValidationMode, Validator,
};
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

/// Operators and opening brackets in one policy. A chain of operators is a tree as deep as it is long, and parsing,
/// validating and freeing it recurse.
const MAX_OPERATORS: usize = 400;

/// An immutable policy. Share it in an `Arc`; a reload makes another one and swaps the `Arc`.
pub struct Policy {
    manifest: Manifest,
    /// Sorted by id.
    rules: Vec<Rule>,
    index: Index,
    /// All permits, all forbids.
    whole: [PolicySet; 2],
    entities: Vec<Entities>,
    names: TypeNames,
    authorizer: Authorizer,
    schema_text: String,
    warnings: Vec<String>,
    hash: [u8; 32],
}

/// Ways to evaluate; all decide the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Candidates from the index, conditions compiled; Cedar's evaluator for what is not compiled.
    Compiled,
    /// Candidates from the index, each evaluated by Cedar.
    Sliced,
    /// Cedar's authorizer over all policies.
    Whole,
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
    /// Anything else in `policy` is refused, for it may be a forbid whose name was misspelt; but names that begin with
    /// a dot are left alone, as editors, version control and mounted volumes make them.
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
            } else if !path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
            {
                return Err(PolicyError::NoPolicy { path });
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
        let no_thread =
            || PolicyError::Manifest("it could not be read: no thread could be started".to_owned());
        deep(|| Self::read(manifest, policies)).ok_or_else(no_thread)?
    }

    fn read(manifest: &str, policies: &[(&str, &str)]) -> Result<Policy, PolicyError> {
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

        let mut rules: BTreeMap<Arc<str>, Rule> = BTreeMap::new();
        let mut whole = [PolicySet::new(), PolicySet::new()];
        let mut all = PolicySet::new();
        for &(file, text) in policies {
            if most_operators(text) > MAX_OPERATORS {
                return Err(PolicyError::TooLarge {
                    what: "the number of operators and brackets in one policy",
                    limit: MAX_OPERATORS,
                });
            }
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
                let (rule, policy) = Rule::read(policy, &manifest).map_err(refuse)?;
                let twice = |_| refuse("its @id is used twice".to_owned());
                whole[usize::from(rule.forbid)].add(policy.clone()).map_err(twice)?;
                all.add(policy).map_err(twice)?;
                rules.insert(rule.id.clone(), rule);
            }
        }
        if rules.len() > MAX_POLICIES {
            return Err(PolicyError::TooLarge {
                what: "the number of policies",
                limit: MAX_POLICIES,
            });
        }
        let result = Validator::new(schema).validate(&all, ValidationMode::Strict);
        let mut problems: Vec<_> = result
            .validation_errors()
            .map(|error| format!("`{}`: {error}", error.policy_id()))
            .collect();
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
        let rules: Vec<_> = rules.into_values().collect();
        Ok(Policy {
            manifest,
            index: Index::new(&rules),
            rules,
            whole,
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

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Ids of all policies, sorted.
    pub fn rule_ids(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.rules.iter().map(|rule| &rule.id)
    }

    /// Ids of policies with a condition that is not compiled; Cedar evaluates them.
    pub fn left_to_cedar(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rules.iter().filter(|rule| !rule.conditions.is_compiled()).map(|rule| &rule.id)
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
        self.decide_by(Engine::Compiled, request)
    }

    /// The same decision by another way of evaluation, for tests and for a second opinion.
    pub fn decide_by(&self, engine: Engine, request: &Request<'_>) -> Outcome {
        match self.facts(request) {
            Ok(facts) => self.evaluate(&facts, engine),
            Err(reason) => deny(reason),
        }
    }

    /// What holds before any policy is asked.
    pub(crate) fn facts<'a>(&'a self, request: &'a Request<'a>) -> Result<Facts<'a>, Reason> {
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
        if !DATES.contains(&request.now_ms) {
            return Err(Reason::InvalidTime);
        }
        tool.check_args(request.args).map_err(|_| Reason::InvalidArguments)?;
        Facts::new(request, tool)
    }

    fn evaluate<'p>(&'p self, facts: &Facts<'_>, engine: Engine) -> Outcome {
        let mut tally = Tally::default();
        let mut shadows = Vec::new();
        let mut take = |rule: &'p Rule, result| match rule {
            Rule { shadow: None, .. } => tally.add(rule, result, facts.request),
            Rule { shadow: Some(counters), .. } => shadows.push((rule, counters, result)),
        };
        let answered = match engine {
            Engine::Whole => self.ask_whole(facts, take),
            Engine::Sliced | Engine::Compiled => {
                let mut cedar = None;
                let mut answered = Some(());
                self.index.candidates(facts.request, facts.tool.ordinal, |number| {
                    let Some(rule) = self.rules.get(number as usize) else { return };
                    let compiled = match engine {
                        Engine::Compiled => rule.conditions.hold(facts),
                        _ => Err(Stop::AskCedar),
                    };
                    let result = match compiled {
                        Ok(true) => Evaluation::Satisfied,
                        Ok(false) => Evaluation::NotSatisfied,
                        Err(Stop::Error) => Evaluation::Error,
                        Err(Stop::AskCedar) => match cedar.get_or_insert_with(|| self.cedar(facts))
                        {
                            Some(cedar) => self.ask_cedar(rule, cedar),
                            None => {
                                answered = None;
                                return;
                            }
                        },
                    };
                    take(rule, result);
                });
                answered
            }
        };
        if answered.is_none() {
            return deny(Reason::PolicyError);
        }
        shadows.sort_unstable_by_key(|(rule, ..)| &rule.id);
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

    pub(crate) fn cedar(&self, facts: &Facts<'_>) -> Option<(cedar_policy::Request, Entities)> {
        let base = self.entities.get(facts.tool.ordinal)?.clone();
        let entities = base.add_entities([self.names.agent_entity(facts)?], None).ok()?;
        Some((self.names.request(facts, &self.manifest)?, entities))
    }

    /// Every policy by the authorizer over the whole set: permits and forbids apart, so that both are answered.
    fn ask_whole<'p>(
        &'p self,
        facts: &Facts<'_>,
        mut take: impl FnMut(&'p Rule, Evaluation),
    ) -> Option<()> {
        let (request, entities) = self.cedar(facts)?;
        let responses = self.whole.each_ref().map(|set| {
            evaluating(MAX_OPERATORS, || self.authorizer.is_authorized(&request, set, &entities))
        });
        let of = |error: &AuthorizationError, rule: &Rule| match error {
            AuthorizationError::PolicyEvaluationError(error) => {
                *error.policy_id() == rule.policy_id
            }
        };
        for rule in &self.rules {
            let diagnostics = responses.get(usize::from(rule.forbid))?.diagnostics();
            let result = if diagnostics.errors().any(|error| of(error, rule)) {
                Evaluation::Error
            } else if diagnostics.reason().any(|id| *id == rule.policy_id) {
                Evaluation::Satisfied
            } else {
                Evaluation::NotSatisfied
            };
            take(rule, result);
        }
        Some(())
    }

    fn ask_cedar(
        &self,
        rule: &Rule,
        (request, entities): &(cedar_policy::Request, Entities),
    ) -> Evaluation {
        let response = evaluating(rule.conditions.operators(), || {
            self.authorizer.is_authorized(request, &rule.alone, entities)
        });
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

/// Operators and opening brackets of the policy that has most, outside strings and comments.
pub(crate) fn most_operators(text: &str) -> usize {
    let (mut most, mut count) = (0, 0);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                while let Some(inner) = bytes.next() {
                    match inner {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'/' if bytes.peek() == Some(&b'/') => {
                let _ = bytes.by_ref().find(|byte| *byte == b'\n');
            }
            b';' => count = 0,
            b'(' | b'[' | b'{' | b'!' | b'-' | b'+' | b'*' | b'&' | b'|' => count += 1,
            // `if` nests without a bracket; counting each `i` before an `f` counts a little more than that.
            b'i' if bytes.peek() == Some(&b'f') => count += 1,
            _ => {}
        }
        most = most.max(count);
    }
    most
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
