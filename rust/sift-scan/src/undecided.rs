//! Decoding in a stream: windows that are not complete, candidates beyond the frontier, and what may be given out.
//!
//! **What must be held.** A candidate of a dense window begins in the window, which is held until it is told. One of
//! a sparse window may begin left of its first unit, where the view reads as the text does. It counts only if it
//! needs what the unit says ([`Scanner::needs_unit`]): then the text itself, read up to the unit, has a candidate
//! under way that begins there, and the hold automaton holds it. A candidate that does not need the unit is one of
//! the text.
//!
//! **Reading ahead.** Where escapes are common (a text of links, JSON of another alphabet) one sparse window follows
//! the other, and holding each until it is complete would hold four kilobytes. So its view is read by a hold
//! automaton of its own as it comes ([`Ahead`]): no candidate of the window that is not under way there, and has
//! not ended there, begins before the frontier of the view. As soon as something ends in the view, or is encoded
//! in it once more, nothing is given out until the window is told.

use std::collections::VecDeque;

use sift_text::decode::{Finder, Held, Limits, Reading, Window, REACH};

use crate::candidate::{Candidate, Extent};
use crate::decoded::{follow, Decoding, Pass};
use crate::error::ScanError;
use crate::hold::{HoldAutomaton, Position};
use crate::limits::Incomplete;
use crate::resolve::Part;
use crate::scanner::{widen, Mode, Operation, Scan, Scanner, Work};

/// Longest encoding unit, in bytes: a pair of surrogates, each behind eight backslashes.
const UNIT: usize = 40;

/// Where decoding stands in a stream.
#[derive(Debug)]
pub(crate) struct Undecided {
    seen: Seen,
    /// The sparse windows that are not told: two of each decoder at most.
    ahead: Vec<Ahead>,
    /// No candidate that is still to come begins before.
    frontier: usize,
    pending: Vec<Candidate>,
    decoding: Decoding,
}

/// A text as far as decoders and a hold automaton have read it.
#[derive(Debug)]
struct Seen {
    finder: Finder,
    /// Windows that became certain with the last piece; in the text, not in the buffer, once they are read.
    told: Vec<Window>,
    /// Up to where decoders have read and decided, in the text.
    held: Held,
    /// For some places what the frontier of a text that went up to there was, without sparse windows.
    known: VecDeque<(usize, usize)>,
}

/// The view of a sparse window that is not complete.
#[derive(Debug)]
struct Ahead {
    reading: Reading,
    /// Where the window begins, and up to where it is read.
    start: usize,
    read: usize,
    view: Vec<u8>,
    /// The pieces of the view that may still matter.
    places: VecDeque<Place>,
    position: Position,
    seen: Seen,
    /// Something has ended in the view, or is encoded in it.
    busy: bool,
    /// No candidate of the window begins before, unless it is busy.
    frontier: usize,
}

/// Where a piece of a view begins.
#[derive(Clone, Copy, Debug)]
struct Place {
    view: usize,
    text: usize,
    /// Whether it is an encoding unit; if not, it reads as the text does.
    unit: bool,
}

impl Seen {
    fn new(limits: &Limits) -> Self {
        Self {
            finder: Finder::new(limits),
            told: Vec::new(),
            held: Held { dense: 0, sparse: 0, unit: 0, buffer: 0 },
            known: VecDeque::from([(0, 0)]),
        }
    }

    /// Lets the hold automaton and the dense decoders read what was added to the buffer `text`, which begins at
    /// `base`, behind `read`; the sparse ones have read it. No candidate of what follows `sparse` begins before
    /// the frontier that is returned; 0 if that is not known any more.
    fn take(
        &mut self,
        text: &[u8],
        base: usize,
        read: usize,
        sparse: usize,
        advance: &mut dyn FnMut(usize, usize) -> usize,
    ) -> usize {
        let length = base + text.len();
        // Of a unit inside a unit a part may stand before it.
        let near =
            text.get((sparse - base).saturating_sub(UNIT)..sparse - base).unwrap_or_default();
        let begins = |byte: &u8| !byte.is_ascii() || matches!(byte, b'%' | b'&' | b'\\');
        let part = near.iter().position(begins).map_or(0, |at| near.len() - at);
        let place = sparse - part;
        let mut at = read;
        if place > read {
            at = place;
            self.advance(text, base, read, at, advance);
        }
        if length > at {
            self.advance(text, base, at, length, advance);
        }
        while self.known.get(1).is_some_and(|known| known.0 <= place) {
            self.known.pop_front();
        }
        let last = self.known.back().map_or(0, |known| known.1);
        self.known.front().filter(|known| known.0 <= place).map_or(0, |known| known.1.min(last))
    }

