//! `FileScan`: a scan of files for the command line. Walking, reading, scanning and placing happen on the
//! walk's own threads with the interpreter's lock released; Python sees the result, and numbers meanwhile.

use std::ffi::OsString;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use sift_files::{visit, Progress, Skip, Summary, WalkOptions};
use sift_rules::RuleSet;
use sift_text::decode::Chain;

use crate::findings::{chain, widen};
use crate::scanner::Scanner;
use crate::{door, errors};

mod place;

use place::{fingerprint, Ignored, Place, Places, Prefixes};

/// A scan of files, once. `run` blocks; `progress` and `stop` are for another thread.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct FileScan {
    scanner: Arc<sift_scan::Scanner>,
    paths: Vec<PathBuf>,
    /// A text that comes from elsewhere, with the name it has in the report.
    text: Option<(PathBuf, Vec<u8>)>,
    options: WalkOptions,
    inline_ignore: bool,
    salt: Option<Vec<u8>>,
    prefixes: Vec<Prefixes>,
    stop: AtomicBool,
    progress: Progress,
    findings: AtomicU64,
    reports: Mutex<Vec<Report>>,
    summary: Mutex<Summary>,
}

/// What there is to say of one file.
struct Report {
    path: PathBuf,
    findings: Vec<Found>,
    error: Option<String>,
    incomplete: Vec<&'static str>,
}

struct Found {
    rule: u32,
    start: usize,
    end: usize,
    score: f32,
    from: Place,
    to: Place,
    preview: String,
    decoded: Chain,
    fingerprint: Option<[u8; 32]>,
    ignored: bool,
}

impl FileScan {
    fn reports(&self) -> MutexGuard<'_, Vec<Report>> {
        // Only whole reports are pushed under the lock.
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn summary(&self) -> MutexGuard<'_, Summary> {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let summary =
            visit(&self.paths, &self.options, &self.stop, &self.progress, |_, path, bytes| {
                self.look(path, bytes);
            });
        if let (Some((name, text)), false) = (&self.text, summary.stopped) {
            self.progress.files.fetch_add(1, Ordering::Relaxed);
            self.progress.bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
            self.look(name, text);
        }
        let mut reports = self.reports();
        for error in &summary.errors {
            reports.push(Report {
                path: error.path.clone(),
                findings: Vec::new(),
                error: Some(error.reason.clone()),
                incomplete: Vec::new(),
            });
        }
        reports.sort_by(|a, b| a.path.as_os_str().cmp(b.path.as_os_str()));
        drop(reports);
        *self.summary() = summary;
    }

    /// Scans one file and keeps what there is to say of it.
    fn look(&self, path: &Path, text: &[u8]) {
        let report = match self.scanner.scan(text) {
            Ok(scan) if scan.findings.is_empty() && scan.incomplete.is_empty() => return,
            Ok(scan) => {
                self.findings.fetch_add(scan.findings.len() as u64, Ordering::Relaxed);
                Report {
                    path: plain(path),
                    findings: self.placed(text, &scan.findings),
                    error: None,
                    incomplete: scan.incomplete.names().collect(),
                }
            }
            Err(error) => Report {
                path: plain(path),
                findings: Vec::new(),
                error: Some(error.to_string()),
                incomplete: Vec::new(),
            },
        };
        self.reports().push(report);
    }

    fn placed(&self, text: &[u8], findings: &[sift_scan::Finding]) -> Vec<Found> {
        let rules = self.scanner.rules().rules();
        let (mut places, mut ignored) = (Places::new(text), Ignored::new(text));
        let place = |finding: &sift_scan::Finding| {
            let rule = rules.get(finding.rule as usize)?;
            let value = text.get(finding.start..finding.end)?;
            let (from, to) = (places.of(finding.start), places.of(finding.end));
            let ids: Vec<&str> =
                std::iter::once(&rule.id).chain(&rule.aliases).map(String::as_str).collect();
            // Asked of every finding: what it says of a line depends on those before.
            let covered = ignored.covers(finding.start, from.line, to.line, &ids);
            Some(Found {
                rule: finding.rule,
                start: finding.start,
                end: finding.end,
                score: finding.score,
                from,
                to,
                // Of an encoded value no part is the fixed prefix of its format.
                preview: self.prefixes.get(finding.rule as usize)?.preview(value),
                decoded: finding.decoded,
                fingerprint: self.salt.as_ref().map(|salt| fingerprint(salt, &rule.id, value)),
                ignored: self.inline_ignore && covered,
            })
        };
        findings.iter().filter_map(place).collect()
    }
}

