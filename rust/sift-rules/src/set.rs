//! Rules as the rest of the engine sees them, and their selection into rule sets.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};
use sift_checks::Check;

use crate::document::{ContextDoc, Document, FamilyDoc, RuleDoc};
use crate::error::RuleError;
use crate::format::{Format, FormatError};
use crate::label::{self, MAX_LABEL};
use crate::once::once;
use crate::opening::ByteSet;
use crate::pattern::Parts;

include!(concat!(env!("OUT_DIR"), "/documents.rs"));

/// The named rule sets and the categories each holds; of personal data, the rules that name the set.
pub const SETS: &[(&str, &[Category])] = &[
    ("default", &[Category::Secret, Category::Injection, Category::Leak]),
    ("injection", &[Category::Injection]),
    ("leak", &[Category::Leak]),
    ("pii", &[Category::Pii]),
    ("pii-all", &[Category::Pii]),
    ("pii-au", &[Category::Pii]),
    ("pii-be", &[Category::Pii]),
    ("pii-br", &[Category::Pii]),
    ("pii-ca", &[Category::Pii]),
    ("pii-cn", &[Category::Pii]),
    ("pii-de", &[Category::Pii]),
    ("pii-es", &[Category::Pii]),
    ("pii-fi", &[Category::Pii]),
    ("pii-fr", &[Category::Pii]),
    ("pii-gb", &[Category::Pii]),
    ("pii-il", &[Category::Pii]),
    ("pii-in", &[Category::Pii]),
    ("pii-it", &[Category::Pii]),
    ("pii-jp", &[Category::Pii]),
    ("pii-kr", &[Category::Pii]),
    ("pii-ng", &[Category::Pii]),
    ("pii-nl", &[Category::Pii]),
    ("pii-nz", &[Category::Pii]),
    ("pii-ph", &[Category::Pii]),
    ("pii-pl", &[Category::Pii]),
    ("pii-se", &[Category::Pii]),
    ("pii-sg", &[Category::Pii]),
    ("pii-th", &[Category::Pii]),
    ("pii-tr", &[Category::Pii]),
    ("pii-us", &[Category::Pii]),
    ("pii-za", &[Category::Pii]),
    ("secrets", &[Category::Secret]),
];

/// Personal data that is precise without knowing where a text comes from.
const PII: &str = "pii";

/// Every rule for personal data.
const PII_ALL: &str = "pii-all";

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $(#[doc = concat!("`", $word, "`")] $variant),+ }

        impl $name {
            /// The word used in documents and in the API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value of a word, if it is one.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// What kind of thing a rule finds; the first part of its id.
    Category { Secret = "secret", Pii = "pii", Injection = "injection", Leak = "leak", Content = "content" }
}
words! {
    /// How sure the shape alone is. Order is precedence: the first wins at the same start.
    Tier { Specific = "specific", Family = "family", Generic = "generic" }
}
words! {
    /// How bad a true finding is.
    Severity { Low = "low", Medium = "medium", High = "high", Critical = "critical" }
}

/// Which derived text a pattern is matched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    /// The text as it came.
    Identity,
    /// Lower case, white space collapsed.
    Folded,
}

impl Category {
    /// The view on which rules of this category are matched.
    pub fn view(self) -> View {
        match self {
            Self::Injection | Self::Leak => View::Folded,
            Self::Secret | Self::Pii | Self::Content => View::Identity,
        }
    }
}

/// One row of `scanner.rules`: everything about a rule but its automata.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Stable id, `category.provider.kind`.
    pub id: String,
    /// Former ids.
    pub aliases: Vec<String>,
    /// A few words for people.
    pub title: String,
    /// Category, from the id.
    pub category: Category,
    /// Entity type, such as `GITHUB_TOKEN`.
    pub entity: String,
    /// Precedence.
    pub tier: Tier,
    /// Severity.
    pub severity: Severity,
    /// OWASP LLM Top 10 ids.
    pub threat: Vec<String>,
    /// Base score.
    pub score: f32,
    /// Generator of valid values.
    pub format: Option<String>,
    /// Vendor documents.
    pub references: Vec<String>,
    /// Texts that must be found, `{secret}` and (families) `{word}` to be filled in.
    pub examples: Vec<String>,
    /// Texts that must not be found.
    pub negatives: Vec<String>,
    /// Honest list.
    pub known_misses: Vec<String>,
    /// Mutants of a generated value that the pattern takes on purpose, with the reason.
    pub tolerates: BTreeMap<String, String>,
    /// Why an arm has no literal of four bytes.
    pub literal_reason: Option<String>,
    /// The document the rule came from.
    pub source: String,
    /// Whether it is one of the built-in documents.
    pub builtin: bool,
    /// Index into [`RuleSet::patterns`].
    pub pattern: usize,
    /// A word of the provider, for examples of a family.
    pub word: Option<String>,
    /// Whether `format` is the provider's own, which a value must have to be found.
    pub exact: bool,
}

