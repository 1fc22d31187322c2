//! The one error of the crate: it names the file, the rule and the reason, never a text.

/// Why a rule document was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub struct RuleError {
    /// The document, as the caller named it; empty where the name of a rule set is wrong.
    pub file: String,
    /// The rule, where the fault is inside one.
    pub rule: Option<String>,
    /// What is wrong, one sentence, and what to do.
    pub reason: String,
}

impl RuleError {
    pub(crate) fn new(file: &str, rule: Option<&str>, reason: impl Into<String>) -> Self {
        Self { file: file.to_owned(), rule: rule.map(str::to_owned), reason: reason.into() }
    }

    /// A name that is no rule set.
    pub(crate) fn unknown_set(name: &str, known: &[&str]) -> Self {
        let several = match name.contains(',') {
            true => ": give several names as a list",
            false => "",
        };
        let known = known.join(", ");
        Self::new("", None, format!("there is no rule set `{name}`{several}; choose from {known}"))
    }

    fn message(&self) -> String {
        match &self.rule {
            None if self.file.is_empty() => self.reason.clone(),
            Some(rule) => format!("rule `{rule}` in `{}`: {}", self.file, self.reason),
            None => format!("rule file `{}`: {}", self.file, self.reason),
        }
    }
}
