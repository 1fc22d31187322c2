//! The walk: which files there are, each once, shared by threads.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ignore::{DirEntry, WalkBuilder, WalkState};

use crate::read::{Outcome, Reader};
use crate::{FileError, Progress, Skip, Skipped, Summary, WalkOptions};

/// Walks `paths` and gives the bytes of each file to `on_file`.
///
/// Files and directories may be named; each file is read once, even if it is named twice, or is below
/// two of the paths. Files come in no particular order and on several threads: who needs an order sorts
/// by path afterwards.
///
/// Args:
/// - `paths`: arguments as the user wrote them. What is told of a file begins with one of them.
/// - `stop`: set it from anywhere to end the walk after the files being scanned at that moment.
/// - `progress`: is added to during the walk.
/// - `on_file`: is called with the number of the worker (less than the number of threads, one file at a
///   time each), the path, and the bytes, which are not valid UTF-8 necessarily.
///
/// What cannot be read is in [`Summary::errors`], and the rest is read all the same. A panic of `on_file`
/// ends the walk and goes on to the caller.
pub fn visit<F>(
    paths: &[PathBuf],
    options: &WalkOptions,
    stop: &AtomicBool,
    progress: &Progress,
    on_file: F,
) -> Summary
where
    F: Fn(usize, &Path, &[u8]) + Sync,
{
    let walk = Walk {
        options,
        stop,
        progress,
        on_file,
        workers: AtomicUsize::new(0),
        told: Mutex::default(),
        // Arguments are told apart by where they lead, so without links no file is met twice.
        seen: options.follow_links.then(Mutex::default),
        files: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        binary: AtomicU64::new(0),
        not_files: AtomicU64::new(0),
        listed: AtomicU64::new(0),
        met: AtomicU64::new(0),
        passed: Arc::default(),
    };
    let roots = walk.roots(paths);
    if let Some(builder) = builder(&roots, options, Arc::clone(&walk.passed)) {
        let walk = &walk;
        builder.build_parallel().run(|| {
            let mut worker = Worker { walk, number: None, reader: Reader::default() };
            Box::new(move |entry| worker.meet(entry))
        });
    }
    walk.summary()
}

/// An argument that exists.
struct Root {
    /// As it is walked and told.
    path: PathBuf,
    /// Where it leads, links resolved.
    canonical: PathBuf,
    is_directory: bool,
}

struct Walk<'w, F> {
    options: &'w WalkOptions,
    stop: &'w AtomicBool,
    progress: &'w Progress,
    on_file: F,
    workers: AtomicUsize,
    told: Mutex<Told>,
    seen: Option<Mutex<HashSet<PathBuf>>>,
    files: AtomicU64,
    bytes: AtomicU64,
    binary: AtomicU64,
    not_files: AtomicU64,
    /// Files and folders in the folders that were walked, and how many of them the walker gave: it says
    /// nothing of what ignore files name, which is the rest.
    listed: AtomicU64,
    met: AtomicU64,
    /// What was left out for another reason.
    passed: Arc<AtomicU64>,
}

#[derive(Default)]
struct Told {
    skipped: Vec<Skipped>,
    errors: Vec<FileError>,
}