/// A path below `.` without the dot, as people write it.
fn plain(path: &Path) -> PathBuf {
    match path.strip_prefix(".") {
        Ok(rest) if !rest.as_os_str().is_empty() => rest.to_path_buf(),
        _ => path.to_path_buf(),
    }
}

fn prefixes(rules: &RuleSet) -> Vec<Prefixes> {
    let of = |format: &String| Prefixes::of(format);
    rules.rules().iter().map(|rule| rule.format.as_ref().map(of).unwrap_or_default()).collect()
}

/// Texts below `paths` in the order of a walk with one thread, until they are `most` bytes together.
///
/// Errors: the first path that cannot be read.
pub(crate) fn texts(
    paths: &[PathBuf],
    options: &WalkOptions,
    most: usize,
) -> PyResult<Vec<Vec<u8>>> {
    let options = WalkOptions { threads: 1, ..options.clone() };
    let (stop, gathered) = (AtomicBool::new(most == 0), Mutex::new((Vec::new(), most)));
    let summary = visit(paths, &options, &stop, &Progress::default(), |_, _, bytes| {
        let mut gathered = gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let (texts, left) = &mut *gathered;
        let part = bytes.get(..*left).unwrap_or(bytes);
        if !part.is_empty() {
            texts.push(part.to_vec());
            *left -= part.len();
        }
        stop.store(*left == 0, Ordering::Relaxed);
    });
    if let Some(error) = summary.errors.first() {
        let path = error.path.display();
        return Err(errors::config(format!("`{path}` cannot be read: {}", error.reason)));
    }
    Ok(gathered.into_inner().unwrap_or_else(PoisonError::into_inner).0)
}

#[pymethods]
impl FileScan {
    #[new]
    #[pyo3(
        signature = (scanner, paths, *, text=None, ignore_files=true, inline_ignore=true, max_size=None,
                     threads=None, salt=None),
        text_signature = "(scanner, paths, *, text=None, ignore_files=True, inline_ignore=True, max_size=None, \
                          threads=None, salt=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of one constructor")]
    fn new(
        scanner: &Bound<'_, Scanner>,
        paths: Vec<PathBuf>,
        text: Option<(PathBuf, Vec<u8>)>,
        ignore_files: bool,
        inline_ignore: bool,
        max_size: Option<u64>,
        threads: Option<usize>,
        salt: Option<Vec<u8>>,
    ) -> Self {
        let scanner = Arc::clone(scanner.get().core());
        let default = WalkOptions::default();
        let options = WalkOptions {
            no_ignore: !ignore_files,
            max_file_bytes: max_size.unwrap_or(default.max_file_bytes),
            threads: threads.unwrap_or(default.threads),
            ..default
        };
        Self {
            prefixes: prefixes(scanner.rules()),
            scanner,
            paths,
            text,
            options,
            inline_ignore,
            salt,
            stop: AtomicBool::new(false),
            progress: Progress::default(),
            findings: AtomicU64::new(0),
            reports: Mutex::default(),
            summary: Mutex::default(),
        }
    }

    /// Scans everything. Blocks with the interpreter's lock released, and hears no signals: call it on a
    /// thread of its own and watch it from the main one.
    fn run(&self, py: Python<'_>) -> PyResult<()> {
        // The walk and the reports outlive no panic; its message is not passed on.
        py.detach(|| catch_unwind(AssertUnwindSafe(|| self.work()))).map_err(|_| door::broken())
    }

    /// Ends the run after the files that are being scanned at this moment.
    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Files, bytes and findings so far.
    fn progress(&self) -> (u64, u64, u64) {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (read(&self.progress.files), read(&self.progress.bytes), read(&self.findings))
    }

    /// Numbers of the whole run.
    fn totals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (files, bytes, findings) = self.progress();
        let skipped = PyDict::new(py);
        skipped.set_item("binary", self.progress.binary.load(Ordering::Relaxed))?;
        skipped.set_item("too large", self.progress.too_large.load(Ordering::Relaxed))?;
        skipped.set_item("no regular files", self.progress.not_files.load(Ordering::Relaxed))?;
        let totals = PyDict::new(py);
        totals.set_item("files", files)?;
        totals.set_item("bytes", bytes)?;
        totals.set_item("findings", findings)?;
        totals.set_item("skipped", skipped)?;
        totals.set_item("ignored", self.summary().ignored)?;
        Ok(totals)
    }

    /// Path and reason of each skipped file that was named by the caller or is too large.
    fn skipped(&self) -> Vec<(OsString, String)> {
        let why = |why: Skip| match why {
            Skip::Binary => "it is binary, or UTF-16 without a byte order mark, to be \
                             converted to UTF-8 first"
                .to_owned(),
            Skip::NotAFile => "it is no regular file".to_owned(),
            Skip::TooLarge(bytes) => {
                format!("it has {bytes} bytes, more than `--max-size` allows")
            }
        };
        let summary = self.summary();
        summary
            .skipped
            .iter()
            .map(|one| (plain(&one.path).into_os_string(), why(one.why)))
            .collect()
    }

    /// The files that there is something to say of, sorted by path. Given away: a second call has none.
    fn files(&self, py: Python<'_>) -> PyResult<Vec<FileReport>> {
        let reports = std::mem::take(&mut *self.reports());
        let report = |report: Report| {
            let findings = report.findings.into_iter().map(FileFinding);
            let findings = findings.map(|one| Py::new(py, one)).collect::<PyResult<Vec<_>>>()?;
            Ok(FileReport {
                path: report.path.into_os_string(),
                findings: PyTuple::new(py, findings)?.unbind(),
                error: report.error,
                incomplete: report.incomplete,
            })
        };
        reports.into_iter().map(report).collect()
    }

    /// Texts that the scan would read, `most` bytes at most together.
    fn texts<'py>(&self, py: Python<'py>, most: usize) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let texts = py.detach(|| texts(&self.paths, &self.options, most))?;
        Ok(texts.iter().map(|text| PyBytes::new(py, text)).collect())
    }

    fn __repr__(&self) -> String {
        let (files, bytes, findings) = self.progress();
        format!("FileScan({files} files, {bytes} bytes, {findings} findings)")
    }
}

