//! A candidate: one confirmed place where a rule applies, before overlaps are resolved.

use std::cmp::Reverse;

use sift_rules::Tier;
use sift_text::decode::{Chain, Reading};

/// One confirmed place. Offsets are bytes of the original text, counted from its beginning.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) start: usize,
    /// End of the group; what follows is body.
    pub(crate) group_end: usize,
    pub(crate) rule: u32,
    pub(crate) pattern: u32,
    pub(crate) tier: Tier,
    pub(crate) score: f32,
    pub(crate) extent: Extent,
    /// How it was encoded.
    pub(crate) decoded: Chain,
    /// Up to where its own view showed it, which a stream knows when it has to decide; 0 in the text itself.
    pub(crate) seen: usize,
    /// For an open end in a decoded view: what the run is read as that it reaches the end of.
    pub(crate) run: Option<Reading>,
}

/// How far a candidate reaches, which for a body is known only bit by bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Ends here.
    Closed(usize),
    /// Reaches at least to here.
    Open(usize),
}

impl Extent {
    pub(crate) fn reach(self) -> usize {
        match self {
            Self::Closed(at) | Self::Open(at) => at,
        }
    }
}

impl Candidate {
    /// Resolution order: leftmost, then tier, then longest, then highest score, then rule id (rules are sorted
    /// by id). The length is the group's: a body's is not known when a stream has to decide. The score is
    /// for numbers, where nine digits are candidates of ten rules and a word before them says of which. Of one
    /// place that is found as it stands and decoded, the first wins; of several views, the one that shows most.
    pub(crate) fn order(&self) -> Order {
        // Scores are positive: their bits are in their order.
        let score = Reverse(self.score.to_bits());
        let first = (self.start, self.tier, Reverse(self.group_end), score, self.rule);
        (first, (self.decoded, Reverse(self.seen), self.run))
    }
}

/// See [`Candidate::order`].
pub(crate) type Order =
    ((usize, Tier, Reverse<usize>, Reverse<u32>, u32), (Chain, Reverse<usize>, Option<Reading>));
