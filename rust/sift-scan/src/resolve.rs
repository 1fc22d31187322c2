//! Resolution and release: candidates in order become edits, everything else becomes text.
//!
//! One walk from left to right for the whole text and for streams. `released` only grows; what lies
//! left of it was either given out or covered by a candidate.

use crate::candidate::{Candidate, Extent};
use crate::limits::Incomplete;
use crate::{Finding, EDIT_SCORE};

/// Receives the result of a redaction, from left to right.
pub trait Sink {
    /// Text that nothing covers.
    fn text(&mut self, bytes: &[u8]);
    /// As [`Sink::text`], with the offset of the first byte in the text.
    fn text_at(&mut self, _at: usize, bytes: &[u8]) {
        self.text(bytes);
    }
    /// The place of a finding. `value` is the covered text for operators that asked for it; none if
    /// they did not, or if it was longer than the limit.
    fn edit(&mut self, rule: u32, value: Option<&[u8]>);
    /// As [`Sink::edit`], with the offset of the finding in the text; its end may not be known yet.
    fn edit_at(&mut self, _at: usize, rule: u32, value: Option<&[u8]>) {
        self.edit(rule, value);
    }
    /// Text that goes although no finding holds it: the end of one that began inside the last edit and
    /// reaches beyond it. In pieces, before any text or edit that follows.
    fn covered(&mut self, _at: usize, _bytes: &[u8]) {}
    /// Whether findings of a rule are left as they are. They are not looked for then, so that they hide
    /// none that are edited.
    fn keeps(&self, _rule: u32) -> bool {
        false
    }
    /// The least score of what is edited; the same for all of a text.
    fn least(&self) -> f32 {
        EDIT_SCORE
    }
    /// A finding, once its end is known; in order.
    fn finding(&mut self, finding: Finding);
}

/// What the walk needs to know about operators and limits.
pub(crate) struct Terms<'a> {
    /// Whether the operator of a rule wants the value.
    pub(crate) needs_value: &'a dyn Fn(u32) -> bool,
    pub(crate) finding_bytes: usize,
}

/// A part of the text: `bytes` begin at offset `base`.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) base: usize,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Part<'a> {
    /// The bytes of a span, as far as they are there.
    pub(crate) fn get(self, start: usize, end: usize) -> &'a [u8] {
        let from = start.saturating_sub(self.base).min(self.bytes.len());
        let to = end.saturating_sub(self.base).clamp(from, self.bytes.len());
        self.bytes.get(from..to).unwrap_or_default()
    }
}

/// The state of the walk.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Everything before is released or covered.
    released: usize,
    /// End of the last winner; a candidate that begins before it loses.
    winner_end: usize,
    /// Whether the edit of the candidate at hand is out already, its end not being known yet.
    edited: bool,
    pub(crate) incomplete: Incomplete,
}

impl Walk {
    pub(crate) fn released(&self) -> usize {
        self.released
    }

    /// Whether the edit of the candidate at hand is out while its end is not known.
    pub(crate) fn edited(&self) -> bool {
        self.edited
    }

    /// Whether a candidate that has not been offered yet begins inside the last winner.
    pub(crate) fn loses(&self, candidate: &Candidate) -> bool {
        !self.edited && candidate.start < self.winner_end
    }

    /// Whether a candidate that has been passed over begins inside a winner whose end is known.
    pub(crate) fn lost(&self, candidate: &Candidate) -> bool {
        candidate.start < self.winner_end
    }

    /// Takes away what a loser reaches.
    pub(crate) fn cover(&mut self, reach: usize, text: Part<'_>, sink: &mut dyn Sink) {
        if reach > self.released {
            sink.covered(self.released, text.get(self.released, reach));
            self.released = reach;
        }
    }

    /// Takes the next candidate in order. Returns whether it is done with; if not, the same candidate
    /// must be offered again with a further extent.
    pub(crate) fn offer(
        &mut self,
        candidate: &Candidate,
        text: Part<'_>,
        terms: &Terms<'_>,
        sink: &mut dyn Sink,
    ) -> bool {
        let reach = candidate.extent.reach();
        let closed = matches!(candidate.extent, Extent::Closed(_));
        let wins = self.edited || candidate.start >= self.winner_end;
        if !wins {
            self.cover(reach, text, sink);
            return closed;
        }
        if !self.edited {
            let wanted = (terms.needs_value)(candidate.rule);
            let long = reach - candidate.start > terms.finding_bytes;
            if wanted && !closed && !long {
                self.release(candidate.start, text, sink);
                return false;
            }
            self.release(candidate.start, text, sink);
            let value = (wanted && !long).then(|| text.get(candidate.start, reach));
            sink.edit_at(candidate.start, candidate.rule, value);
            self.edited = true;
        }
        self.released = self.released.max(reach);
        if closed {
            self.edited = false;
            self.winner_end = reach;
            let end = reach.min(candidate.start + terms.finding_bytes);
            if end < reach {
                self.incomplete.insert(Incomplete::FINDING_BYTES);
            }
            sink.finding(Finding {
                rule: candidate.rule,
                start: candidate.start,
                end,
                score: candidate.score,
                decoded: candidate.decoded,
            });
        }
        closed
    }

    /// Releases the text before `frontier` that no candidate covers.
    pub(crate) fn release(&mut self, frontier: usize, text: Part<'_>, sink: &mut dyn Sink) {
        if frontier > self.released {
            let bytes = text.get(self.released, frontier);
            if !bytes.is_empty() {
                sink.text_at(self.released, bytes);
            }
            self.released = frontier;
        }
    }
}