/// Context words.
#[derive(Clone, Debug)]
pub struct Context {
    /// Whole words or phrases, lower case.
    pub words: Vec<String>,
    /// The bytes that they begin with, in either case: most places of a text are ruled out by one look.
    pub firsts: ByteSet,
    /// Bytes of the view before the group that are looked at.
    pub window: usize,
    /// Without one of the words there is no finding.
    pub required: bool,
    /// Words that count behind the group as well, see [`is_labelled`](crate::is_labelled).
    pub labels: Vec<String>,
}

/// A provider of a family: which words name it, which values it gives out, which rule it is.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Lower-case words; `_ - .` and space stand for one optional separator.
    pub words: Vec<String>,
    /// Index into [`RuleSet::rules`].
    pub rule: usize,
    value: Option<String>,
    format: OnceLock<Result<Format, FormatError>>,
}

impl Provider {
    fn new(words: Vec<String>, value: Option<String>, rule: usize) -> Self {
        Self { words, rule, value, format: OnceLock::new() }
    }

    /// The lengths of its values, in bytes: at least, at most; none if its row does not say.
    pub(crate) fn lengths(&self) -> Option<Vec<(usize, usize)>> {
        let value = self.value.as_ref()?;
        once(&self.format, || Format::parse(value)).as_ref().ok().map(Format::widths)
    }

    /// Whether a group can be a value of this provider: it is in the language of the `value` of its
    /// row, in which `hex` takes either case; any group is for a row without one.
    ///
    /// The format is parsed at the first call, as patterns are.
    pub fn admits(&self, group: &[u8]) -> bool {
        let Some(value) = &self.value else { return true };
        // One that does not parse cannot get here: the lint and the loader of user rules refuse it.
        once(&self.format, || Format::parse(value)).as_ref().is_ok_and(|f| f.admits(group))
    }
}

/// One pattern with what is done when it matches; shared by all providers of a family.
#[derive(Debug)]
pub struct Pattern {
    text: String,
    group: Option<u32>,
    body: Option<String>,
    end: Option<String>,
    parts: OnceLock<Result<Parts, String>>,
    /// The view it is matched on.
    pub view: View,
    /// Checks, in order.
    pub checks: Vec<Check>,
    /// Shannon bits per byte of the group.
    pub min_entropy: Option<f32>,
    /// Context words.
    pub context: Option<Context>,
    /// The one rule of a plain pattern; the first provider's rule of a family.
    pub rule: usize,
    /// Providers; empty for a plain rule.
    pub providers: Vec<Provider>,
}

impl Pattern {
    /// The parsed pattern. Parsed at the first call: a scanner that starts with a ready database needs
    /// the automata of a rule only when it has a hit.
    pub fn parts(&self) -> Result<&Parts, String> {
        let parse = || {
            let (body, end) = (self.body.as_deref(), self.end.as_deref());
            let parts = Parts::parse(&self.text, self.group, body, end)?;
            match self.labels() {
                [] => Ok(parts),
                labels => parts.followed_by(&label::expression(labels)),
            }
        };
        once(&self.parts, parse).as_ref().map_err(Clone::clone)
    }

