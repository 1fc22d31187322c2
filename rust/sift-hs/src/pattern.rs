//! What is compiled: patterns, their flags, and the processor they are compiled for.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use sift_hs_sys as sys;

/// One expression of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern<'a> {
    /// The expression in the engine's notation (a subset of PCRE). It may not hold a NUL character;
    /// `\x00` stands for one.
    pub expression: &'a str,
    /// What a scan reports; several patterns may share an id.
    pub id: u32,
    /// How the expression is read and reported.
    pub flags: Flags,
}

/// Flags of one pattern, combined with `|`.
///
/// Start-of-match, combinations and quiet patterns of the engine are left out: no scan here reports
/// starts, and boolean combinations belong to whoever knows rules.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(u32);

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// Letters match in either case.
    pub const CASELESS: Flags = Flags(sys::HS_FLAG_CASELESS);
    /// `.` matches a newline too.
    pub const DOTALL: Flags = Flags(sys::HS_FLAG_DOTALL);
    /// `^` and `$` match at line ends.
    pub const MULTILINE: Flags = Flags(sys::HS_FLAG_MULTILINE);
    /// Report at most one match of this id per scan. It cuts callbacks, it does not add speed.
    pub const SINGLEMATCH: Flags = Flags(sys::HS_FLAG_SINGLEMATCH);
    /// Accept a pattern that matches the empty string; it is then reported at every offset.
    pub const ALLOWEMPTY: Flags = Flags(sys::HS_FLAG_ALLOWEMPTY);
    /// The pattern and the text are UTF-8. Scanning other bytes with it is undefined by the engine,
    /// so it is for texts that are known to be valid.
    pub const UTF8: Flags = Flags(sys::HS_FLAG_UTF8);
    /// Unicode properties for `\w` and the like. Never for a large set: compile time explodes.
    pub const UCP: Flags = Flags(sys::HS_FLAG_UCP);
    /// Compile an approximation that never misses and may over-report, for constructs the engine
    /// does not have.
    pub const PREFILTER: Flags = Flags(sys::HS_FLAG_PREFILTER);

    const NAMES: [(Flags, &'static str); 8] = [
        (Flags::CASELESS, "CASELESS"),
        (Flags::DOTALL, "DOTALL"),
        (Flags::MULTILINE, "MULTILINE"),
        (Flags::SINGLEMATCH, "SINGLEMATCH"),
        (Flags::ALLOWEMPTY, "ALLOWEMPTY"),
        (Flags::UTF8, "UTF8"),
        (Flags::UCP, "UCP"),
        (Flags::PREFILTER, "PREFILTER"),
    ];

    /// Whether all flags of `other` are set here.
    #[must_use]
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The union of both, usable in constants.
    #[must_use]
    pub const fn union(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// The engine's bits: stable, for hashes and cache keys.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        self.union(other)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Flags) {
        *self = self.union(other);
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Flags::NAMES.iter().filter(|(flag, _)| self.contains(*flag));
        let names: Vec<&str> = names.map(|(_, name)| *name).collect();
        write!(f, "Flags({})", names.join(" | "))
    }
}

/// The processors that a database is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Platform {
    /// Every processor that the engine supports. The database is portable; the scan still dispatches
    /// to the widest code of the processor it runs on.
    Generic,
    /// This processor: some engines inside the database are chosen wider, and it loads only where the
    /// same instructions exist.
    Native,
}

/// Instruction sets that change what the engine compiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CpuFeatures(u64);

impl CpuFeatures {
    pub(crate) const fn from_bits(bits: u64) -> CpuFeatures {
        CpuFeatures(bits)
    }

    /// The engine's bits: stable, for cache keys.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The features of `self` that `host` lacks.
    #[must_use]
    pub(crate) const fn missing_on(self, host: CpuFeatures) -> CpuFeatures {
        CpuFeatures(self.0 & !host.0)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The widest level first, as `avx512vbmi`; `baseline` for none.
impl fmt::Display for CpuFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = [
            (sys::HS_CPU_FEATURES_AVX512VBMI, "avx512vbmi"),
            (sys::HS_CPU_FEATURES_AVX512, "avx512"),
            (sys::HS_CPU_FEATURES_AVX2, "avx2"),
        ];
        let level = known.iter().find(|(bit, _)| self.0 & bit != 0);
        match level {
            Some((_, name)) => f.write_str(name),
            None if self.0 == 0 => f.write_str("baseline"),
            None => write!(f, "features {:#x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_combine_and_print() {
        let flags = Flags::DOTALL | Flags::SINGLEMATCH;
        assert!(flags.contains(Flags::DOTALL));
        assert!(!flags.contains(Flags::DOTALL | Flags::UTF8));
        assert_eq!(format!("{flags:?}"), "Flags(DOTALL | SINGLEMATCH)");
        assert_eq!(format!("{:?}", Flags::NONE), "Flags()");
        let mut grown = Flags::NONE;
        grown |= Flags::CASELESS;
        assert_eq!(grown, Flags::CASELESS);
    }

    #[test]
    fn features_name_the_widest() {
        let all = sys::HS_CPU_FEATURES_AVX2 | sys::HS_CPU_FEATURES_AVX512;
        assert_eq!(CpuFeatures(all).to_string(), "avx512");
        assert_eq!(CpuFeatures(sys::HS_CPU_FEATURES_AVX2).to_string(), "avx2");
        assert_eq!(CpuFeatures(0).to_string(), "baseline");
        let missing = CpuFeatures(all).missing_on(CpuFeatures(sys::HS_CPU_FEATURES_AVX2));
        assert_eq!(missing.to_string(), "avx512");
    }
}