    fn advance(
        &mut self,
        text: &[u8],
        base: usize,
        from: usize,
        to: usize,
        advance: &mut dyn FnMut(usize, usize) -> usize,
    ) {
        let frontier = advance(from, to);
        let text = text.get(..to - base).unwrap_or_default();
        self.finder.advance_dense(text, false, &mut self.told);
        let held = self.finder.held(text.len());
        self.held = Held {
            dense: base + held.dense,
            sparse: base + held.sparse,
            unit: base + held.unit,
            buffer: base + held.buffer,
        };
        self.known.push_back((to, frontier.min(self.held.dense)));
    }

    fn memory(&self) -> usize {
        self.told.capacity() * std::mem::size_of::<Window>()
            + self.known.capacity() * std::mem::size_of::<(usize, usize)>()
    }
}

impl Ahead {
    fn new(reading: Reading, start: usize, limits: &Limits, automaton: &HoldAutomaton) -> Self {
        Self {
            reading,
            start,
            read: start,
            view: Vec::new(),
            places: VecDeque::new(),
            position: automaton.start(),
            seen: Seen::new(limits),
            busy: false,
            frontier: start,
        }
    }

    /// Reads what was added to the window, which stands in the buffer `text` that begins at `base`.
    fn follow(&mut self, text: &[u8], base: usize, window: Window, automaton: &HoldAutomaton) {
        if self.busy {
            return;
        }
        let (from, read) = (self.view.len(), self.read - base);
        let added = Window { start: read, literal: window.literal.max(read), ..window };
        let places = &mut self.places;
        added.append(text, &mut self.view, &mut |view, start, unit| {
            places.push_back(Place { view, text: base + start, unit });
        });
        self.read = base + window.end;
        let (view, position) = (&self.view, &mut self.position);
        self.seen.finder.advance_sparse(view, false, &mut self.seen.told);
        let mut ended = false;
        let mut advance = |from: usize, to: usize| {
            let part = view.get(from..to).unwrap_or_default();
            automaton.advance(position, part, |_, _| ended = true);
            to - position.hold().min(to)
        };
        let unit = self.seen.finder.held(view.len()).unit;
        let frontier = self.seen.take(view, 0, from, unit, &mut advance);
        let encoded = !self.seen.told.is_empty() || self.seen.finder.open().next().is_some();
        self.busy = ended || encoded;
        self.frontier = self.frontier.max(self.place(frontier));
    }

    /// Where the byte `at` of the view stands in the text: the first of the units that stand for nothing before it.
    /// What is before is asked for no more.
    fn place(&mut self, at: usize) -> usize {
        while self.places.get(1).is_some_and(|next| next.view < at) {
            self.places.pop_front();
        }
        match (self.places.front(), self.places.get(1)) {
            (Some(first), _) if first.view >= at => first.text,
            (_, Some(second)) if second.view == at => second.text,
            _ if at >= self.view.len() => self.read,
            (Some(first), _) if first.unit => first.text,
            (Some(first), _) => first.text + (at - first.view),
            (None, _) => self.start,
        }
    }

    fn memory(&self) -> usize {
        std::mem::size_of::<Self>()
            + self.view.capacity()
            + self.places.capacity() * std::mem::size_of::<Place>()
            + self.seen.memory()
    }
}

