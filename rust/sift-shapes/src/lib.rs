//! Finds places by their shape alone, where a pattern engine would need a literal for every name.
//!
//! Runs of *value bytes*, what keys and tokens are written with, joints between them, and *places*, where numbers,
//! codes and what stands between signs begin, which is what personal data is made of. A key of 32
//! letters and digits behind a provider's name is dear for a pattern engine, which has to look for the
//! names: all the secret rules together had 1.3 MB of automata and 1.5 GB/s. Long runs that hold a digit
//! are rare, 20 to 1,300 a megabyte, and finding them reads 64 bytes in a few nanoseconds.
//!
//! ```
//! let mut runs = Vec::new();
//! let text = format!("a_long_name_without_any; key {}; done", "a1".repeat(20));
//! sift_shapes::value_runs(text.as_bytes(), &mut |run| {
//!     runs.push((run.start, run.end, run.digit));
//!     true
//! });
//! assert_eq!(runs, [(29, 69, true)]);
//! ```

#![allow(unsafe_code, reason = "vector instructions; each path equals the scalar one in tests")]

#[cfg(target_arch = "x86_64")]
mod avx2;
mod joints;
#[cfg(target_arch = "x86_64")]
mod joints_avx2;
mod places;
#[cfg(target_arch = "x86_64")]
mod places_avx2;
#[cfg(target_arch = "x86_64")]
mod places_avx512;
mod portable;
mod scalar;
mod walk;

pub use joints::{Bytes, Joints};
pub use places::{is_link, is_numeric, kind, Wanted, AHEAD};

/// Shortest run with a digit that is reported.
pub const SHORT: usize = 16;
/// Shortest run without one: shorter ones are every third name in source code.
pub const LONG: usize = 32;

/// A longest stretch of value bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its first byte.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// Whether it holds an ASCII digit.
    pub digit: bool,
}

/// Whether `byte` can stand in a run: an ASCII letter or digit or one of `%+-/=_~`, what keys and tokens are
/// written with. A `.` or `:` ends one, so that most addresses and dates are no long runs.
#[must_use]
pub const fn is_value_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'+' | b'-' | b'/' | b'=' | b'_' | b'~')
}

/// Calls `on_run` for each maximal run of value bytes that has at least [`LONG`] bytes, or at least
/// [`SHORT`] and a digit among them, from left to right, until it says `false`.
pub fn value_runs(text: &[u8], on_run: &mut dyn FnMut(Run) -> bool) {
    Path::best().value_runs(text, on_run);
}

/// Calls `on_place(kinds, at)` for each place that is of one of the wanted kinds, from left to right, until it
/// says `false`.
///
/// ```
/// use sift_shapes::{kind, Wanted};
///
/// let wanted = Wanted { kinds: kind::NUMBER | kind::SIGN, ..Wanted::default() };
/// let mut places = Vec::new();
/// sift_shapes::places(b"v1.2 call 555-0100 or a@b", &wanted, &mut |kinds, at| {
///     places.push((kinds, at));
///     true
/// });
/// assert_eq!(places, [(kind::NUMBER, 10), (kind::SIGN, 23)]);
/// ```
pub fn places(text: &[u8], wanted: &Wanted, on_place: &mut dyn FnMut(u8, usize) -> bool) {
    Path::best().places(text, wanted, on_place);
}

/// The joints of the 64 bytes from `at` on, no bit for what lies behind the end of the text.
///
/// ```
/// let joints = sift_shapes::joints(b"?key=a_1", 1);
/// assert_eq!(joints.ends, [0b0010_1000, 0b0000_1000, 0]);
/// assert_eq!((joints.begins, joints.digits), (0b0000_1000, 0b0100_0000));
/// ```
#[inline]
pub fn joints(text: &[u8], at: usize) -> Joints {
    Path::best().joints(text, at)
}

/// How many of the bytes right before `at`, of at most `most`, are all in the set.
///
/// ```
/// let names = sift_shapes::Bytes::new(|byte| byte.is_ascii_alphanumeric() || byte == b' ');
/// assert_eq!(sift_shapes::reach_left(b"it: api key", 11, 64, &names), 8);
/// ```
#[inline]
pub fn reach_left(text: &[u8], at: usize, most: usize, set: &Bytes) -> usize {
    Path::best().reach_left(text, at, most, set)
}

/// One of the ways to find runs and places. For tests and measurements; [`value_runs`] takes the best there is.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    Scalar,
    Portable,
    Avx2,
    Avx512,
}

