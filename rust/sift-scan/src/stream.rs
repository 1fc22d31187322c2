//! [`Stream`]: the pipeline fed in pieces, giving out what the whole text would have given.
//!
//! Hits come from the hold automaton, which reads each byte once; from the hit on, the code is the
//! scanner's. Candidates are taken only left of the frontier, where nothing that follows can change
//! them, so every step sees the same bytes as it would in the whole text.

use std::sync::Arc;

use crate::candidate::{Candidate, Extent};
use crate::error::ScanError;
use crate::hold::Position;
use crate::limits::Incomplete;
use crate::resolve::{Part, Sink, Terms, Walk};
use crate::scanner::{widen, Mode, Scanner, Work, LOOK_BEHIND};
use crate::undecided::Undecided;

/// Bytes taken at once: bounds what a long piece adds to the buffer.
const SLICE: usize = 16 * 1024;

/// A text that arrives in pieces. Feed it, finish it once; any error ends it.
#[derive(Debug)]
pub struct Stream {
    scanner: Arc<Scanner>,
    characters: bool,
    position: Position,
    /// No undecided candidate begins before.
    frontier: usize,
    /// The end of the text read so far, from `base` on.
    text: Vec<u8>,
    base: usize,
    /// Hits whose groups may lie beyond the frontier.
    open: Vec<OpenHit>,
    /// Decided candidates that are not done with, in resolution order.
    queue: Vec<Candidate>,
    /// Losers whose end is not known. They win nothing any more, but what they reach is not released, and
    /// what begins beyond has to wait until it is known whether they reach it.
    losers: Vec<Candidate>,
    /// Where decoding stands; none if nothing is decoded.
    undecided: Option<Box<Undecided>>,
    walk: Walk,
    state: State,
    ends: Vec<usize>,
    work: Work,
    #[cfg(feature = "faults")]
    fault: Option<Fault>,
}

/// A seeded bug: tests of streams must notice each of them.
#[cfg(feature = "faults")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One held byte is taken as decided.
    EarlyRelease,
    /// A candidate is decided before its right context is there.
    LostRightContext,
    /// Offsets count characters where they should count bytes.
    WrongOffset,
}

/// Hits of one pattern that touch: groups of it may begin in `cursor..last`.
#[derive(Clone, Debug)]
struct OpenHit {
    pattern: u32,
    cursor: usize,
    last: usize,
    /// Which of its twins had a candidate, and where that ends.
    reached: Vec<(u32, usize)>,
    /// A body of the pattern is open: nothing of it begins before that has ended.
    body: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Live,
    Finished,
    Broken,
}

impl Stream {
    pub(crate) fn new(scanner: Arc<Scanner>, position: Position, characters: bool) -> Self {
        let decode = scanner.decode();
        let undecided = (!decode.encodings.is_empty()).then(|| Box::new(Undecided::new(decode)));
        Self {
            undecided,
            scanner,
            characters,
            position,
            frontier: 0,
            text: Vec::new(),
            base: 0,
            open: Vec::new(),
            queue: Vec::new(),
            losers: Vec::new(),
            walk: Walk::default(),
            state: State::Live,
            ends: Vec::new(),
            work: Work::default(),
            #[cfg(feature = "faults")]
            fault: None,
        }
    }

