//! Safe wrapper of Intel Hyperscan 5.4: many patterns at once over a block of bytes.
//!
//! This crate knows patterns and match ends, not rules and findings. A [`Database`] is compiled once
//! and shared between threads; a [`ScratchPool`] lends each scan its working memory; a scan calls back
//! with `(pattern id, end offset)`, and the callback may stop it, which is how callers put deadlines
//! and match caps on a scan.
//!
//! Where the engine was not there at build time everything compiles, [`available`] is `false`, and
//! what would need the engine answers `Unavailable`. Nothing here panics for want of an engine.
//!
//! ```
//! use sift_hs::{Control, Database, Flags, Pattern, Platform, ScratchPool};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # if !sift_hs::available() { return Ok(()); }
//! let patterns = [
//!     Pattern { expression: r"ab+c", id: 7, flags: Flags::DOTALL },
//!     Pattern { expression: r"\d{3}", id: 8, flags: Flags::NONE },
//! ];
//! let database = Database::compile(&patterns, Platform::Native)?;
//! let pool = ScratchPool::new(&[&database])?;
//!
//! let mut ends = Vec::new();
//! database.scan(&mut pool.get()?, b"abbc 123", |id, end| {
//!     ends.push((id, end));
//!     Control::Continue
//! })?;
//! ends.sort_unstable();
//! assert_eq!(ends, [(7, 4), (8, 8)]);
//! # Ok(())
//! # }
//! ```
//!
//! # What a scan reports
//!
//! Every offset at which some match of the pattern ends, not only leftmost or longest ones: `ab*` on
//! `abb` ends at 1, 2 and 3. A pattern that may match nothing under a condition (`x|$`) is reported
//! where it does. `^` with [`Flags::MULTILINE`] follows PCRE: no line starts behind a newline that ends
//! the text, where `regex-syntax` sees one; patterns that consume something behind their `^` do not
//! feel it.
//!
//! The engine promises neither the order of its reports nor that each comes once; of random sets and
//! texts, one scan in 17 reported out of order. Starts are not reported: finding them costs 1.1 to 6 times the scan, and a bounded second look at
//! the few hits costs next to nothing.
//!
//! # Threads and fork
//!
//! `Database` and `ScratchPool` are `Sync`. After `fork` the child may go on scanning with both; see
//! [`ScratchPool`] for why that is safe.
#![allow(
    unsafe_code,
    reason = "the wrapper of a C library; foreign calls stay in `engine::hyperscan`, raw pointers there \
              and in `slots`"
)]

mod database;
mod engine;
mod envelope;
mod error;
mod pattern;
mod scratch;
mod slots;

pub use crate::database::{Control, Database, Outcome};
pub use crate::error::{CompileError, Error, LoadError, ScanError};
pub use crate::pattern::{CpuFeatures, Flags, Pattern, Platform};
pub use crate::scratch::{ScratchGuard, ScratchPool};

/// Whether this build holds an engine. Says nothing about the processor; [`verify`] does.
#[must_use]
pub fn available() -> bool {
    engine::AVAILABLE
}

/// The engine's own version string, as `5.4.0 2021-01-26`; `None` without an engine.
#[must_use]
pub fn version() -> Option<String> {
    engine::version()
}

/// What this processor offers to a database compiled for [`Platform::Native`].
///
/// # Errors
///
/// [`Error::Unavailable`], or what the engine says.
pub fn host_cpu() -> Result<CpuFeatures, Error> {
    engine::host().map(|host| CpuFeatures::from_bits(host.cpu_features))
}

/// Checks, once at start-up, that the linked engine may be used here: it is there, it is Hyperscan
/// 5.4.0 to 5.4.2, and the processor has the instructions that it needs (SSSE3).
///
/// # Errors
///
/// [`Error::Unavailable`], [`Error::Vectorscan`], [`Error::Version`] or [`Error::Processor`].
pub fn verify() -> Result<(), Error> {
    let version = version().ok_or(Error::Unavailable)?;
    check_version(&version)?;
    engine::valid_platform()
}

/// First version that is accepted and first that is not. `build/archive.rs` of `sift-hs-sys` has the
/// same bounds for the archive that is linked; this is the check of what really got linked.
const ACCEPTED: ((u32, u32, u32), (u32, u32, u32)) = ((5, 4, 0), (5, 4, 3));

fn check_version(text: &str) -> Result<(), Error> {
    let wrong = || Error::Version { version: text.to_owned() };
    let numbers = text.split(' ').next().unwrap_or_default();
    let mut parts = numbers.split('.').map(|part| part.parse::<u32>().ok());
    let (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong());
    };
    let version = (major, minor, patch);
    if text.to_ascii_lowercase().contains("vectorscan")
        || (version >= ACCEPTED.1 && (major, minor) == (5, 4))
    {
        // Hyperscan's open versions end at 5.4.2; Vectorscan counts on from there.
        return Err(Error::Vectorscan { version: text.to_owned() });
    }
    if version < ACCEPTED.0 || version >= ACCEPTED.1 {
        return Err(wrong());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert!(check_version("5.4.0 2021-01-26").is_ok());
        assert!(check_version("5.4.2 2023-04-19").is_ok());
        assert!(check_version("5.4.1").is_ok());
        for text in ["5.4.3 ", "5.4.9 ", "5.4.12 2025-01-01", "5.4.1 vectorscan"] {
            assert!(matches!(check_version(text), Err(Error::Vectorscan { .. })), "{text}");
        }
        for text in ["", "5.4", "5.3.9 x", "5.5.0 x", "6.0.0", "5.4.0.1", "5.4.x", "4.7.0"] {
            assert!(matches!(check_version(text), Err(Error::Version { .. })), "{text}");
        }
    }
}
