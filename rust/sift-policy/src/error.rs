//! Why a policy could not be loaded.

use std::path::PathBuf;

/// A policy that is not taken. The policy in force stays in force.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Io {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something in the folder of policies is none, and may be one that was meant to hold.
    #[error("{path} is no policy: name it `*.cedar`, or take it out of the folder", path = path.display())]
    NoPolicy {
        /// What is there.
        path: PathBuf,
    },
    /// The manifest is not TOML of the documented form.
    #[error("tools.toml: {0}")]
    Manifest(String),
    /// An entry of the manifest is refused.
    #[error("tools.toml, tool `{tool}`: {problem}")]
    Tool {
        /// Name of the tool.
        tool: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A policy file is not Cedar.
    #[error("{file}: {problem}")]
    Parse {
        /// Name of the file.
        file: String,
        /// What Cedar's parser says.
        problem: String,
    },
    /// A policy is refused.
    #[error("{file}, policy `{policy}`: {problem}")]
    Policy {
        /// Name of the file.
        file: String,
        /// Its `@id`, or its number in the file.
        policy: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Policies do not fit the schema that the manifest gives.
    #[error("policies do not fit the manifest: {}", .0.join("; "))]
    Validation(
        /// One line per problem, each begins with the policy's id.
        Vec<String>,
    ),
    /// Something is larger than a policy may be.
    #[error("{what} is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}