    /// Seeds a bug.
    #[cfg(feature = "faults")]
    pub fn seed(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    /// Bytes fed and not yet released or covered.
    pub fn held(&self) -> usize {
        self.held_bytes().len()
    }

    /// The bytes fed and not yet released or covered.
    pub fn held_bytes(&self) -> &[u8] {
        self.text.get(self.walk.released().saturating_sub(self.base)..).unwrap_or_default()
    }

    /// No finding that is still to come begins before this offset, but for one whose edit is out
    /// already. Lets a caller forget what it needs to convert offsets.
    pub fn settled(&self) -> usize {
        let edited = self.walk.edited();
        let reach = self.queue.first().filter(|_| edited).map_or(0, |c| c.extent.reach());
        // What begins inside the open one loses, whatever else it is.
        let waiting = self.queue.iter().skip(usize::from(edited)).map(|c| c.start.max(reach));
        waiting.chain([self.frontier, self.walk.released()]).min().unwrap_or(0)
    }

    /// Limits that were hit so far.
    pub fn incomplete(&self) -> Incomplete {
        self.walk.incomplete
    }

    /// Work done so far.
    pub fn work(&self) -> Work {
        self.work
    }

    /// Bytes of memory this stream holds, its share of the scanner's tables left out.
    pub fn memory(&self) -> usize {
        std::mem::size_of::<Self>()
            + self.text.capacity()
            + self.open.capacity() * std::mem::size_of::<OpenHit>()
            + (self.queue.capacity() + self.losers.capacity()) * std::mem::size_of::<Candidate>()
            + self.ends.capacity() * std::mem::size_of::<usize>()
            + self.undecided.as_ref().map_or(0, |undecided| undecided.memory())
    }

    /// Takes the next piece and gives `sink` what has become certain.
    ///
    /// With `characters`, pieces must end between characters. Errors end the stream.
    pub fn feed(
        &mut self,
        piece: &[u8],
        needs_value: &dyn Fn(u32) -> bool,
        sink: &mut dyn Sink,
    ) -> Result<(), ScanError> {
        self.check_live()?;
        let mut rest = piece;
        while !rest.is_empty() {
            let mut cut = rest.len().min(SLICE);
            if self.characters && cut < rest.len() {
                cut = sift_text::floor_char(rest, cut);
            }
            let (slice, next) = rest.split_at(cut);
            rest = next;
            if let Err(error) = self.take(slice, needs_value, sink) {
                self.state = State::Broken;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Ends the text and gives `sink` the rest.
    pub fn finish(
        &mut self,
        needs_value: &dyn Fn(u32) -> bool,
        sink: &mut dyn Sink,
    ) -> Result<(), ScanError> {
        self.check_live()?;
        self.state = State::Finished;
        let result = self.settle(needs_value, sink);
        self.forget();
        if result.is_err() {
            self.state = State::Broken;
        }
        result
    }

    /// Discards what is held. Nothing of it is released.
    pub fn abort(&mut self) {
        self.state = State::Broken;
        self.forget();
    }

    fn forget(&mut self) {
        self.base += self.text.len();
        self.text = Vec::new();
        self.queue = Vec::new();
        self.losers = Vec::new();
        self.open = Vec::new();
        self.undecided = None;
    }

    /// An error if the stream is finished, aborted or has failed.
    pub fn check_live(&self) -> Result<(), ScanError> {
        match self.state {
            State::Live => Ok(()),
            State::Finished => Err(ScanError::Stream("is finished: begin a new one")),
            State::Broken => {
                Err(ScanError::Stream("was aborted or has failed, what it held is discarded"))
            }
        }
    }

    fn take(
        &mut self,
        slice: &[u8],
        needs_value: &dyn Fn(u32) -> bool,
        sink: &mut dyn Sink,
    ) -> Result<(), ScanError> {
        let scanner = Arc::clone(&self.scanner);
        let hold = scanner.hold()?;
        let read = self.base + self.text.len();
        self.text.extend_from_slice(slice);
        let open = &mut self.open;
        let hits = &mut self.work.hits;
        let decided = self.frontier;
        let length = read + slice.len();
        let position = &mut self.position;
        let mut advance = |from: usize, to: usize| {
            let part = slice.get(from - read..to - read).unwrap_or_default();
            hold.automaton.advance(position, part, |pattern, end| {
                *hits += 1;
                note(open, hold.patterns[pattern as usize], decided, from + end, hold.width);
            });
            to - position.hold().min(to)
        };
        let mut frontier = match &mut self.undecided {
            None => advance(read, length),
            Some(undecided) => {
                let automaton = &hold.automaton;
                undecided.take(&self.text, self.base, read, &scanner, automaton, &mut advance)
            }
        };
        frontier = frontier.max(decided);
        #[cfg(feature = "faults")]
        match self.fault {
            Some(Fault::EarlyRelease) => frontier = (frontier + 1).min(length),
            Some(Fault::LostRightContext) if self.position.hold() > 0 => {
                frontier = (frontier + sift_rules::MAX_AFTER).min(length);
            }
            Some(Fault::WrongOffset) => {
                let inside = slice.iter().filter(|&&b| b & 0xc0 == 0x80).count();
                self.open
                    .iter_mut()
                    .for_each(|hit| hit.last -= inside.min(hit.last.saturating_sub(hit.cursor)));
            }
            _ => {}
        }
        if self.characters {
            let inside = frontier.saturating_sub(self.base);
            frontier = self.base + sift_text::floor_char(&self.text, inside);
        }
        self.proceed(frontier, false, needs_value, sink)
    }

    fn settle(
        &mut self,
        needs_value: &dyn Fn(u32) -> bool,
        sink: &mut dyn Sink,
    ) -> Result<(), ScanError> {
        let scanner = Arc::clone(&self.scanner);
        let hold = scanner.hold()?;
        let length = self.base + self.text.len();
        for pattern in hold.automaton.finish(&self.position) {
            self.work.hits += 1;
            let pattern = hold.patterns[pattern as usize];
            note(&mut self.open, pattern, self.frontier, length, hold.width);
        }
        if let Some(undecided) = &mut self.undecided {
            undecided.finish(&self.text);
        }
        self.proceed(length, true, needs_value, sink)
    }

    /// Confirms left of the frontier, follows bodies, releases what is certain, and forgets the rest.
    fn proceed(
        &mut self,
        frontier: usize,
        complete: bool,
        needs_value: &dyn Fn(u32) -> bool,
        sink: &mut dyn Sink,
    ) -> Result<(), ScanError> {
        self.frontier = frontier;
        let keeps = |rule| sink.keeps(rule);
        let mode =
            Mode { characters: self.characters, complete, least: sink.least(), keeps: &keeps };
        if let Some(undecided) = &mut self.undecided {
            let text = Part { base: self.base, bytes: &self.text };
            undecided.read(&self.scanner, text, mode, &mut self.work, &mut self.walk.incomplete)?;
        }
        self.follow(mode)?;
        if !self.open.is_empty() {
            self.confirm(frontier, mode)?;
        }
        if let Some(undecided) = &mut self.undecided {
            let text = Part { base: self.base, bytes: &self.text };
            let (queue, work) = (&mut self.queue, &mut self.work);
            if undecided.decide(&self.scanner, frontier, text, mode, queue, work)? {
                self.queue.sort_by_key(Candidate::order);
            }
        }
        if !self.queue.is_empty() || !self.losers.is_empty() {
            self.resolve(needs_value, sink);
        }
        let part = Part { base: self.base, bytes: &self.text };
        let free = self.queue.first().map_or(frontier, |c| c.start.min(frontier));
        self.walk.release(free.min(known(&self.losers)), part, sink);
        self.trim(frontier);
        Ok(())
    }

    fn confirm(&mut self, frontier: usize, mode: Mode<'_>) -> Result<(), ScanError> {
        let part = Part { base: self.base, bytes: &self.text };
        let known = self.queue.len();
        let queue = &mut self.queue;
        for hit in self.open.iter_mut().filter(|hit| !hit.body) {
            let to = hit.last.min(frontier);
            hit.cursor = self.scanner.confirm(
                hit.pattern as usize,
                part,
                hit.cursor,
                to,
                mode,
                &mut hit.reached,
                &mut self.ends,
                &mut self.work.steps,
                &mut |candidate| {
                    hit.body = matches!(candidate.extent, Extent::Open(_));
                    queue.push(candidate);
                },
                &mut None,
            )?;
        }
        self.open.retain(|hit| {
            let reached = hit.reached.iter().map(|(_, reach)| *reach).max().unwrap_or(0);
            hit.body || hit.cursor.max(hit.last).max(reached) > frontier
        });
        if self.characters {
            self.queue[known..].iter_mut().for_each(|c| widen(c, part));
        }
        self.queue.sort_by_key(Candidate::order);
        Ok(())
    }

    /// Follows open bodies, and lets their patterns go on where one has ended.
    fn follow(&mut self, mode: Mode<'_>) -> Result<(), ScanError> {
        let part = Part { base: self.base, bytes: &self.text };
        for candidate in self.queue.iter_mut().chain(&mut self.losers) {
            if matches!(candidate.extent, Extent::Closed(_)) {
                continue;
            }
            if let (Some(undecided), Some(_)) = (&self.undecided, candidate.run) {
                undecided.follow(candidate, part, mode);
                continue;
            }
            self.scanner.extend(candidate, part, mode, &mut self.work.steps)?;
            if !candidate.decoded.is_empty() {
                continue;
            }
            if let Some(hit) = self.open.iter_mut().find(|hit| hit.pattern == candidate.pattern) {
                hit.cursor = candidate.extent.reach();
                hit.body = matches!(candidate.extent, Extent::Open(_));
            }
        }
        Ok(())
    }

    fn resolve(&mut self, needs_value: &dyn Fn(u32) -> bool, sink: &mut dyn Sink) {
        let part = Part { base: self.base, bytes: &self.text };
        let finding_bytes = self.scanner.limits().finding_bytes;
        let terms = Terms { needs_value, finding_bytes };
        cover(&mut self.losers, &mut self.walk, part, sink);
        let mut done = 0;
        let mut winner = false;
        for candidate in &self.queue {
            // At the reach itself its pattern may have a candidate that goes first.
            if candidate.start >= known(&self.losers) {
                break;
            }
            let loses = self.walk.loses(candidate);
            if !self.walk.offer(candidate, part, &terms, sink) {
                if !loses {
                    winner = true;
                    break;
                }
                self.losers.push(candidate.clone());
            } else if !loses {
                // Those that waited for this winner's end go before what follows it.
                cover(&mut self.losers, &mut self.walk, part, sink);
            }
            done += 1;
        }
        self.queue.drain(..done);
        // Inside the open body of a winner everything loses: only what reaches beyond it matters later, and
        // of that which is open only its end, so that its text need not be kept.
        if let (true, Some((first, rest))) = (winner, self.queue.split_first()) {
            let reach = first.extent.reach();
            let inside = |c: &Candidate| match c.extent {
                Extent::Closed(end) => end <= reach,
                Extent::Open(_) => c.start < reach,
            };
            if rest.iter().any(inside) {
                let (gone, left): (Vec<_>, Vec<_>) = self.queue.drain(1..).partition(inside);
                self.queue.extend(left);
                let open = |c: &Candidate| matches!(c.extent, Extent::Open(_));
                self.losers.extend(gone.into_iter().filter(open));
            }
        }
    }

    /// Drops text that nothing will look at again: left of the frontier by the widest pattern and the
    /// look-behind, and of every open candidate's reach or held value.
    fn trim(&mut self, frontier: usize) {
        let width = self.scanner.hold().map_or(0, |hold| hold.width);
        let held = self.walk.released().min(frontier);
        let needed = |(i, c): (usize, &Candidate)| {
            // The edit of the first may be out already; the others may still want their value.
            if i == 0 && self.walk.edited() {
                c.extent.reach()
            } else {
                c.start
            }
        };
        let bodies = self
            .queue
            .iter()
            .enumerate()
            .map(needed)
            .min()
            .unwrap_or(held)
            .min(known(&self.losers))
            .min(self.open.iter().map(|hit| hit.cursor).min().unwrap_or(usize::MAX));
        let keep = held.min(bodies).saturating_sub(width + LOOK_BEHIND + 1);
        let needed = self.undecided.as_ref().map(|it| it.needed(self.base, self.text.len()));
        let keep = needed.map_or(keep, |needed| keep.min(needed));
        let drop = keep.saturating_sub(self.base);
        // Moving the rest costs its length: wait until that is the smaller part.
        if drop > self.text.len() / 2 && drop > 512 {
            self.text.drain(..drop);
            self.base += drop;
            if let Some(undecided) = &mut self.undecided {
                undecided.dropped(drop);
            }
        }
    }
}

/// Takes away what losers reach whose winner has ended; those that have ended as well are done with.
fn cover(losers: &mut Vec<Candidate>, walk: &mut Walk, part: Part<'_>, sink: &mut dyn Sink) {
    losers.retain(|loser| {
        let lost = walk.lost(loser);
        if lost {
            walk.cover(loser.extent.reach(), part, sink);
        }
        !lost || matches!(loser.extent, Extent::Open(_))
    });
}

/// Up to where it is known what open losers cover.
fn known(losers: &[Candidate]) -> usize {
    losers.iter().map(|loser| loser.extent.reach()).min().unwrap_or(usize::MAX)
}

/// Adds a hit at `end` to the open ones. Left of `decided` every candidate is known already.
fn note(open: &mut Vec<OpenHit>, pattern: u32, decided: usize, end: usize, width: usize) {
    // One byte wider: a hit may be reported a byte late.
    let from = end.saturating_sub(width + 1).max(decided);
    match open.iter_mut().find(|hit| hit.pattern == pattern) {
        // The cursor stays: what lies between the two hits is one load a byte, and a second entry would
        // have to know how far the first one's last candidate reaches.
        Some(hit) => hit.last = end,
        None => {
            let reached = Vec::new();
            open.push(OpenHit { pattern, cursor: from, last: end, reached, body: false });
        }
    }
}
