//! Limits, and how hitting one is reported. A limit is never silent.

use std::time::Duration;

/// Bounds on one scan. All have defaults; a hit limit is in [`Incomplete`] or an error.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most findings a scan reports.
    pub findings: usize,
    /// Most bytes one finding reports; an edit still covers all of it.
    pub finding_bytes: usize,
    /// Most bytes of one text; longer is an error. The engine counts in 32 bits.
    pub text_bytes: usize,
    /// Time one scan may take, checked at every hit of the engine.
    pub time: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            findings: 100_000,
            finding_bytes: 16 * 1024,
            text_bytes: u32::MAX as usize,
            time: None,
        }
    }
}

/// The most hits the engine may report for one text, findings or not. Twelve bytes each: a bound on
/// memory, far above what text gives (180 hits a MB for all of gitleaks' rules on documentation).
pub(crate) const MAX_HITS: usize = 4_000_000;

/// Which limits were hit, as a small set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incomplete(u8);

impl Incomplete {
    /// More findings than [`Limits::findings`].
    pub const FINDINGS: Self = Self(1);
    /// A finding longer than [`Limits::finding_bytes`].
    pub const FINDING_BYTES: Self = Self(2);
    /// Out of [`Limits::time`].
    pub const TIME: Self = Self(4);
    /// More hits than the engine may report.
    pub const HITS: Self = Self(8);
    /// Something was encoded deeper, or compressed more, than is decoded: whoever wants to read it has to do more
    /// than a scan does.
    pub const DECODE: Self = Self(16);
    /// What is encoded in one place became so much that not all of it was decoded, though none lies too deep.
    pub const DECODE_BYTES: Self = Self(32);

    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::FINDINGS,
        Self::FINDING_BYTES,
        Self::TIME,
        Self::HITS,
        Self::DECODE,
        Self::DECODE_BYTES,
    ];

    const NAMES: [(Self, &'static str); 6] = [
        (Self::FINDINGS, "findings"),
        (Self::FINDING_BYTES, "finding_bytes"),
        (Self::TIME, "time"),
        (Self::HITS, "hits"),
        (Self::DECODE, "decode"),
        (Self::DECODE_BYTES, "decode_bytes"),
    ];

    /// No limit was hit.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `other` is part of it.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Adds `other`.
    pub fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Takes `other` away.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The names of the limits that were hit.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().filter(move |(bit, _)| self.contains(*bit)).map(|(_, name)| *name)
    }
}