impl Path {
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Portable, Self::Avx2, Self::Avx512];

    /// The quickest way on this processor. The standard library asks the processor once.
    #[inline]
    pub fn best() -> Self {
        if Self::Avx512.is_available() {
            Self::Avx512
        } else if Self::Avx2.is_available() {
            Self::Avx2
        } else {
            Self::Portable
        }
    }

    #[inline]
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar | Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                std::arch::is_x86_feature_detected!("avx2")
                    && std::arch::is_x86_feature_detected!("bmi1")
                    && std::arch::is_x86_feature_detected!("bmi2")
                    && std::arch::is_x86_feature_detected!("lzcnt")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && std::arch::is_x86_feature_detected!("avx512f")
                    && std::arch::is_x86_feature_detected!("avx512bw")
                    && std::arch::is_x86_feature_detected!("avx512vbmi")
                    && std::arch::is_x86_feature_detected!("avx512vbmi2")
                    && std::arch::is_x86_feature_detected!("gfni")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// Whether this way may use AVX2.
    #[inline]
    #[cfg(target_arch = "x86_64")]
    fn has_avx2(self) -> bool {
        matches!(self, Self::Avx2 | Self::Avx512) && Self::Avx2.is_available()
    }

    /// As [`places`]; a way that is not available is replaced by one that is.
    pub fn places(self, text: &[u8], wanted: &Wanted, on_place: &mut dyn FnMut(u8, usize) -> bool) {
        match self {
            Self::Scalar => places::scalar(text, wanted, on_place),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 if self.is_available() => {
                // SAFETY: the processor has the features that the function is compiled for.
                unsafe { places_avx512::places(text, wanted, on_place) }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 | Self::Avx512 if self.has_avx2() => {
                // SAFETY: as above.
                unsafe { places_avx2::places(text, wanted, on_place) }
            }
            Self::Portable | Self::Avx2 | Self::Avx512 => {
                places::portable(text, wanted, on_place);
            }
        }
    }

    /// As [`joints`]; a way that is not available is replaced by one that is.
    #[inline]
    pub fn joints(self, text: &[u8], at: usize) -> Joints {
        let text = text.get(at..).unwrap_or_default();
        #[cfg(target_arch = "x86_64")]
        if self.has_avx2() {
            let mut last = [0; 64];
            let block = text.first_chunk().unwrap_or_else(|| {
                last[..text.len()].copy_from_slice(text);
                &last
            });
            // SAFETY: the processor has the features that the function is compiled for.
            return unsafe { joints_avx2::joints(block) };
        }
        joints::portable(text)
    }

    /// As [`reach_left`]; a way that is not available is replaced by one that is.
    #[inline]
    pub fn reach_left(self, text: &[u8], at: usize, most: usize, set: &Bytes) -> usize {
        let text = text.get(..at).unwrap_or_default();
        #[cfg(target_arch = "x86_64")]
        if self.has_avx2() {
            let mut reach = 0;
            while reach < most {
                let left = &text[..text.len() - reach];
                let mut first = [0; 64];
                let block = left.last_chunk().unwrap_or_else(|| {
                    first[64 - left.len()..].copy_from_slice(left);
                    &first
                });
                // SAFETY: the processor has the features that the function is compiled for.
                let ones = unsafe { set.mask(block) }.leading_ones() as usize;
                reach += ones.min(left.len());
                if ones < 64 || left.len() <= 64 {
                    break;
                }
            }
            return reach.min(most);
        }
        set.last_of(&text[text.len().saturating_sub(most)..])
    }

    /// As [`value_runs`]; a way that is not available is replaced by one that is.
    pub fn value_runs(self, text: &[u8], on_run: &mut dyn FnMut(Run) -> bool) {
        match self {
            Self::Scalar => scalar::value_runs(text, on_run),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 | Self::Avx512 if self.has_avx2() => {
                // SAFETY: the processor has the features that the function is compiled for.
                unsafe { avx2::value_runs(text, on_run) }
            }
            Self::Portable | Self::Avx2 | Self::Avx512 => portable::value_runs(text, on_run),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: Path, text: &[u8]) -> Vec<Run> {
        let mut runs = Vec::new();
        path.value_runs(text, &mut |run| {
            runs.push(run);
            true
        });
        runs
    }

    /// Splitting at what ends a run: shares no line with the paths.
    fn reference(text: &[u8]) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut start = 0;
        for part in text.split(|&b| !is_value_byte(b)) {
            let digit = part.iter().any(u8::is_ascii_digit);
            if part.len() >= LONG || digit && part.len() >= SHORT {
                runs.push(Run { start, end: start + part.len(), digit });
            }
            start += part.len() + 1;
        }
        runs
    }

    fn check(text: &[u8]) {
        let expected = reference(text);
        for path in Path::ALL.into_iter().filter(|path| path.is_available()) {
            assert_eq!(found(path, text), expected, "{path:?}");
        }
    }

    #[test]
    fn every_byte_is_classed_alike_at_every_place() {
        for byte in 0..=255_u8 {
            for at in 0..130 {
                let mut text = [b'a'; 140];
                text[at] = byte;
                check(&text);
            }
        }
    }

    #[test]
    fn every_length_at_every_offset() {
        for before in 0..70 {
            for length in 7..100 {
                for digit in [0, length / 2, length - 1, length] {
                    let mut text = vec![b' '; before];
                    text.extend((0..length).map(|i| if i == digit { b'7' } else { b'Z' }));
                    check(&text);
                    text.push(b' ');
                    check(&text);
                    text.extend(b"12");
                    check(&text);
                }
            }
        }
    }

    #[test]
    fn runs_over_many_blocks() {
        for length in [63, 64, 65, 127, 128, 129, 191, 192, 193, 1000] {
            for before in [0, 1, 31, 63, 64] {
                for digit in [None, Some(0), Some(length / 2), Some(length - 1)] {
                    let mut text = vec![b','; before];
                    text.extend((0..length).map(|i| if Some(i) == digit { b'0' } else { b'/' }));
                    check(&text);
                    text.extend(b" a1");
                    check(&text);
                }
            }
        }
    }

    #[test]
    fn random_texts() {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize
        };
        for _ in 0..6_000 {
            let one_in = 2 + next() % 80;
            let letters: &[u8] =
                [&b"aZ09mN"[..], b"abcdefghijk", b"abcdefghijklmnopqrstuvwxyz4"][next() % 3];
            let length = next() % 700;
            let text: Vec<u8> = (0..length)
                .map(|_| {
                    if next() % one_in == 0 {
                        next() as u8
                    } else {
                        letters[next() % letters.len()]
                    }
                })
                .collect();
            check(&text);
        }
    }

    #[test]
    fn the_caller_can_stop() {
        let text = "a1".repeat(20) + " " + &"b2".repeat(20);
        for path in Path::ALL {
            let mut calls = 0;
            path.value_runs(text.as_bytes(), &mut |_| {
                calls += 1;
                false
            });
            assert_eq!(calls, 1);
        }
    }
}
