//! Static lint: what can be said of rules without scanning anything.
//!
//! Loading already refuses what cannot work. The lint is stricter: it also wants examples, references
//! and literals, so that a rule that loads is also one that can be kept up.

use crate::format::Format;
use crate::set::{Category, RuleSet};

/// Shortest literal every arm of a pattern should give the engine, in bytes. Two-byte literals are
/// worse than none: 74 country codes as literals cost 1.5 times the shape they were meant to replace.
pub const MIN_LITERAL: usize = 4;

/// Bytes that stand between a context word and a value: a quotation mark, a colon, a blank, another mark.
const BESIDE: usize = 4;

/// One thing that is wrong with one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The document.
    pub file: String,
    /// The rule id.
    pub rule: String,
    /// What is wrong, one sentence.
    pub reason: String,
}

/// Checks every rule of a set; an empty list is a clean set.
pub fn lint(set: &RuleSet) -> Vec<Problem> {
    let mut problems = Vec::new();
    for rule in set.rules() {
        let mut say = |reason: String| {
            problems.push(Problem { file: rule.source.clone(), rule: rule.id.clone(), reason });
        };
        let pattern = &set.patterns()[rule.pattern];
        match pattern.parts() {
            Err(reason) => say(reason),
            Ok(parts) => {
                let literal = parts.weakest_literal();
                if literal < MIN_LITERAL && rule.literal_reason.is_none() {
                    say(format!(
                        "an arm of the pattern has a literal of only {literal} bytes, give {MIN_LITERAL} or a `literal_reason`"
                    ));
                }
            }
        }
        if let Some(format) = &rule.format {
            if let Err(error) = Format::parse(format) {
                say(format!("`format` is not valid: {error}"));
            }
        } else if rule.category == Category::Secret
            && rule.examples.iter().any(|e| e.contains("{secret}"))
        {
            say("`{secret}` in an example needs a `format`".to_owned());
        }
        for word in pattern.context.iter().flat_map(|context| {
            context.words.iter().filter(|word| word.len() + BESIDE > context.window)
        }) {
            say(format!(
                "a context word of {} bytes does not fit into the window: give it `window = {}`",
                word.len(),
                word.len() + BESIDE
            ));
        }
        if rule.examples.is_empty() {
            say("the rule has no example".to_owned());
        }
        if rule.negatives.is_empty() {
            say("the rule has no negative".to_owned());
        }
        if pattern.min_entropy.is_some_and(|bits| !(0.0..=8.0).contains(&bits)) {
            say("`min_entropy` must lie between 0 and 8 bits".to_owned());
        }
    }
    problems
}