impl<F> Walk<'_, F> {
    /// The arguments that can be walked, each place once.
    fn roots(&self, paths: &[PathBuf]) -> Vec<Root> {
        let mut seen = HashSet::new();
        let mut roots = Vec::new();
        for path in paths {
            let found = fs::canonicalize(path).and_then(|at| Ok((fs::metadata(&at)?, at)));
            match found {
                Err(error) => self.fail(path, &error),
                Ok((_, canonical)) if !seen.insert(canonical.clone()) => {}
                Ok((metadata, canonical)) => {
                    let is_directory = metadata.is_dir();
                    if !is_directory && !metadata.is_file() {
                        self.skip(path, Skip::NotAFile, true);
                        continue;
                    }
                    // A dash alone would mean standard input to the walker.
                    let mut path = match path.as_os_str() == "-" {
                        true => Path::new(".").join(path),
                        false => path.clone(),
                    };
                    if is_directory && path.is_symlink() {
                        // The separator at the end makes a link to a directory the directory.
                        path.push("");
                    }
                    roots.push(Root { path, canonical, is_directory });
                }
            }
        }
        roots
    }

    /// Counts what is in a folder that is walked. One that cannot be read is told of by the walker.
    fn list(&self, folder: &Path) {
        if self.options.no_ignore {
            return;
        }
        let Ok(entries) = fs::read_dir(folder) else { return };
        self.listed.fetch_add(entries.filter(Result::is_ok).count() as u64, Ordering::Relaxed);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Only pushes happen under the lock: whoever panicked left the lists whole.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cold]
    fn fail(&self, path: &Path, error: &io::Error) {
        self.progress.errors.fetch_add(1, Ordering::Relaxed);
        let error = FileError { path: path.to_path_buf(), reason: reason(error) };
        self.told().errors.push(error);
    }

    fn skip(&self, path: &Path, why: Skip, is_argument: bool) {
        let (shown, counted) = match why {
            Skip::Binary => (&self.progress.binary, Some(&self.binary)),
            Skip::NotAFile => (&self.progress.not_files, Some(&self.not_files)),
            Skip::TooLarge(_) => (&self.progress.too_large, None),
        };
        shown.fetch_add(1, Ordering::Relaxed);
        counted.inspect(|count| _ = count.fetch_add(1, Ordering::Relaxed));
        if is_argument || matches!(why, Skip::TooLarge(_)) {
            self.told().skipped.push(Skipped { path: path.to_path_buf(), why });
        }
    }

    fn summary(self) -> Summary {
        let told = self.told.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut summary = Summary {
            files: self.files.into_inner(),
            bytes: self.bytes.into_inner(),
            binary: self.binary.into_inner(),
            not_files: self.not_files.into_inner(),
            // Of folders that change meanwhile this is a guess, and never less than none.
            ignored: self
                .listed
                .into_inner()
                .saturating_sub(self.met.into_inner())
                .saturating_sub(self.passed.load(Ordering::Relaxed)),
            skipped: told.skipped,
            errors: told.errors,
            stopped: self.stop.load(Ordering::Relaxed),
        };
        summary.skipped.sort_unstable();
        summary.errors.sort_unstable();
        summary
    }
}

/// The walker of `roots`; `None` if there is nothing to walk.
fn builder(roots: &[Root], options: &WalkOptions, passed: Arc<AtomicU64>) -> Option<WalkBuilder> {
    let (first, rest) = roots.split_first()?;
    let mut builder = WalkBuilder::new(&first.path);
    for root in rest {
        builder.add(&root.path);
    }
    let files_only = roots.iter().all(|root| !root.is_directory);
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    builder
        .threads(if files_only { threads.min(roots.len()) } else { threads })
        .hidden(!options.hidden)
        .follow_links(options.follow_links)
        .ignore(!options.no_ignore)
        .git_ignore(!options.no_ignore)
        .git_global(!options.no_ignore)
        .git_exclude(!options.no_ignore)
        .parents(!options.no_ignore);

    // A path below another argument is left to the argument that names it: it may be ignored on the way
    // and is scanned all the same, and must not come twice. Names are compared first, because asking the
    // file system about every entry would cost more than reading small ones.
    let arguments: HashSet<PathBuf> = match rest.is_empty() {
        true => HashSet::new(),
        false => roots.iter().map(|root| root.canonical.clone()).collect(),
    };
    let names: HashSet<OsString> =
        arguments.iter().filter_map(|path| path.file_name()).map(OsString::from).collect();
    let is_argument = move |entry: &DirEntry| {
        names.contains(entry.file_name())
            && !entry.path_is_symlink()
            && fs::canonicalize(entry.path()).is_ok_and(|path| arguments.contains(&path))
    };
    builder.filter_entry(move |entry| {
        let taken = entry.depth() == 0 || (entry.file_name() != ".git" && !is_argument(entry));
        if !taken {
            passed.fetch_add(1, Ordering::Relaxed);
        }
        taken
    });
    Some(builder)
}

