//! `Stream`: a redaction in pieces. Offsets of findings are those of the whole input, so this file keeps
//! as much of where the multi-byte characters stood as findings still to come may need.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, TryLockError};

use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};
use sift_redact::{Escape, Plan, Register, Writer};
use sift_scan::{Finding as Found, Incomplete, Sink, EDIT_SCORE};
use sift_text::{count_chars, Patch};

use crate::findings::{names, Findings, Table};
use crate::redact::{edit, restored, write, Terms};
use crate::scanner::{Empties, Scanner};
use crate::text::{to_object, Text, Unit};
use crate::{door, errors};

/// A text that arrives in pieces.
#[pyclass(frozen, weakref, module = "sift_fast._core")]
pub(crate) struct Stream {
    table: Arc<Table>,
    empty: Empties,
    scanner: Arc<sift_scan::Scanner>,
    terms: Terms,
    state: Mutex<State>,
}

struct State {
    core: sift_scan::Stream,
    /// Fixed by the first piece.
    unit: Option<Unit>,
    finished: bool,
    ledger: Ledger,
    writer: Writer,
    /// Numbers of values where there is no vault.
    numbers: Register,
    /// Where there is one.
    escape: Option<Escape>,
    found: Vec<Found>,
    incomplete: Incomplete,
    /// What kind of exception ended it.
    cause: Option<String>,
}

/// Where things stood in the input, as far back as it can matter.
struct Ledger {
    /// Bytes read.
    read: usize,
    /// Offsets of continuation bytes that are not settled: each is a byte that begins no code point.
    inside: VecDeque<usize>,
    /// How many were settled.
    settled: usize,
    /// Lone surrogates that are not settled.
    patches: Vec<Patch>,
    /// The finding whose edit is out and whose end is not known yet.
    open: Option<Open>,
    /// Most bytes that a finding reports.
    finding_bytes: usize,
}

/// Start and farthest end of a finding, in bytes and in code points.
struct Open {
    at: usize,
    start: usize,
    /// Known once it would be settled: an endless body must not keep the ledger from forgetting.
    farthest: Option<usize>,
}

impl Ledger {
    fn new(finding_bytes: usize) -> Self {
        Self {
            read: 0,
            inside: VecDeque::new(),
            settled: 0,
            patches: Vec::new(),
            open: None,
            finding_bytes,
        }
    }

    fn read(&mut self, piece: &[u8], unit: Unit, patches: Vec<Patch>) {
        if unit == Unit::CodePoint && !piece.is_ascii() {
            let inside = |(at, byte): (usize, &u8)| (byte & 0xc0 == 0x80).then_some(self.read + at);
            self.inside.extend(piece.iter().enumerate().filter_map(inside));
        }
        self.patches.extend(patches.into_iter().map(|(at, bytes)| (self.read + at, bytes)));
        self.read += piece.len();
    }

    /// An offset in bytes as an offset in code points.
    fn point(&self, at: usize) -> usize {
        at - self.settled - self.inside.partition_point(|&inside| inside < at)
    }

    /// Forgets what lies before `at`.
    fn settle(&mut self, at: usize) {
        if let Some(Open { at: start, farthest: None, .. }) = self.open {
            let farthest = start + self.finding_bytes;
            if farthest < at {
                let point = self.point(farthest);
                self.open.iter_mut().for_each(|open| open.farthest = Some(point));
            }
        }
        while self.inside.front().is_some_and(|&inside| inside < at) {
            self.inside.pop_front();
            self.settled += 1;
        }
        if self.patches.first().is_some_and(|patch| patch.0 < at) {
            let first = self.patches.partition_point(|patch| patch.0 < at);
            self.patches.drain(..first);
        }
    }
}

/// Receives what a piece sets free.
struct Receiver<'a> {
    plan: &'a Plan,
    writer: &'a mut Writer,
    unit: Unit,
    ledger: &'a mut Ledger,
    found: &'a mut Vec<Found>,
    most: usize,
    incomplete: &'a mut Incomplete,
}

impl Receiver<'_> {
    fn offset(&self, at: usize) -> usize {
        match self.unit {
            Unit::CodePoint => self.ledger.point(at),
            Unit::Byte => at,
        }
    }
}

