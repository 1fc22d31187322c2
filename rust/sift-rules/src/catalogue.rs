//! The version of the built-in rules, and the ids that were withdrawn from them.
//!
//! `docs/rule-policy.md` says what raises which part of the version, and what becomes of an id.

/// Semantic version of the built-in rules, apart from that of the package.
pub const RULES_VERSION: &str = "0.2.5";

/// Every id that a release had and this one has neither as an id nor as an alias. Entries stay for ever, so
/// that an id is never given to another rule.
pub const WITHDRAWN: &[Withdrawn] = &[];

/// An id that is no longer a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// The id, or former id.
    pub id: &'static str,
    /// The version of the rules that was the first without it.
    pub since: &'static str,
    /// Why, and which rule to use instead if there is one; a part of a sentence.
    pub reason: &'static str,
}

impl Withdrawn {
    /// A sentence for whoever named the id.
    pub fn sentence(&self) -> String {
        format!(
            "the rule `{}` was withdrawn in version {} of the rules: {}",
            self.id, self.since, self.reason
        )
    }
}

/// What is known about a withdrawn id.
pub fn withdrawn(id: &str) -> Option<&'static Withdrawn> {
    WITHDRAWN.iter().find(|entry| entry.id == id)
}

#[cfg(test)]
mod tests {
    use super::{Withdrawn, RULES_VERSION, WITHDRAWN};
    use crate::{RuleSet, SETS};

    #[test]
    fn the_version_is_semantic() {
        let parts: Vec<&str> = RULES_VERSION.split('.').collect();
        assert_eq!(parts.len(), 3, "{RULES_VERSION}");
        assert!(parts.iter().all(|part| part.parse::<u32>().is_ok_and(|n| n.to_string() == *part)));
    }

    #[test]
    fn no_withdrawn_id_is_in_use() {
        let sets: Vec<&str> = SETS.iter().map(|(name, _)| *name).collect();
        let rules = RuleSet::select(&sets, &[]).unwrap();
        for entry in WITHDRAWN {
            assert!(rules.find(entry.id).is_none(), "{} is withdrawn and a rule", entry.id);
        }
    }

    #[test]
    fn a_withdrawn_id_is_told_with_version_and_reason() {
        let entry =
            Withdrawn { id: "secret.acme.key", since: "1.0.0", reason: "it found serial numbers" };
        let sentence = entry.sentence();
        assert!(
            [entry.id, entry.since, entry.reason].iter().all(|part| sentence.contains(part)),
            "{sentence}"
        );
    }
}
