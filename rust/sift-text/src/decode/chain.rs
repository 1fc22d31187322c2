//! How a finding was encoded, from the outermost encoding to the innermost.

use super::Encoding;

/// A short list of encodings in one word: as many as three levels have, but for some in mixed windows.
///
/// ```
/// use sift_text::decode::{Chain, Encoding};
///
/// let chain = Chain::default().with(Encoding::Percent).with(Encoding::Base64);
/// assert_eq!(chain.iter().map(Encoding::as_str).collect::<Vec<_>>(), ["percent", "base64"]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chain(u64);

/// Bits of an entry, which is 0 at the end.
const BITS: u32 = 5;
const MASK: u64 = (1 << BITS) - 1;
const _: () = assert!(Encoding::ALL.len() < 1 << BITS);

impl Chain {
    /// Most encodings that it holds.
    pub const LONGEST: usize = (u64::BITS / BITS) as usize;

    /// Whether there is none: the bytes stand for themselves.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The chain with an encoding inside all others; those beyond [`Chain::LONGEST`] are left out.
    #[must_use]
    pub fn with(self, encoding: Encoding) -> Self {
        let used = (u64::BITS - self.0.leading_zeros()).div_ceil(BITS);
        if used as usize >= Self::LONGEST {
            return self;
        }
        Self(self.0 | (encoding as u64 + 1) << (used * BITS))
    }

    /// The encodings from the outermost to the innermost.
    pub fn iter(self) -> impl Iterator<Item = Encoding> {
        let entry = move |at| (self.0 >> (at as u32 * BITS) & MASK) as usize;
        (0..Self::LONGEST)
            .map_while(move |at| Encoding::ALL.get(entry(at).checked_sub(1)?).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_as_many_as_it_says_and_no_more() {
        let mut chain = Chain::default();
        assert!(chain.is_empty());
        for &encoding in Encoding::ALL.iter().rev() {
            chain = chain.with(encoding);
        }
        let all: Vec<_> = Encoding::ALL.into_iter().rev().take(Chain::LONGEST).collect();
        assert_eq!(chain.iter().collect::<Vec<_>>(), all);
    }
}
