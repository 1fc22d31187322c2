//! Finds and reads the files that a scan of directories is about.
//!
//! [`visit`] walks as git would: what `.gitignore` names is left out, so is `.git`, so are binary files.
//! Walking and reading are shared by threads, each with a buffer that it uses again for the next file;
//! the caller's function is called with the bytes. This crate knows no rule and prints nothing: what it
//! left out and what it could not read is in the [`Summary`].
//!
//! ```
//! use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
//! use sift_files::{visit, Progress, WalkOptions};
//!
//! # let directory = tempfile::tempdir()?;
//! # std::fs::write(directory.path().join("a.txt"), "one\ntwo\n")?;
//! let lines = AtomicU64::new(0);
//! let summary = visit(
//!     &[directory.path().to_path_buf()],
//!     &WalkOptions::default(),
//!     &AtomicBool::new(false),
//!     &Progress::default(),
//!     |_worker, _path, bytes| {
//!         let feeds = bytes.iter().filter(|&&byte| byte == b'\n').count();
//!         lines.fetch_add(feeds as u64, Ordering::Relaxed);
//!     },
//! );
//! assert_eq!((summary.files, lines.into_inner()), (1, 2));
//! assert!(summary.errors.is_empty());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What is left out
//!
//! | what | why | told in |
//! |---|---|---|
//! | what ignore files name, `.git` | not part of the project | nothing |
//! | files with a NUL in their first 8,000 bytes | binary, as git decides; UTF-16 text is a known miss | a number |
//! | files larger than the limit | [`WalkOptions::max_file_bytes`] | each by name |
//! | devices, sockets, pipes | reading them blocks or never ends; they are not opened | a number |
//! | links met on the way | their targets are walked where they are; see [`WalkOptions::follow_links`] | a number |
//!
//! Whatever the caller names as an argument itself is scanned even if ignored or hidden, a link is
//! followed there, and if it is left out after all, that is told by name.

mod read;
mod walk;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

pub use walk::visit;

/// What to walk and what to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkOptions {
    /// Scan files and directories whose names begin with a dot. On: git tracks them, and `.env` is where
    /// secrets are. `.git` itself is left out always, unless it is an argument.
    pub hidden: bool,
    /// Scan what `.gitignore`, `.ignore`, `.git/info/exclude` and git's global excludes name. Off.
    pub no_ignore: bool,
    /// Largest file that is read, in bytes. 16 MiB. Each thread keeps a buffer of the largest it has read.
    pub max_file_bytes: u64,
    /// Number of threads; 0 for as many as the machine runs at once.
    pub threads: usize,
    /// Scan files that look binary. Off.
    pub include_binary: bool,
    /// Follow links met on the way. Off, as in git. A file that is reached in two ways is read once.
    pub follow_links: bool,
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self {
            hidden: true,
            no_ignore: false,
            max_file_bytes: 16 << 20,
            threads: 0,
            include_binary: false,
            follow_links: false,
        }
    }
}

/// Why a file was not scanned though it could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// It has a NUL in its first 8,000 bytes.
    Binary,
    /// It is this many bytes long, more than the limit.
    TooLarge(u64),
    /// It is a device, a socket, a pipe, or a link that is not followed.
    NotAFile,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binary => f.write_str("binary"),
            Self::TooLarge(bytes) => write!(f, "larger than the limit: {bytes} bytes"),
            Self::NotAFile => f.write_str("not a regular file"),
        }
    }
}

/// A file that was not scanned though it could be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// The path as it was reached: an argument, or below one.
    pub path: PathBuf,
    /// Why.
    pub why: Skip,
}

/// Something that could not be read. The walk went on without it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileError {
    /// The path as it was reached: an argument, or below one.
    pub path: PathBuf,
    /// What went wrong, in plain words.
    pub reason: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not read `{}`: {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for FileError {}

/// Numbers that grow during a walk, for whoever shows how far it is. Nobody knows the total before the
/// end: walking and reading go together.
#[derive(Debug, Default)]
pub struct Progress {
    /// Files given to the caller's function.
    pub files: AtomicU64,
    /// Bytes of those files.
    pub bytes: AtomicU64,
    /// Files left out as binary.
    pub binary: AtomicU64,
    /// Files left out as too large.
    pub too_large: AtomicU64,
    /// Devices, sockets, pipes, and links not followed.
    pub not_files: AtomicU64,
    /// Files and directories that could not be read.
    pub errors: AtomicU64,
}

/// What a walk did. Lists are sorted by path, so they are the same however threads took turns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files given to the caller's function.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
    /// Files left out as binary.
    pub binary: u64,
    /// Devices, sockets, pipes, and links not followed.
    pub not_files: u64,
    /// Files and directories that ignore files name: what is in such a directory is not counted. 0 with
    /// [`WalkOptions::no_ignore`], and beside another argument one that is itself an argument counts too.
    pub ignored: u64,
    /// Every file that is too large, and every argument that was left out.
    pub skipped: Vec<Skipped>,
    /// What could not be read.
    pub errors: Vec<FileError>,
    /// Whether the walk was stopped before its end.
    pub stopped: bool,
}