    /// Words that count behind the group; none where a body may follow it.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        match &self.context {
            Some(context) if !self.has_body() => &context.labels,
            _ => &[],
        }
    }

    /// Whether a group may go on in a body.
    #[must_use]
    pub fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// Whether another pattern has the same candidates: they differ in what is made of them.
    #[must_use]
    pub fn is_twin(&self, other: &Self) -> bool {
        (&self.text, self.group, &self.body, &self.end, self.view, self.labels())
            == (&other.text, other.group, &other.body, &other.end, other.view, other.labels())
    }

    /// The pattern as it is written in the document, family words filled in.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The capture group that is the finding, 0 for the whole match.
    pub fn group(&self) -> u32 {
        self.parts().map_or(self.group.unwrap_or(0), |parts| parts.index)
    }
}

/// A selection of rules, sorted by id, with their patterns.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    patterns: Vec<Arc<Pattern>>,
    hash: String,
    names: Vec<String>,
    custom: bool,
}

impl RuleSet {
    /// Selects rule sets by name and adds the rules of user documents.
    ///
    /// `sets` are names of [`SETS`]; `files` are paths of TOML documents, read here. Errors name the
    /// file, the rule and the reason; nothing is loaded then. The order of names, files and rules does
    /// not matter.
    pub fn select(sets: &[&str], files: &[&Path]) -> Result<Self, RuleError> {
        let mut wanted: Vec<(&str, Category)> = Vec::new();
        for name in sets {
            match SETS.iter().find(|(set, _)| set == name) {
                Some((set, categories)) => wanted.extend(categories.iter().map(|&c| (*set, c))),
                None => {
                    let known: Vec<&str> = SETS.iter().map(|(set, _)| *set).collect();
                    return Err(RuleError::unknown_set(name, &known));
                }
            }
        }
        let mut units: Vec<Unit> = builtin()?
            .iter()
            .filter(|unit| {
                let category = unit.rules.first().map(|rule| rule.category);
                wanted.iter().any(|&(set, of)| Some(of) == category && unit.is_in(set))
            })
            .cloned()
            .collect();
        for file in files {
            let name = file.display().to_string();
            let text = read_file(file).map_err(|reason| RuleError::new(&name, None, reason))?;
            units.extend(read_document(&name, &text, false)?);
        }
        let mut names: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        names.sort();
        names.dedup();
        Self::assemble(units, names, !files.is_empty())
    }

    /// The rules of one document given as text; `name` stands in errors.
    pub fn from_document(name: &str, text: &str) -> Result<Self, RuleError> {
        Self::assemble(read_document(name, text, false)?, Vec::new(), true)
    }

    fn assemble(mut units: Vec<Unit>, names: Vec<String>, custom: bool) -> Result<Self, RuleError> {
        units.sort_by(|a, b| a.key().cmp(b.key()));
        let mut rows: Vec<(Rule, usize)> = Vec::new();
        let mut patterns = Vec::new();
        for unit in units {
            let index = patterns.len();
            for rule in unit.rules {
                rows.push((rule, index));
            }
            patterns.push(unit.pattern);
        }
        rows.sort_by(|a, b| a.0.id.cmp(&b.0.id));
        let mut seen = std::collections::HashMap::new();
        for (rule, _) in &rows {
            for id in std::iter::once(&rule.id).chain(&rule.aliases) {
                if let Some(other) = seen.insert(id.clone(), rule.source.clone()) {
                    return Err(RuleError::new(
                        &rule.source,
                        Some(&rule.id),
                        format!("the id or alias `{id}` is also used in `{other}`"),
                    ));
                }
            }
        }
        // Providers refer to rules by position, which is known only now.
        let mut rules = Vec::with_capacity(rows.len());
        let mut of_pattern: Vec<Vec<usize>> = vec![Vec::new(); patterns.len()];
        for (position, (mut rule, pattern)) in rows.into_iter().enumerate() {
            rule.pattern = pattern;
            of_pattern[pattern].push(position);
            rules.push(rule);
        }
        let patterns: Vec<Arc<Pattern>> = patterns
            .into_iter()
            .zip(&of_pattern)
            .map(|(draft, positions)| Arc::new(draft.finish(&rules, positions)))
            .collect();
        let hash = content_hash(&rules, &patterns);
        Ok(Self { rules, patterns, hash, names, custom })
    }

    /// The table of rules, sorted by id; findings refer to it by position.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The patterns; engines number them by position.
    pub fn patterns(&self) -> &[Arc<Pattern>] {
        &self.patterns
    }

