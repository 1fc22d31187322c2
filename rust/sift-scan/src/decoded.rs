//! What is written in base64, hex, escapes or disguised characters: found as in any text, at its place in the
//! original.
//!
//! Each window of [`sift_text::decode`] is a small text of its own, read by the same engines; what is found in it
//! is a candidate like all others, with the span of the whole encoding units. Which candidates count depends on
//! the window and on a bounded number of bytes alone, so a stream counts the same ones.

use std::cell::Cell;
use std::time::Instant;

use sift_rules::{Category, View, MAX_AFTER};
use sift_text::decode::{
    veiled, windows_by, Chain, Form, Gate, Level, Nesting, Reading, Window, STRIDE,
};

use crate::candidate::{Candidate, Extent};
use crate::error::ScanError;
use crate::limits::Incomplete;
use crate::resolve::Part;
use crate::scanner::{Explained, Mode, Operation, Scan, Scanner, Scratch, LOOK_BEHIND};
use crate::veils;

/// What characters without a glyph are found as.
const INVISIBLE: &str = "INVISIBLE_TEXT";

/// Buffers for decoded views.
#[derive(Default)]
pub(crate) struct Decoding {
    windows: Vec<Window>,
    gate: Gate,
    nesting: Nesting,
    scratch: Scratch,
}

impl Decoding {
    pub(crate) fn memory(&self) -> usize {
        self.windows.capacity() * std::mem::size_of::<Window>()
            + self.nesting.memory()
            + self.scratch.memory()
    }
}

impl std::fmt::Debug for Decoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The buffers hold text.
        f.debug_struct("Decoding").finish_non_exhaustive()
    }
}

thread_local! {
    /// Buffers that outlive a scan; taken for its duration.
    static DECODING: Cell<Decoding> = Cell::new(Decoding::default());
}

/// How windows are read.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub(crate) operation: Operation,
    pub(crate) mode: Mode<'a>,
    pub(crate) deadline: Option<Instant>,
    /// Where the buffer begins in the text.
    pub(crate) base: usize,
}

impl Scanner {
    /// Adds what is found in the decoded views of a whole text to `candidates`.
    #[expect(clippy::too_many_arguments, reason = "what a scan is, and where its results go")]
    pub(crate) fn read_decoded(
        &self,
        text: &[u8],
        operation: Operation,
        mode: Mode<'_>,
        deadline: Option<Instant>,
        cues: &[(Reading, usize)],
        candidates: &mut Vec<Candidate>,
        scan: &mut Scan,
        dropped: &mut Option<Vec<Explained>>,
    ) -> Result<(), ScanError> {
        let mut decoding = DECODING.take();
        let mut found = std::mem::take(&mut decoding.windows);
        found.clear();
        windows_by(text, self.decode(), &mut decoding.gate, &mut found);
        if operation == Operation::Scan {
            veiled(text, self.veils(), &decoding.gate, &mut found);
            veils::windows(text, cues, &mut found);
        }
        let first = candidates.len();
        let pass = Pass { operation, mode, deadline, base: 0 };
        let mut result = Ok(());
        for window in &found {
            if deadline.is_some_and(|at| Instant::now() > at) {
                scan.incomplete.insert(Incomplete::TIME);
                break;
            }
            let mut accept = |candidate| candidates.push(candidate);
            result =
                self.read_window(text, *window, pass, &mut decoding, scan, dropped, &mut accept);
            if result.is_err() {
                break;
            }
        }
        let open = |candidate: &Candidate| matches!(candidate.extent, Extent::Open(_));
        if candidates.iter().skip(first).any(open) {
            found.sort_unstable_by_key(|window| window.start);
            for candidate in candidates.iter_mut().skip(first) {
                follow(candidate, &found);
                if candidate.run.is_none() {
                    let text = Part { base: 0, bytes: text };
                    self.extend(candidate, text, mode, &mut scan.work.steps)?;
                }
                candidate.extent = Extent::Closed(candidate.extent.reach());
            }
        }
        decoding.windows = found;
        DECODING.set(decoding);
        result
    }

