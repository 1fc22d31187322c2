//! What can go wrong. Messages name patterns by position and id, never by text, and never the text
//! that was scanned.

use crate::pattern::CpuFeatures;

/// The engine is not there, not the right one, or failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// This build holds no engine.
    #[error(
        "this build has no Hyperscan: install libhyperscan-dev and build again, or use the automata \
         engine"
    )]
    Unavailable,
    /// The linked engine is the fork that misses matches.
    #[error("the linked engine is Vectorscan {version}, which misses matches on x86: link Hyperscan 5.4.0 to 5.4.2")]
    Vectorscan {
        /// What the engine says its version is.
        version: String,
    },
    /// The linked engine has another version.
    #[error("the linked engine is version `{version}`: link Hyperscan 5.4.0 to 5.4.2")]
    Version {
        /// What the engine says its version is.
        version: String,
    },
    /// The processor lacks what every build of the engine needs.
    #[error(
        "this processor lacks the SSSE3 instructions that Hyperscan needs: use the automata engine"
    )]
    Processor,
    /// No memory.
    #[error("out of memory in `{call}`")]
    Memory {
        /// The call that failed.
        call: &'static str,
    },
    /// A call failed for a reason that this crate rules out.
    #[error("`{call}` of the pattern engine failed with code {code}")]
    Engine {
        /// The call that failed.
        call: &'static str,
        /// The engine's code, `HS_*` in `hs_common.h`.
        code: i32,
    },
}

/// A set of patterns was not compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// One pattern is to blame.
    #[error("pattern {index} (id {id}) was not compiled: {message}")]
    Pattern {
        /// Its position in the slice that was compiled.
        index: usize,
        /// Its id.
        id: u32,
        /// Why, in the engine's words.
        message: String,
    },
    /// The set as a whole was refused.
    #[error("the set of {patterns} patterns was not compiled: {message}")]
    Set {
        /// How many patterns it has.
        patterns: usize,
        /// Why, in the engine's words.
        message: String,
    },
    /// Not for the patterns' sake.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl CompileError {
    /// The position of the pattern to blame, if there is one.
    #[must_use]
    pub fn pattern_index(&self) -> Option<usize> {
        match self {
            CompileError::Pattern { index, .. } => Some(*index),
            _ => None,
        }
    }

    /// The id of the pattern to blame, if there is one.
    #[must_use]
    pub fn pattern_id(&self) -> Option<u32> {
        match self {
            CompileError::Pattern { id, .. } => Some(*id),
            _ => None,
        }
    }
}

/// A serialized database was not loaded. All but `Engine` mean: compile again and replace it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes do not begin as an envelope of this crate.
    #[error("not a serialized pattern database: compile it again")]
    Foreign,
    /// The envelope has another layout.
    #[error("the serialized database has format {found} and this build reads {expected}: compile it again")]
    Format {
        /// Its format.
        found: u32,
        /// The format of this build.
        expected: u32,
    },
    /// Fewer or more bytes than the envelope says.
    #[error("the serialized database has {found} bytes and should have {expected}: it was cut or extended, compile it again")]
    Length {
        /// Bytes that are there.
        found: u64,
        /// Bytes that should be there, as far as they could be read.
        expected: u64,
    },
    /// The digest does not fit the bytes.
    #[error("the serialized database is damaged, its digest does not fit: compile it again")]
    Damaged,
    /// Made by another engine.
    #[error("the serialized database was made by engine `{found}` and this is `{expected}`: compile it again")]
    EngineVersion {
        /// The version string of the engine that made it.
        found: String,
        /// The version string of this engine.
        expected: String,
    },
    /// Made for a wider processor.
    #[error(
        "the serialized database needs {missing}, which this processor lacks: compile it again"
    )]
    Processor {
        /// What is missing here.
        missing: CpuFeatures,
    },
    /// The engine refused the content, or there is none.
    #[error(transparent)]
    Engine(#[from] Error),
}

/// A scan did not run to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// Offsets of the engine are 32 bits wide.
    #[error("a text of {length} bytes is too long for one scan: split it below 4 GiB")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// The guard's pool was not made for this database.
    #[error("the scratch pool was not made for this database: name it in `ScratchPool::new`")]
    ForeignScratch,
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] Error),
}