    /// SHA-256 over everything that decides what is found, 64 hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Names of the sets this was selected from.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether user documents are part of it.
    pub fn is_custom(&self) -> bool {
        self.custom
    }

    /// Position of a rule by id or alias.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.rules
            .binary_search_by(|r| r.id.as_str().cmp(id))
            .ok()
            .or_else(|| self.rules.iter().position(|r| r.aliases.iter().any(|a| a == id)))
    }
}

/// A pattern and its rules as read from one `[[rule]]` or `[[family]]`.
#[derive(Clone)]
struct Unit {
    rules: Vec<Rule>,
    pattern: Draft,
    /// Names of sets, for personal data.
    sets: Vec<String>,
}

impl Unit {
    /// Whether a set that holds its category holds it: all sets of a region hold `pii` as well.
    fn is_in(&self, set: &str) -> bool {
        let personal = self.rules.first().is_some_and(|rule| rule.category == Category::Pii);
        !personal || set == PII_ALL || self.sets.iter().any(|name| name == set || name == PII)
    }

    fn key(&self) -> &str {
        self.rules.first().map_or("", |r| r.id.as_str())
    }
}

#[derive(Clone)]
struct Draft {
    text: String,
    group: Option<u32>,
    body: Option<String>,
    end: Option<String>,
    view: View,
    checks: Vec<Check>,
    min_entropy: Option<f32>,
    context: Option<Context>,
    /// (rule id, words, value) for a family.
    providers: Vec<(String, Vec<String>, Option<String>)>,
}

impl Draft {
    fn finish(self, rules: &[Rule], positions: &[usize]) -> Pattern {
        let providers = self
            .providers
            .into_iter()
            .filter_map(|(id, words, value)| {
                let rule = positions.iter().copied().find(|&p| rules[p].id == id)?;
                Some(Provider::new(words, value, rule))
            })
            .collect();
        Pattern {
            text: self.text,
            group: self.group,
            body: self.body,
            end: self.end,
            parts: OnceLock::new(),
            view: self.view,
            checks: self.checks,
            min_entropy: self.min_entropy,
            context: self.context,
            rule: positions.first().copied().unwrap_or(0),
            providers,
        }
    }
}

fn builtin() -> Result<&'static [Unit], RuleError> {
    static UNITS: OnceLock<Result<Vec<Unit>, RuleError>> = OnceLock::new();
    let read = || {
        let mut units = Vec::new();
        for (name, text) in DOCUMENTS {
            units.extend(read_document(name, text, true)?);
        }
        Ok(units)
    };
    once(&UNITS, read).as_ref().map(Vec::as_slice).map_err(Clone::clone)
}

/// Rule files are documents: a pipe would be waited for, a device read for ever.
const MAX_FILE_BYTES: u64 = 16 << 20;

fn read_file(file: &Path) -> Result<String, String> {
    let told = |e: std::io::Error| match e.kind() {
        // The kind's own words call it an entity, which here is what a rule finds.
        std::io::ErrorKind::NotFound => "there is no such file: check the path".to_owned(),
        std::io::ErrorKind::InvalidData => "is not UTF-8: convert it first".to_owned(),
        kind => format!("cannot be read: {kind}"),
    };
    let meta = std::fs::metadata(file).map_err(told)?;
    if !meta.is_file() {
        return Err("is not a regular file".to_owned());
    }
    if meta.len() > MAX_FILE_BYTES {
        return Err(format!("has more than {MAX_FILE_BYTES} bytes: split it"));
    }
    std::fs::read_to_string(file).map_err(told)
}