struct Worker<'w, F> {
    walk: &'w Walk<'w, F>,
    /// Given with the first file: the walker makes more workers than it sets to work.
    number: Option<usize>,
    reader: Reader,
}

impl<F: Fn(usize, &Path, &[u8])> Worker<'_, F> {
    fn meet(&mut self, entry: Result<DirEntry, ignore::Error>) -> WalkState {
        if self.walk.stop.load(Ordering::Relaxed) {
            return WalkState::Quit;
        }
        match entry {
            Err(error) => self.fail(None, &error),
            Ok(entry) => self.enter(&entry),
        }
        WalkState::Continue
    }

    fn enter(&mut self, entry: &DirEntry) {
        let walk = self.walk;
        let is_argument = entry.depth() == 0;
        let path = entry.path();
        if !is_argument {
            walk.met.fetch_add(1, Ordering::Relaxed);
        }
        // An argument has been found to lead to a file or directory; others are what they are.
        let kind = match is_argument {
            true => fs::metadata(path).map(|metadata| metadata.file_type()),
            false => entry.file_type().ok_or_else(|| io::ErrorKind::NotFound.into()),
        };
        match kind {
            Err(error) => return walk.fail(path, &error),
            Ok(kind) if kind.is_dir() => return walk.list(path),
            Ok(kind) if !kind.is_file() => return walk.skip(path, Skip::NotAFile, is_argument),
            Ok(_) => {}
        }
        if let Some(seen) = &walk.seen {
            match fs::canonicalize(path) {
                Err(error) => return walk.fail(path, &error),
                Ok(canonical) => {
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    if !seen.insert(canonical) {
                        return;
                    }
                }
            }
        }
        match self.reader.read(path, walk.options) {
            Err(error) => walk.fail(path, &error),
            Ok(Outcome::Skip(why)) => walk.skip(path, why, is_argument),
            Ok(Outcome::Bytes(bytes)) => {
                let number = *self
                    .number
                    .get_or_insert_with(|| walk.workers.fetch_add(1, Ordering::Relaxed));
                (walk.on_file)(number, path, bytes);
                let length = bytes.len() as u64;
                walk.files.fetch_add(1, Ordering::Relaxed);
                walk.bytes.fetch_add(length, Ordering::Relaxed);
                walk.progress.files.fetch_add(1, Ordering::Relaxed);
                walk.progress.bytes.fetch_add(length, Ordering::Relaxed);
            }
        }
    }

    /// Tells what the walker could not do. A broken line in an ignore file is nothing the scan lacks:
    /// more is scanned for it, not less.
    #[cold]
    fn fail(&self, path: Option<&Path>, error: &ignore::Error) {
        use ignore::Error;
        match error {
            Error::WithPath { path, err } => self.fail(Some(path), err),
            Error::WithDepth { err, .. } | Error::WithLineNumber { err, .. } => {
                self.fail(path, err)
            }
            Error::Io(error) => self.walk.fail(path.unwrap_or(Path::new("")), error),
            Error::Loop { child, .. } => {
                let error = io::Error::other("the link leads back to a directory above it");
                self.walk.fail(child, &error);
            }
            _ => {}
        }
    }
}

/// An I/O error in plain words.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or directory".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::NotADirectory => "a part of the path is not a directory".into(),
        io::ErrorKind::OutOfMemory => "it does not fit into memory".into(),
        io::ErrorKind::Other => error.to_string(),
        kind => kind.to_string(),
    }
}
