//! Views of a text and the way back to its offsets.
//!
//! A *view* is a text derived from the input: the input itself, or the folded view, in which case and
//! the amount of white space carry no meaning. Patterns run on a view; findings are told in offsets of
//! the input. This crate makes views and maps spans back, and converts byte offsets into the units
//! people and Python count in. It knows no rule, and every function takes arbitrary bytes: text that is
//! not UTF-8 has a view and offsets like any other.
//!
//! | to | use |
//! |---|---|
//! | fold a text | [`fold`], or [`View::apply`] |
//! | map spans of the folded text back | [`map_spans`], or [`Origins`] one by one |
//! | widen a span to whole characters | [`floor_char`], [`ceil_char`] |
//! | count in code points | [`CharIndex`] |
//! | count in lines and columns | [`LineIndex`] |
//! | find and read what is encoded in a text | [`decode`] |
//! | scan what Python's lone surrogates make of UTF-8 | [`replace_surrogates`], [`restore_surrogates`] |
//!
//! ```
//! let text = "Ignore\n\n   ALL previous".as_bytes();
//! let mut folded = Vec::new();
//! sift_text::fold(text, &mut folded);
//! assert_eq!(folded, b"ignore all previous");
//!
//! let mut spans = [(6, 10)]; // " all"
//! sift_text::map_spans(text, &mut spans);
//! assert_eq!(spans, [(6, 14)]); // "\n\n   ALL"
//! ```
#![allow(
    unsafe_code,
    reason = "vector loads and stores in fold/avx2.rs, fold/avx512.rs, high.rs, and in decode"
)]

mod chars;
pub mod decode;
mod fold;
mod high;
mod lines;
mod origins;
mod surrogates;
mod unit;
mod view;

pub use chars::{ceil_char, count_chars, floor_char, CharIndex};
pub use fold::fold;
pub use high::HighBytes;
pub use lines::{LineIndex, Position};
pub use origins::{map_spans, Origins, Unit};
pub use surrogates::{replace_surrogates, restore_surrogates, Patch};
pub use view::View;

#[doc(hidden)]
pub use fold::Path;

#[cfg(test)]
mod testing;