fn read_document(name: &str, text: &str, builtin: bool) -> Result<Vec<Unit>, RuleError> {
    let mut document: Document = toml::from_str(text).map_err(|e| {
        let line =
            e.span().map_or(0, |s| text.get(..s.start).map_or(0, |t| t.matches('\n').count()) + 1);
        // The first line of the message only: the rest quotes the document.
        let reason = e.message().lines().next().unwrap_or("it does not parse").to_owned();
        RuleError::new(name, None, format!("line {line}: {reason}"))
    })?;
    document.fill_in().map_err(|(rule, reason)| RuleError::new(name, Some(&rule), reason))?;
    let common = document.sets.unwrap_or_else(|| vec![PII.to_owned()]);
    let mut units = Vec::with_capacity(document.rules.len() + document.families.len());
    for mut rule in document.rules {
        let sets = rule.sets.take().unwrap_or_else(|| common.clone());
        units.push(Unit { sets, ..read_rule(name, rule, builtin)? });
    }
    for mut family in document.families {
        let sets = family.sets.take().unwrap_or_else(|| common.clone());
        units.push(Unit { sets, ..read_family(name, family, builtin)? });
    }
    for unit in &units {
        let known =
            |set: &&String| SETS.iter().any(|(name, _)| name == set && name.starts_with(PII));
        if let Some(set) = unit.sets.iter().find(|set| !known(set)) {
            return Err(RuleError::new(
                name,
                Some(unit.key()),
                format!("`sets` names `{set}`, which is no set of personal data"),
            ));
        }
    }
    Ok(units)
}

fn read_rule(file: &str, doc: RuleDoc, builtin: bool) -> Result<Unit, RuleError> {
    let id = doc.id.clone();
    let fail = |reason: String| RuleError::new(file, Some(&id), reason);
    let category = category_of(&doc.id).map_err(fail)?;
    check_score(doc.score).map_err(fail)?;
    check_entity(&doc.entity).map_err(fail)?;
    let draft = Draft {
        group: doc.group,
        text: doc.pattern,
        body: doc.body,
        end: doc.end,
        view: category.view(),
        checks: read_checks(&doc.checks).map_err(fail)?,
        min_entropy: doc.min_entropy,
        context: doc.context.map(read_context).transpose().map_err(fail)?,
        providers: Vec::new(),
    };
    let rule = Rule {
        id: doc.id,
        aliases: doc.aliases,
        title: doc.title,
        category,
        entity: doc.entity,
        tier: read_tier(doc.tier.as_deref(), Tier::Specific).map_err(fail)?,
        severity: read_severity(&doc.severity).map_err(fail)?,
        threat: doc.threat,
        score: doc.score,
        format: doc.format,
        references: doc.references,
        examples: doc.examples,
        negatives: doc.negatives,
        known_misses: doc.known_misses,
        tolerates: read_tolerates(doc.tolerates).map_err(fail)?,
        literal_reason: doc.literal_reason,
        source: file.to_owned(),
        builtin,
        pattern: 0,
        word: None,
        exact: false,
    };
    let unit = Unit { rules: vec![rule], pattern: draft, sets: Vec::new() };
    if !builtin {
        validate(file, &unit)?;
    }
    Ok(unit)
}

fn read_family(file: &str, doc: FamilyDoc, builtin: bool) -> Result<Unit, RuleError> {
    let id = doc.id.clone();
    let fail = |reason: String| RuleError::new(file, Some(&id), reason);
    // The provider's part completes the id.
    let category = category_of(&format!("{}.provider", doc.id)).map_err(fail)?;
    check_score(doc.score).map_err(fail)?;
    if !doc.pattern.contains("{words}") {
        return Err(fail("the pattern of a family must contain `{words}`".to_owned()));
    }
    if doc.providers.is_empty() {
        return Err(fail("a family needs at least one provider".to_owned()));
    }
    let tier = read_tier(doc.tier.as_deref(), Tier::Family).map_err(fail)?;
    let severity = read_severity(&doc.severity).map_err(fail)?;
    let tolerates = read_tolerates(doc.tolerates).map_err(fail)?;
    let mut alternatives = Vec::new();
    let mut providers = Vec::new();
    let mut rules = Vec::new();
    for provider in doc.providers {
        check_entity(&provider.entity).map_err(fail)?;
        if provider.words.is_empty() {
            return Err(fail(format!("provider `{}` has no words", provider.id)));
        }
        for word in &provider.words {
            let plain = word
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || SEPARATORS.contains(&c));
            if !plain || word.is_empty() {
                return Err(fail(format!(
                    "a word of provider `{}` is not made of `a-z 0-9 _ - .` and spaces",
                    provider.id
                )));
            }
            alternatives.push(word_pattern(word));
        }
        let rule_id = format!("{}.{}", doc.id, provider.id);
        category_of(&rule_id).map_err(fail)?;
        let mut references = doc.references.clone();
        references.extend(provider.references);
        rules.push(Rule {
            id: rule_id.clone(),
            aliases: provider.aliases,
            title: format!("{}: {}", provider.title, doc.title),
            category,
            entity: provider.entity,
            tier,
            severity,
            threat: doc.threat.clone(),
            score: doc.score,
            format: provider.value.clone().or_else(|| doc.format.clone()),
            references,
            examples: doc.examples.clone(),
            negatives: doc.negatives.clone(),
            known_misses: doc.known_misses.clone(),
            tolerates: tolerates.clone(),
            literal_reason: doc.literal_reason.clone(),
            source: file.to_owned(),
            builtin,
            pattern: 0,
            word: provider.words.first().cloned(),
            exact: provider.value.is_some(),
        });
        providers.push((rule_id, provider.words, provider.value));
    }
    let text = doc.pattern.replace("{words}", &format!("(?i:{})", alternatives.join("|")));
    let draft = Draft {
        group: doc.group,
        text,
        body: doc.body,
        end: doc.end,
        view: category.view(),
        checks: read_checks(&doc.checks).map_err(fail)?,
        min_entropy: doc.min_entropy,
        context: doc.context.map(read_context).transpose().map_err(fail)?,
        providers,
    };
    let unit = Unit { rules, pattern: draft, sets: Vec::new() };
    if !builtin {
        validate(file, &unit)?;
    }
    Ok(unit)
}

