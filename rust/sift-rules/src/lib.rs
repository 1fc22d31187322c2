//! Rule documents: what a rule is, how documents are read, and what is refused.
//!
//! This crate knows patterns as parsed regular expressions, their widths and their parts; it knows no
//! engine and scans nothing. Start at [`RuleSet`].
//!
//! ```
//! use sift_rules::RuleSet;
//!
//! let rules = RuleSet::select(&["secrets"], &[])?;
//! assert!(rules.rules().iter().all(|rule| rule.category.as_str() == "secret"));
//! # Ok::<(), sift_rules::RuleError>(())
//! ```

mod catalogue;
mod divide;
mod document;
mod error;
pub mod format;
mod label;
pub mod lint;
mod once;
mod opening;
mod pattern;
mod set;
mod shape;

pub use catalogue::{withdrawn, Withdrawn, RULES_VERSION, WITHDRAWN};
pub use divide::{divide, Divided};
pub use error::RuleError;
pub use label::{is_labelled, MAX_LABEL};
pub use once::once;
pub use opening::{has_byte, ByteSet, Opening, Place, MAX_AHEAD};
pub use pattern::{hyperscan_expression, Parts, MAX_AFTER, MAX_WIDTH};
pub use set::{Category, Context, Pattern, Provider, Rule, RuleSet, Severity, Tier, View, SETS};
pub use shape::{
    alphabets, is_value_byte, Anchor, Gate, Mark, Shape, Values, ALPHABETS, LONG_RUN, MAX_LEFT,
    SHORT_RUN,
};