impl Undecided {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            seen: Seen::new(limits),
            ahead: Vec::new(),
            frontier: 0,
            pending: Vec::new(),
            decoding: Decoding::default(),
        }
    }

    /// Reads what was added to the buffer `text`, which begins at `base`, behind `read`. `advance` lets the hold
    /// automaton read from one place to another and tells its frontier. Returns the frontier: no candidate
    /// that is still to come begins before.
    pub(crate) fn take(
        &mut self,
        text: &[u8],
        base: usize,
        read: usize,
        scanner: &Scanner,
        automaton: &HoldAutomaton,
        advance: &mut dyn FnMut(usize, usize) -> usize,
    ) -> usize {
        let Seen { finder, told, .. } = &mut self.seen;
        finder.advance_sparse(text, false, told);
        let is_open = |ahead: &Ahead| {
            let mut windows = finder.open().filter(|open| open.reading == ahead.reading);
            windows.any(|open| open.windows().any(|window| base + window.start == ahead.start))
        };
        self.ahead.retain(is_open);
        for open in finder.open() {
            for window in open.windows() {
                let (reading, start) = (open.reading, base + window.start);
                let known = |ahead: &Ahead| ahead.reading == reading && ahead.start == start;
                let at = self.ahead.iter().position(known).unwrap_or(self.ahead.len());
                if at == self.ahead.len() {
                    self.ahead.push(Ahead::new(reading, start, scanner.decode(), automaton));
                }
                if let Some(ahead) = self.ahead.get_mut(at) {
                    ahead.follow(text, base, window, automaton);
                }
            }
        }
        let held = finder.held(text.len());
        let busy = self.ahead.iter().any(|ahead| ahead.busy);
        let sparse = base + if busy { held.sparse } else { held.unit };
        let frontier = self.seen.take(text, base, read, sparse, advance);
        let ahead = self.ahead.iter().filter(|ahead| !ahead.busy).map(|ahead| ahead.frontier);
        // What was said before holds, whatever came since.
        self.frontier = self.frontier.max(ahead.fold(frontier, usize::min));
        self.frontier
    }

    /// Nothing follows.
    pub(crate) fn finish(&mut self, text: &[u8]) {
        self.seen.finder.advance(text, true, &mut self.seen.told);
    }

    /// Reads the windows that became certain.
    pub(crate) fn read(
        &mut self,
        scanner: &Scanner,
        text: Part<'_>,
        mode: Mode<'_>,
        work: &mut Work,
        incomplete: &mut Incomplete,
    ) -> Result<(), ScanError> {
        let pass = Pass { operation: Operation::Redact, mode, deadline: None, base: text.base };
        let mut scan = Scan::default();
        for window in &mut self.seen.told {
            let mut accept = |candidate| self.pending.push(candidate);
            let decoding = &mut self.decoding;
            scanner.read_window(
                text.bytes,
                *window,
                pass,
                decoding,
                &mut scan,
                &mut None,
                &mut accept,
            )?;
            window.start += text.base;
            window.literal += text.base;
            window.end += text.base;
        }
        self.seen.told.sort_unstable_by_key(|window| window.start);
        work.hits += scan.work.hits;
        work.steps += scan.work.steps;
        work.decoded += scan.work.decoded;
        if let Some(name) = scan.incomplete.without(Incomplete::DECODE).names().next() {
            return Err(ScanError::Limit(name));
        }
        incomplete.insert(scan.incomplete);
        Ok(())
    }

    /// Follows an open end along the windows that became certain.
    pub(crate) fn follow(&self, candidate: &mut Candidate, text: Part<'_>, mode: Mode<'_>) {
        follow(candidate, &self.seen.told);
        let reach = candidate.extent.reach();
        let sparse = matches!(candidate.run, Some(Reading::Escapes | Reading::Characters));
        // No window that is not told begins before.
        let next =
            if sparse { self.seen.held.sparse.saturating_sub(REACH) } else { self.seen.held.dense };
        if mode.complete || next >= reach {
            // Its beginning may be gone: the edit of an open end is given out before the end is known.
            let inside = reach.saturating_sub(text.base);
            let whole =
                if mode.characters { sift_text::ceil_char(text.bytes, inside) } else { inside };
            candidate.extent = Extent::Closed(text.base + whole);
        }
    }

    /// Moves the candidates that begin before `frontier` to `queue`. Returns whether there are any.
    pub(crate) fn decide(
        &mut self,
        scanner: &Scanner,
        frontier: usize,
        text: Part<'_>,
        mode: Mode<'_>,
        queue: &mut Vec<Candidate>,
        work: &mut Work,
    ) -> Result<bool, ScanError> {
        let mut pending = std::mem::take(&mut self.pending);
        let open = |candidate: &&mut Candidate| matches!(candidate.extent, Extent::Open(_));
        for candidate in pending.iter_mut().filter(open) {
            match candidate.run {
                Some(_) => self.follow(candidate, text, mode),
                None => scanner.extend(candidate, text, mode, &mut work.steps)?,
            }
        }
        self.seen.told.clear();
        let known = queue.len();
        let decided = |candidate: &mut Candidate| mode.complete || candidate.start < frontier;
        queue.extend(pending.extract_if(.., decided));
        self.pending = pending;
        if mode.characters {
            queue.iter_mut().skip(known).for_each(|candidate| widen(candidate, text));
        }
        Ok(queue.len() > known)
    }

    /// The text must go back to here, of a buffer that begins at `base` and has `length` bytes.
    pub(crate) fn needed(&self, base: usize, length: usize) -> usize {
        let pending = self.pending.iter().map(|candidate| candidate.start).min();
        let buffer = base + self.seen.finder.held(length).buffer;
        // The look at what stands before a unit.
        let buffer = buffer.min(self.seen.held.sparse).saturating_sub(UNIT);
        pending.map_or(buffer, |start| start.min(buffer))
    }

    /// The buffer lost `count` bytes at its front.
    pub(crate) fn dropped(&mut self, count: usize) {
        self.seen.finder.dropped(count);
    }

    /// Bytes of memory beyond its own.
    pub(crate) fn memory(&self) -> usize {
        std::mem::size_of::<Self>()
            + self.seen.memory()
            + self.ahead.iter().map(Ahead::memory).sum::<usize>()
            + self.pending.capacity() * std::mem::size_of::<Candidate>()
            + self.decoding.memory()
    }
}