const SEPARATORS: [char; 4] = ['_', '-', '.', ' '];

fn word_pattern(word: &str) -> String {
    word.chars()
        .map(|c| if SEPARATORS.contains(&c) { r"[_\x2d.\x20]?".to_owned() } else { c.to_string() })
        .collect()
}

/// User documents are checked at once; built-in ones are, when the databases are built.
fn validate(file: &str, unit: &Unit) -> Result<(), RuleError> {
    let draft = &unit.pattern;
    Parts::parse(&draft.text, draft.group, draft.body.as_deref(), draft.end.as_deref())
        .map_err(|reason| RuleError::new(file, Some(unit.key()), reason))?;
    for (id, _, value) in &draft.providers {
        if let Some(Err(error)) = value.as_deref().map(Format::parse) {
            return Err(RuleError::new(file, Some(id), format!("`value` is not valid: {error}")));
        }
    }
    Ok(())
}

fn category_of(id: &str) -> Result<Category, String> {
    let parts: Vec<&str> = id.split('.').collect();
    let shaped = parts.len() >= 3
        && parts.iter().all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        });
    if !shaped {
        return Err("the id must be `category.provider.kind` in lower case".to_owned());
    }
    parts
        .first()
        .and_then(|word| Category::from_word(word))
        .ok_or_else(|| "the id must begin with secret, pii, injection, leak or content".to_owned())
}

fn check_score(score: f32) -> Result<(), String> {
    if score > 0.0 && score < 1.0 {
        Ok(())
    } else {
        Err("score must lie between 0 and 1; 1.0 is given only by a proof".to_owned())
    }
}

fn check_entity(entity: &str) -> Result<(), String> {
    let shaped = entity.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if shaped && !entity.is_empty() {
        Ok(())
    } else {
        Err("entity must be in upper case with underscores".to_owned())
    }
}

fn read_tier(word: Option<&str>, default: Tier) -> Result<Tier, String> {
    word.map_or(Ok(default), |w| {
        Tier::from_word(w).ok_or_else(|| "tier must be specific, family or generic".to_owned())
    })
}

fn read_severity(word: &str) -> Result<Severity, String> {
    Severity::from_word(word)
        .ok_or_else(|| "severity must be low, medium, high or critical".to_owned())
}

fn read_checks(names: &[String]) -> Result<Vec<Check>, String> {
    names
        .iter()
        .map(|name| Check::from_name(name).ok_or_else(|| format!("there is no check `{name}`")))
        .collect()
}