impl Sink for Receiver<'_> {
    fn text(&mut self, bytes: &[u8]) {
        self.writer.text(bytes);
    }

    fn text_at(&mut self, at: usize, bytes: &[u8]) {
        self.writer.end_rest(self.plan);
        write(self.writer, &self.ledger.patches, at, bytes);
    }

    fn edit(&mut self, rule: u32, value: Option<&[u8]>) {
        self.writer.edit(self.plan, rule, value);
    }

    fn edit_at(&mut self, at: usize, rule: u32, value: Option<&[u8]>) {
        self.ledger.open = Some(Open { at, start: self.offset(at), farthest: None });
        edit(self.writer, self.plan, &self.ledger.patches, at, rule, value);
    }

    fn covered(&mut self, at: usize, bytes: &[u8]) {
        let bytes = restored(&self.ledger.patches, at, bytes);
        self.writer.cover(self.plan, at, &bytes, self.ledger.finding_bytes);
    }

    fn keeps(&self, rule: u32) -> bool {
        self.plan.keeps(rule)
    }

    fn least(&self) -> f32 {
        self.plan.least().unwrap_or(EDIT_SCORE)
    }

    fn finding(&mut self, finding: Found) {
        if self.found.len() == self.most {
            self.incomplete.insert(Incomplete::FINDINGS);
            return;
        }
        let (start, farthest) = match self.ledger.open.take() {
            Some(open) if open.at == finding.start => (open.start, open.farthest),
            _ => (self.offset(finding.start), None),
        };
        // Either all of it is reported, up to what is not settled, or as much as may be.
        let end = match farthest {
            Some(end) if finding.end == finding.start + self.ledger.finding_bytes => end,
            _ => self.offset(finding.end),
        };
        self.found.push(Found { start, end, ..finding });
    }
}

impl State {
    /// Feeds `piece`, or ends the text if there is none. What is set free is in the writer.
    fn advance(
        &mut self,
        piece: Option<&[u8]>,
        plan: &Plan,
        most: usize,
    ) -> Result<(), sift_scan::ScanError> {
        let mut receiver = Receiver {
            plan,
            writer: &mut self.writer,
            unit: self.unit.unwrap_or(Unit::CodePoint),
            ledger: &mut self.ledger,
            found: &mut self.found,
            most,
            incomplete: &mut self.incomplete,
        };
        let needs_value = |rule| plan.needs_value(rule);
        match piece {
            Some(piece) => self.core.feed(piece, &needs_value, &mut receiver)?,
            None => {
                self.core.finish(&needs_value, &mut receiver)?;
                self.writer.end_rest(plan);
            }
        }
        self.ledger.settle(self.core.settled());
        Ok(())
    }

    /// Takes what is set free, with its holes filled.
    fn take(&mut self, py: Python<'_>, terms: &Terms, table: &Table) -> PyResult<Vec<u8>> {
        let unit = self.unit.unwrap_or(Unit::CodePoint);
        if self.writer.cut() {
            self.incomplete.insert(Incomplete::FINDING_BYTES);
        }
        terms.fill(py, table, unit, &mut self.writer, &mut self.numbers, &mut self.escape)?;
        Ok(self.writer.take())
    }

    /// An error that names the exception which ended the stream, if one did.
    fn check_cause(&self) -> PyResult<()> {
        let Some(cause) = &self.cause else { return Ok(()) };
        Err(errors::sift(format!(
            "the stream was aborted or has failed, what it held is discarded: an earlier call raised {cause}"
        )))
    }

    fn abort(&mut self) {
        self.core.abort();
        // Nothing of the text stays behind.
        self.ledger = Ledger::new(self.ledger.finding_bytes);
        self.writer = Writer::default();
        self.numbers = Register::default();
    }
}

impl Stream {
    pub(crate) fn new(
        py: Python<'_>,
        scanner: &Scanner,
        operators: Option<&Bound<'_, PyAny>>,
        vault: Option<&Bound<'_, PyAny>>,
        min_score: f32,
    ) -> PyResult<Self> {
        let terms = scanner.plans().get(operators, vault, min_score)?;
        let core = scanner.core();
        // The first stream of a scanner builds its automaton.
        let stream = py.detach(|| core.stream(true)).map_err(|e| errors::scan(&e))?;
        Ok(Self {
            table: Arc::clone(scanner.table()),
            empty: scanner.empty().clone_ref(py),
            scanner: Arc::clone(core),
            state: Mutex::new(State {
                core: stream,
                unit: None,
                finished: false,
                ledger: Ledger::new(core.limits().finding_bytes),
                writer: Writer::default(),
                numbers: Register::default(),
                escape: terms.vault.as_ref().map(|vault| Escape::new(vault)),
                found: Vec::new(),
                incomplete: Incomplete::default(),
                cause: None,
            }),
            terms,
        })
    }

    /// Runs `work` on the state; an error of it is the end of the stream. A second thread is refused
    /// and changes nothing.
    fn with<T>(&self, py: Python<'_>, work: impl FnOnce(&mut State) -> PyResult<T>) -> PyResult<T> {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::WouldBlock) => {
                return Err(errors::sift("the stream is in use by another thread: one at a time"))
            }
            Err(TryLockError::Poisoned(broken)) => {
                let mut state = broken.into_inner();
                state.abort();
                return Err(door::broken());
            }
        };
        let live = state.core.check_live().is_ok();
        let result = work(&mut state);
        if let Err(error) = &result {
            state.abort();
            if live {
                // The kind alone: the message may be an operator's, and say what it was given.
                state.cause = error.get_type(py).name().ok().map(|name| name.to_string());
            }
        }
        result
    }

    fn check_vault(&self) -> PyResult<()> {
        let vault = self.terms.vault.as_ref();
        vault.map_or(Ok(()), |vault| vault.check_process()).map_err(|e| errors::vault(&e))
    }

    fn look<T>(&self, read: impl FnOnce(&State) -> T) -> PyResult<T> {
        let state = self.state.try_lock();
        let state = state.map_err(|_| errors::sift("the stream is in use by another thread"))?;
        Ok(read(&state))
    }
}