    /// Reads a window of `text` and what is encoded in it, and tells the candidates.
    #[expect(
        clippy::too_many_arguments,
        reason = "the buffers are borrowed apart from one another"
    )]
    pub(crate) fn read_window(
        &self,
        text: &[u8],
        window: Window,
        pass: Pass<'_>,
        decoding: &mut Decoding,
        scan: &mut Scan,
        dropped: &mut Option<Vec<Explained>>,
        accept: &mut dyn FnMut(Candidate),
    ) -> Result<(), ScanError> {
        let Decoding { nesting, scratch, .. } = decoding;
        let mut result = Ok(());
        let outcome = nesting.visit(text, window, self.decode(), &mut |level, view| {
            if result.is_ok() {
                result = self.read_level(level, view, pass, scratch, scan, dropped, accept);
            }
        });
        scan.work.decoded += outcome.decoded as u64;
        if outcome.skipped > outcome.costly {
            scan.incomplete.insert(Incomplete::DECODE);
        }
        if outcome.costly > 0 {
            scan.incomplete.insert(Incomplete::DECODE_BYTES);
        }
        result
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the buffers are borrowed apart from one another"
    )]
    fn read_level(
        &self,
        level: &Level<'_>,
        view: &[u8],
        pass: Pass<'_>,
        scratch: &mut Scratch,
        scan: &mut Scan,
        dropped: &mut Option<Vec<Explained>>,
        accept: &mut dyn FnMut(Candidate),
    ) -> Result<(), ScanError> {
        let Pass { operation, mode, deadline, base } = pass;
        let veiled = level.is_for_injection();
        let keeps = |rule: u32| {
            let rules = self.rules().rules();
            let Some(found) = rules.get(rule as usize) else { return true };
            veiled && found.category != Category::Injection
                // Characters that are written as escapes are seen.
                || found.entity == INVISIBLE
                || (mode.keeps)(rule)
        };
        // Offsets in a view are no places between characters of the text.
        let inside = Mode { characters: false, complete: true, least: mode.least, keeps: &keeps };
        scratch.candidates.clear();
        scratch.cues.clear();
        let lines = dropped.as_ref().map_or(0, Vec::len);
        self.read(view, operation, inside, deadline, scratch, scan, dropped)?;
        if let Some(all) = dropped {
            for mut line in all.split_off(lines) {
                if let Some(decoded) = self.undone(level, line.start, line.end) {
                    let (start, end) = level.span(line.start, line.end);
                    (line.start, line.end, line.decoded) = (base + start, base + end, decoded);
                    all.push(line);
                }
            }
        }
        let mut found = std::mem::take(&mut scratch.candidates);
        for mut candidate in found.drain(..) {
            let (start, end) = (candidate.start, candidate.extent.reach());
            let Some(decoded) = self.undone(level, start, end) else { continue };
            if !self.needs_unit(level, view, &candidate, base, scratch, scan)? {
                continue;
            }
            let (from, group_end) = level.span(start, candidate.group_end);
            let undecided = self.is_undecided(level, view, &candidate, inside, scan)?;
            let (to, run) = reach(level, start, end, undecided || end == view.len());
            // Behind the last unit the text reads as the view does.
            let goes_on = undecided && level.outer().is_none() && level.window().is_sparse();
            candidate.start = base + from;
            candidate.group_end = base + group_end;
            candidate.extent = if run.is_some() || goes_on {
                Extent::Open(base + to)
            } else {
                Extent::Closed(base + to)
            };
            (candidate.decoded, candidate.seen, candidate.run) = (decoded, base + to, run);
            accept(candidate);
        }
        scratch.candidates = found;
        Ok(())
    }

    /// Whether what follows the window of a body may be more of it.
    fn is_undecided(
        &self,
        level: &Level<'_>,
        view: &[u8],
        candidate: &Candidate,
        mode: Mode<'_>,
        scan: &mut Scan,
    ) -> Result<bool, ScanError> {
        let ends = level.outer().is_some() || !level.window().is_sparse();
        if ends && !is_open(level) || !self.automata(candidate.pattern as usize)?.has_body() {
            return Ok(false);
        }
        let mut body = Candidate { extent: Extent::Open(candidate.group_end), ..candidate.clone() };
        let mode = Mode { complete: false, ..mode };
        self.extend(&mut body, Part { base: 0, bytes: view }, mode, &mut scan.work.steps)?;
        Ok(matches!(body.extent, Extent::Open(_)))
    }

    /// How the bytes `start..end` of a view were encoded; none if what was looked at there stands in what is
    /// around the window as well, or if one of the encodings is not to be undone.
    fn undone(&self, level: &Level<'_>, start: usize, end: usize) -> Option<Chain> {
        let (mut from, mut to) = (start.saturating_sub(LOOK_BEHIND), end + MAX_AFTER);
        let wide = (from, to);
        let mut at = Some(level);
        while let Some(level) = at {
            if level.window().is_sparse() && level.inner_touched(from, to).is_empty() {
                return None;
            }
            (from, to) = level.inner_span(from, to);
            at = level.outer();
        }
        let mut chain = level.chain(start, end);
        if chain.is_empty() {
            chain = level.chain(wide.0, wide.1);
        }
        let wanted = self.decode().encodings;
        let veiled = level.is_for_injection();
        (veiled || chain.iter().all(|it| wanted.contains(it))).then_some(chain)
    }

    /// Whether a candidate that begins left of the first unit of a sparse window could not have been found
    /// there without it, and begins where the text around the window has one under way as well.
    fn needs_unit(
        &self,
        level: &Level<'_>,
        view: &[u8],
        candidate: &Candidate,
        base: usize,
        scratch: &mut Scratch,
        scan: &mut Scan,
    ) -> Result<bool, ScanError> {
        let pattern = &self.rules().patterns()[candidate.pattern as usize];
        if pattern.view != View::Identity {
            return Ok(true);
        }
        let literal = level.literal();
        if level.window().is_sparse() && candidate.start < literal {
            let before = pattern.parts().map_or(usize::MAX, |parts| parts.before_width);
            // What was cut off could have been the beginning of a longer word.
            if is_cut(level, base) && candidate.start <= before {
                return Ok(false);
            }
            if candidate.group_end <= literal {
                let automata = self.automata(candidate.pattern as usize)?;
                let known = view.get(..literal).unwrap_or(view);
                let (ends, steps) = (&mut scratch.ends, &mut scan.work.steps);
                let without = automata.candidate(known, candidate.start, ends, steps);
                if without == Some(candidate.group_end) {
                    return Ok(false);
                }
            }
        }
        // A run that crosses the first unit is one of the text up to there, unless it only looks like one
        // because its beginning was cut off.
        let mut at = Some(level);
        while let Some(level) = at {
            at = level.outer();
            let (window, Some(outer)) = (level.window(), at) else { break };
            if window.is_sparse() || !outer.window().is_sparse() || window.start >= outer.literal()
            {
                continue;
            }
            let cut = window.start == 0 && is_cut(outer, base) && !is_anywhere(window.reading);
            if window.end <= outer.literal() || cut {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether the reading of a run is the same wherever in the run one begins.
fn is_anywhere(reading: Reading) -> bool {
    matches!(
        reading,
        Reading::Base64(Form::Text | Form::Utf16) | Reading::Hex(Form::Text | Form::Utf16)
    )
}

/// Whether something stands before the view of a level that is not in it.
fn is_cut(level: &Level<'_>, base: usize) -> bool {
    let start = level.window().start;
    match level.outer() {
        None => base + start > 0,
        Some(outer) => start > 0 || outer.window().is_sparse() && is_cut(outer, base),
    }
}

/// Whether more of the same follows the window of a level, or what is around it goes on where it ends.
fn is_open(level: &Level<'_>) -> bool {
    let window = level.window();
    let is_last = window.end >= level.around();
    window.open || is_last && level.outer().is_some_and(is_open)
}

/// Where the bytes `start..end` of a view end in the text, and how the run is read if it may go on there: what may
/// go on behind a window that is not the end of its run (`open`), and is too long to be whole in the next one.
fn reach(level: &Level<'_>, start: usize, end: usize, open: bool) -> (usize, Option<Reading>) {
    let (mut start, mut end, mut open) = (start, end, open);
    let mut level = level;
    loop {
        let window = level.window();
        let (from, to) = level.inner_span(start, end);
        let goes_on = open && window.open && from < window.start + STRIDE;
        let Some(outer) = level.outer() else {
            return if goes_on { (window.end, Some(window.reading)) } else { (to, None) };
        };
        // Where it ends is not looked for in here: it is taken to the end of what was decoded.
        let is_last = open && window.end >= level.around();
        (start, end) = (from, if goes_on || is_last { level.around() } else { to });
        open = end == level.around();
        level = outer;
    }
}

/// Takes a candidate with an open end along the windows of its run, of which `windows` are sorted by their
/// beginnings.
pub(crate) fn follow(candidate: &mut Candidate, windows: &[Window]) {
    let Some(reading) = candidate.run else { return };
    let mut reach = candidate.extent.reach();
    for window in windows.iter().filter(|window| window.reading == reading) {
        if window.start >= reach {
            break;
        }
        reach = reach.max(window.end);
    }
    candidate.extent = Extent::Open(reach);
}