fn read_tolerates(doc: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String> {
    for (kind, reason) in &doc {
        if !["prefix", "length", "alphabet"].contains(&kind.as_str()) || reason.is_empty() {
            return Err(
                "`tolerates` gives a reason for `prefix`, `length` or `alphabet`".to_owned()
            );
        }
    }
    Ok(doc)
}

/// Bytes left of the group that checks and context may see.
pub(crate) const MAX_CONTEXT: usize = 64;

fn read_context(doc: ContextDoc) -> Result<Context, String> {
    if doc.window == 0 || doc.window > MAX_CONTEXT {
        return Err(format!("context.window must be 1 to {MAX_CONTEXT} bytes"));
    }
    if doc.words.is_empty() || doc.words.iter().any(|w| w.is_empty() || *w != w.to_lowercase()) {
        return Err("context.words must be a list of lower-case words".to_owned());
    }
    let labels = doc.labels.unwrap_or_else(|| label::labels(&doc.words));
    if labels.iter().any(|w| w.is_empty() || w.len() > MAX_LABEL || *w != w.to_lowercase()) {
        return Err(format!(
            "context.labels must be lower-case words of at most {MAX_LABEL} bytes"
        ));
    }
    let mut firsts = [0; 4];
    for first in doc.words.iter().filter_map(|word| word.bytes().next()) {
        for byte in [first, first.to_ascii_uppercase()] {
            firsts[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
    }
    let (window, required) = (doc.window, doc.required);
    Ok(Context { words: doc.words, firsts, window, required, labels })
}

fn content_hash(rules: &[Rule], patterns: &[Arc<Pattern>]) -> String {
    let mut hash = Sha256::new();
    // A field separator that TOML text cannot hold keeps neighbours apart.
    let mut put = |field: &str| {
        hash.update(field.as_bytes());
        hash.update([0xff]);
    };
    for rule in rules {
        let pattern = &patterns[rule.pattern];
        put(&rule.id);
        put(&rule.entity);
        put(rule.tier.as_str());
        put(rule.severity.as_str());
        put(&rule.score.to_bits().to_string());
        put(&pattern.text);
        put(&pattern.group.map_or(String::new(), |g| g.to_string()));
        put(pattern.body.as_deref().unwrap_or(""));
        put(pattern.end.as_deref().unwrap_or(""));
        for provider in pattern.providers.iter().filter(|p| rules[p.rule].id == rule.id) {
            let mut words = provider.words.clone();
            words.sort();
            put(&words.join("\u{1}"));
            put(provider.value.as_deref().unwrap_or(""));
        }
        for check in &pattern.checks {
            put(check.name());
        }
        put(&pattern.min_entropy.map_or(String::new(), |e| e.to_bits().to_string()));
        if let Some(context) = &pattern.context {
            let mut words = context.words.clone();
            words.sort();
            put(&words.join("\u{1}"));
            put(&format!("{} {}", context.window, context.required));
            let mut labels = context.labels.clone();
            labels.sort();
            put(&labels.join("\u{1}"));
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [[rule]]
        id = "secret.acme.key"
        title = "Acme key"
        entity = "ACME_KEY"
        severity = "high"
        score = 0.9
        pattern = '''acme_([a-z]{20})'''
        examples = ["{secret}"]
    "#;

    fn broken(from: &str, to: &str) -> String {
        RuleSet::from_document("mine.toml", &GOOD.replace(from, to)).unwrap_err().to_string()
    }

    #[test]
    fn patterns_and_words_of_a_document_are_named_by_its_rules() {
        let text = r#"
            [patterns]
            digits = '\b(\d{9})\b'
            [words]
            tax = ["tax", "tax number"]
            [[rule]]
            id = "pii.acme.one"
            title = "One"
            entity = "ONE"
            severity = "high"
            score = 0.3
            pattern = "@digits"
            examples = ["tax 123456789"]
            [rule.context]
            words = ["fiscal", "@tax"]
            labels = []
            [[rule]]
            id = "pii.acme.two"
            title = "Two"
            entity = "TWO"
            severity = "high"
            score = 0.3
            pattern = "@digits"
            examples = ["123456789"]
        "#;
        let set = RuleSet::from_document("mine.toml", text).unwrap();
        let [one, two] = set.patterns() else { panic!("not two patterns") };
        assert_eq!((one.text(), one.is_twin(two)), (r"\b(\d{9})\b", true));
        assert_eq!(one.context.as_ref().unwrap().words, ["fiscal", "tax", "tax number"]);
        for (from, to) in [("digits =", "numbers ="), ("tax =", "taxes =")] {
            let error = RuleSet::from_document("mine.toml", &text.replace(from, to)).unwrap_err();
            assert!(error.to_string().contains("is not in the document's table"), "{error}");
        }
    }

    #[test]
    fn a_broken_document_names_file_rule_and_reason() {
        assert!(RuleSet::from_document("mine.toml", GOOD).is_ok());
        for (from, to, word) in [
            ("{20}", "+", "bound"),
            ("title =", "titel =", "titel"),
            ("0.9", "1.0", "score"),
            ("secret.acme.key", "acme.key", "id"),
            ("\"high\"", "\"dire\"", "severity"),
            ("ACME_KEY", "acme", "entity"),
            ("examples", "checks = [\"nope\"]\nexamples", "nope"),
        ] {
            let message = broken(from, to);
            assert!(message.contains("mine.toml"), "{message}");
            assert!(message.contains(word), "{word}: {message}");
        }
        assert!(broken("{20}", "+").contains("secret.acme.key"));
    }

    #[test]
    fn duplicate_ids_are_refused() {
        let twice = format!("{GOOD}\n{GOOD}");
        let error = RuleSet::from_document("mine.toml", &twice).unwrap_err();
        assert!(error.reason.contains("also used"));
    }

    #[test]
    fn order_of_rules_does_not_change_the_hash() {
        let other = GOOD.replace("acme", "zeta").replace("ACME", "ZETA");
        let a = RuleSet::from_document("a", &format!("{GOOD}\n{other}")).unwrap();
        let b = RuleSet::from_document("b", &format!("{other}\n{GOOD}")).unwrap();
        assert_eq!(a.hash(), b.hash());
        let changed = RuleSet::from_document("a", &GOOD.replace("{20}", "{21}")).unwrap();
        let single = RuleSet::from_document("a", GOOD).unwrap();
        assert_ne!(changed.hash(), single.hash());
    }

    #[test]
    fn a_family_gives_a_rule_for_each_provider() {
        let text = r#"
            [[family]]
            id = "secret.family.hex32"
            title = "provider word and 32 hex"
            severity = "high"
            score = 0.7
            pattern = '''(?:{words})\s{0,2}=\s{0,2}([a-f0-9]{32})\b'''
            examples = ["{word} = {secret}"]
            [[family.provider]]
            id = "new-relic"
            title = "New Relic"
            entity = "NEW_RELIC_KEY"
            words = ["new relic"]
            [[family.provider]]
            id = "datadog"
            title = "Datadog"
            entity = "DATADOG_KEY"
            words = ["datadog", "dd_api"]
        "#;
        let set = RuleSet::from_document("f", text).unwrap();
        assert_eq!(set.rules().len(), 2);
        assert_eq!(set.patterns().len(), 1);
        let pattern = &set.patterns()[0];
        assert_eq!(set.rules()[pattern.providers[0].rule].entity, "NEW_RELIC_KEY");
        assert!(pattern.parts().is_ok());
    }

    #[test]
    fn a_document_says_its_sets() {
        let personal = GOOD.replace("secret.acme", "pii.acme");
        let document = |head: &str| read_document("p", &format!("{head}\n{personal}"), true);
        let sets = |head: &str| document(head).unwrap().remove(0);
        for (head, set, held) in [
            ("", "pii", true),
            ("", "pii-gb", true),
            ("sets = [\"pii-gb\"]", "pii", false),
            ("sets = [\"pii-gb\"]", "pii-gb", true),
            ("sets = [\"pii-gb\"]", "pii-us", false),
            ("sets = [\"pii-gb\"]", "pii-all", true),
            ("sets = []", "pii-gb", false),
            ("sets = []", "pii-all", true),
        ] {
            assert_eq!(sets(head).is_in(set), held, "{head} {set}");
        }
        let error = document("sets = [\"secrets\"]").map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("secrets"));
    }

    #[test]
    fn an_unknown_set_is_named() {
        let error = RuleSet::select(&["nope"], &[]).unwrap_err();
        assert!(error.to_string().contains("nope"));
        assert!(error.reason.contains("secrets"));
    }
}