/// What there is to say of one file.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct FileReport {
    path: OsString,
    findings: Py<PyTuple>,
    error: Option<String>,
    incomplete: Vec<&'static str>,
}

#[pymethods]
impl FileReport {
    #[getter]
    fn path(&self) -> &OsString {
        &self.path
    }

    /// In text order.
    #[getter]
    fn findings(&self, py: Python<'_>) -> Py<PyTuple> {
        self.findings.clone_ref(py)
    }

    /// Why it could not be read or scanned.
    #[getter]
    fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Limits that were hit.
    #[getter]
    fn incomplete<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.incomplete)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("FileReport({} findings)", self.findings.bind(py).len())
    }
}

/// One finding in a file. Holds no byte of what was found but the fixed prefix of its format.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct FileFinding(Found);

#[pymethods]
impl FileFinding {
    /// Position in the scanner's rules.
    #[getter]
    fn rule(&self) -> u32 {
        self.0.rule
    }

    /// Offset in bytes.
    #[getter]
    fn start(&self) -> usize {
        self.0.start
    }

    /// One past the last byte.
    #[getter]
    fn end(&self) -> usize {
        self.0.end
    }

    #[getter]
    fn score(&self) -> f64 {
        widen(self.0.score)
    }

    #[getter]
    fn line(&self) -> usize {
        self.0.from.line
    }

    #[getter]
    fn column(&self) -> usize {
        self.0.from.column
    }

    #[getter]
    fn utf16_column(&self) -> usize {
        self.0.from.utf16_column
    }

    #[getter]
    fn end_line(&self) -> usize {
        self.0.to.line
    }

    #[getter]
    fn end_column(&self) -> usize {
        self.0.to.column
    }

    #[getter]
    fn utf16_end_column(&self) -> usize {
        self.0.to.utf16_column
    }

    #[getter]
    fn preview(&self) -> &str {
        &self.0.preview
    }

    /// How it was encoded, outermost first.
    #[getter]
    fn decoded<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        chain(py, self.0.decoded)
    }

    /// With a salt only.
    #[getter]
    fn fingerprint<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.0.fingerprint.as_ref().map(|bytes| PyBytes::new(py, bytes))
    }

    /// Whether a mark in the text asks to pass over it.
    #[getter]
    fn ignored(&self) -> bool {
        self.0.ignored
    }

    fn __repr__(&self) -> String {
        let (rule, line, column) = (self.0.rule, self.0.from.line, self.0.from.column);
        format!("FileFinding(rule={rule}, line={line}, column={column})")
    }
}
