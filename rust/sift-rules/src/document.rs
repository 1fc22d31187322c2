//! The TOML schema of a rule document. Unknown keys are errors; meaning is given in `set.rs`.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    /// The sets its personal data belongs to, `pii` unless it says otherwise.
    #[serde(default)]
    pub(crate) sets: Option<Vec<String>>,
    /// Patterns that rules of the document write as `@name`.
    #[serde(default)]
    pub(crate) patterns: BTreeMap<String, String>,
    /// Context words that contexts of the document write as `@name`.
    #[serde(default)]
    pub(crate) words: BTreeMap<String, Vec<String>>,
    #[serde(default, rename = "rule")]
    pub(crate) rules: Vec<RuleDoc>,
    #[serde(default, rename = "family")]
    pub(crate) families: Vec<FamilyDoc>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleDoc {
    pub(crate) id: String,
    /// Overrides the document's.
    #[serde(default)]
    pub(crate) sets: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    pub(crate) title: String,
    pub(crate) entity: String,
    #[serde(default)]
    pub(crate) tier: Option<String>,
    pub(crate) severity: String,
    #[serde(default)]
    pub(crate) threat: Vec<String>,
    pub(crate) score: f32,
    pub(crate) format: Option<String>,
    pub(crate) pattern: String,
    pub(crate) group: Option<u32>,
    pub(crate) body: Option<String>,
    pub(crate) end: Option<String>,
    #[serde(default)]
    pub(crate) checks: Vec<String>,
    pub(crate) min_entropy: Option<f32>,
    pub(crate) context: Option<ContextDoc>,
    pub(crate) literal_reason: Option<String>,
    #[serde(default)]
    pub(crate) references: Vec<String>,
    #[serde(default)]
    pub(crate) examples: Vec<String>,
    #[serde(default)]
    pub(crate) negatives: Vec<String>,
    #[serde(default)]
    pub(crate) known_misses: Vec<String>,
    #[serde(default)]
    pub(crate) tolerates: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FamilyDoc {
    pub(crate) id: String,
    /// Overrides the document's.
    #[serde(default)]
    pub(crate) sets: Option<Vec<String>>,
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) tier: Option<String>,
    pub(crate) severity: String,
    #[serde(default)]
    pub(crate) threat: Vec<String>,
    pub(crate) score: f32,
    pub(crate) format: Option<String>,
    pub(crate) pattern: String,
    pub(crate) group: Option<u32>,
    pub(crate) body: Option<String>,
    pub(crate) end: Option<String>,
    #[serde(default)]
    pub(crate) checks: Vec<String>,
    pub(crate) min_entropy: Option<f32>,
    pub(crate) context: Option<ContextDoc>,
    pub(crate) literal_reason: Option<String>,
    #[serde(default)]
    pub(crate) references: Vec<String>,
    #[serde(default)]
    pub(crate) examples: Vec<String>,
    #[serde(default)]
    pub(crate) negatives: Vec<String>,
    #[serde(default)]
    pub(crate) known_misses: Vec<String>,
    #[serde(default)]
    pub(crate) tolerates: BTreeMap<String, String>,
    #[serde(rename = "provider")]
    pub(crate) providers: Vec<ProviderDoc>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderDoc {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    pub(crate) title: String,
    pub(crate) entity: String,
    pub(crate) words: Vec<String>,
    pub(crate) value: Option<String>,
    #[serde(default)]
    pub(crate) references: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContextDoc {
    pub(crate) words: Vec<String>,
    #[serde(default = "default_window")]
    pub(crate) window: usize,
    #[serde(default)]
    pub(crate) required: bool,
    /// Words that count behind a value; those of `words` that are short enough if there is no list.
    pub(crate) labels: Option<Vec<String>>,
}

impl Document {
    /// Puts the patterns and words that rules name in their place. The error names what is not there.
    pub(crate) fn fill_in(&mut self) -> Result<(), (String, String)> {
        for rule in &mut self.rules {
            let fail = |what: &str, name: &str| {
                (rule.id.clone(), format!("`@{name}` is not in the document's table `{what}`"))
            };
            if let Some(name) = rule.pattern.strip_prefix('@') {
                rule.pattern =
                    self.patterns.get(name).cloned().ok_or_else(|| fail("patterns", name))?;
            }
            let Some(context) = &mut rule.context else { continue };
            for list in std::iter::once(&mut context.words).chain(&mut context.labels) {
                let mut words = Vec::with_capacity(list.len());
                for word in std::mem::take(list) {
                    match word.strip_prefix('@') {
                        None => words.push(word),
                        Some(name) => words.extend_from_slice(
                            self.words.get(name).ok_or_else(|| fail("words", name))?,
                        ),
                    }
                }
                *list = words;
            }
        }
        Ok(())
    }
}

fn default_window() -> usize {
    40
}