#[pymethods]
impl Stream {
    fn feed(&self, py: Python<'_>, piece: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.with(py, |state| {
            state.check_cause()?;
            state.core.check_live().map_err(|e| errors::scan(&e))?;
            self.check_vault()?;
            let mut text = Text::take(piece, "feed")?;
            let unit = text.unit;
            match state.unit {
                Some(fixed) if fixed != unit => {
                    return Err(errors::sift(
                        "a stream is fed either str or bytes, whichever came first",
                    ))
                }
                Some(_) => {}
                None => {
                    if unit == Unit::Byte {
                        state.core = self.scanner.stream(false).map_err(|e| errors::scan(&e))?;
                    }
                    state.unit = Some(unit);
                }
            }
            let patches = std::mem::take(&mut text.patches);
            let bytes = text.bytes();
            state.ledger.read(bytes, unit, patches);
            let most = self.scanner.limits().findings;
            if bytes.len() <= door::WATCH {
                let plan = &self.terms.plan;
                let done = door::step(py, bytes.len(), || state.advance(Some(bytes), plan, most));
                done.map_err(|e| errors::scan(&e))?;
                return to_object(py, unit, &state.take(py, &self.terms, &self.table)?);
            }
            // Signals are looked for between the parts of a long piece.
            let (mut rest, mut output) = (bytes, Vec::new());
            while !rest.is_empty() {
                let cut = sift_text::floor_char(rest, rest.len().min(door::WATCH));
                let (part, next) = rest.split_at(if cut == 0 { rest.len() } else { cut });
                let done = py.detach(|| state.advance(Some(part), &self.terms.plan, most));
                done.map_err(|e| errors::scan(&e))?;
                output.extend_from_slice(&state.take(py, &self.terms, &self.table)?);
                py.check_signals()?;
                rest = next;
            }
            to_object(py, unit, &output)
        })
    }

    fn finish(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.with(py, |state| {
            let most = self.scanner.limits().findings;
            state.check_cause()?;
            self.check_vault()?;
            state.advance(None, &self.terms.plan, most).map_err(|e| errors::scan(&e))?;
            let output = state.take(py, &self.terms, &self.table)?;
            state.finished = true;
            to_object(py, state.unit.unwrap_or(Unit::CodePoint), &output)
        })
    }

    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |state| {
            state.abort();
            Ok(())
        })
    }

    #[getter]
    fn held(&self) -> PyResult<usize> {
        self.look(|state| match state.unit {
            Some(Unit::Byte) => state.core.held(),
            _ => count_chars(state.core.held_bytes()),
        })
    }

    #[getter]
    fn findings(&self, py: Python<'_>) -> PyResult<Py<Findings>> {
        let (found, incomplete, unit) = self.look(|state| {
            let mut incomplete = state.incomplete;
            incomplete.insert(state.core.incomplete());
            (state.found.clone(), incomplete, state.unit.unwrap_or(Unit::CodePoint))
        })?;
        if found.is_empty() && incomplete.is_empty() {
            return Ok(self.empty.of(py, unit));
        }
        Py::new(py, Findings::new(Arc::clone(&self.table), found, incomplete, unit))
    }

    #[getter]
    fn incomplete<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let incomplete = self.look(|state| {
            let mut incomplete = state.incomplete;
            incomplete.insert(state.core.incomplete());
            incomplete
        })?;
        PyTuple::new(py, names(incomplete))
    }

    /// Bytes of memory this stream holds.
    #[getter]
    fn memory(&self) -> PyResult<usize> {
        self.look(|state| {
            state.core.memory()
                + state.ledger.inside.capacity() * size_of::<usize>()
                + state.ledger.patches.capacity() * size_of::<Patch>()
                + state.found.capacity() * size_of::<Found>()
                + state.numbers.memory()
        })
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    #[pyo3(signature = (exc_type, exc_value, traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        exc_type: Option<&Bound<'_, PyType>>,
        exc_value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = (exc_type, exc_value, traceback);
        // Leaving without `finish` is leaving early, whatever the reason.
        self.with(py, |state| {
            if !state.finished {
                state.abort();
            }
            Ok(())
        })
    }

    fn __repr__(&self) -> String {
        match self.look(|state| (state.found.len(), state.core.held())) {
            Ok((found, held)) => format!("Stream({found} found, {held} bytes held)"),
            Err(_) => "Stream(in use)".to_owned(),
        }
    }
}
