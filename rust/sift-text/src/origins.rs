//! The way back from the folded text: from offsets there to the original bytes.
//!
//! No map is kept while folding: almost every text has no finding, and then it would be work for nothing.
//! The rare finding folds the text once more, counting instead of writing, up to where it stands.

use crate::floor_char;
use crate::unit::{is_resized, unit, Folded};

/// One unit of folding: the original bytes and the folded bytes they became.
///
/// A run of white space is one unit, however long, and so is a character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// First byte in the original.
    pub start: usize,
    /// End in the original.
    pub end: usize,
    /// First byte in the folded text.
    pub folded_start: usize,
    /// End in the folded text.
    pub folded_end: usize,
}

/// Walks the units of a text to find those that folded offsets lie in.
///
/// Questions in ascending order cost one pass over the text together; a step back begins again.
///
/// ```
/// let mut origins = sift_text::Origins::new("Ab \n\u{a0} c".as_bytes());
/// let white = origins.unit_at(2).unwrap();
/// assert_eq!((white.start, white.end), (2, 7));
/// assert_eq!(origins.span(1, 3), (1, 7)); // "b "
/// assert_eq!(origins.unit_at(4), None); // the folded text is "ab c"
/// ```
#[derive(Clone, Debug)]
pub struct Origins<'t> {
    text: &'t [u8],
    unit: Unit,
}

impl<'t> Origins<'t> {
    /// A walk over `text`, the original.
    pub fn new(text: &'t [u8]) -> Self {
        Self { text, unit: Unit::default() }
    }

    /// The unit that the byte at `offset` of the folded text belongs to; `None` at or behind its end.
    pub fn unit_at(&mut self, offset: usize) -> Option<Unit> {
        if offset < self.unit.folded_start {
            self.unit = Unit::default();
        }
        while offset >= self.unit.folded_end {
            self.skip(offset);
            let block = self.unit.end + BLOCK;
            while offset >= self.unit.folded_end && self.unit.end < block {
                self.step()?;
            }
        }
        Some(self.unit)
    }

    /// The original bytes of the units that the folded span `start..end` touches.
    ///
    /// Offsets behind the end of the folded text mean its end. An empty span gives an empty span, where
    /// the unit at `start` begins.
    pub fn span(&mut self, start: usize, end: usize) -> (usize, usize) {
        let first = self.unit_at(start).map_or(self.text.len(), |unit| unit.start);
        if end <= start {
            return (first, first);
        }
        (first, self.unit_at(end - 1).map_or(self.text.len(), |unit| unit.end))
    }

    /// Goes on to the next unit.
    fn step(&mut self) -> Option<()> {
        let start = self.unit.end;
        let next = unit(self.text.get(start..)?)?;
        let mut end = start + next.width();
        if matches!(next, Folded::White { .. }) {
            end = self.white_end(end);
        }
        let folded_start = self.unit.folded_end;
        let folded_end = folded_start + next.folded_width();
        self.unit = Unit { start, end, folded_start, folded_end };
        Some(())
    }

    fn white_end(&self, mut at: usize) -> usize {
        while let Some(Folded::White { width }) = self.text.get(at..).and_then(unit) {
            at += width;
        }
        at
    }

    /// Goes past blocks that end at or before `offset` of the folded text and whose length is told by
    /// their ASCII white space.
    fn skip(&mut self, offset: usize) {
        let mut at = self.unit.end;
        let mut folded = self.unit.folded_end;
        // A unit ends here, so the byte before is ASCII white space only if the run ended with it.
        let mut before = 0;
        while let Some(block) = self.text.get(at..at + BLOCK) {
            let resized = |block: &[u8]| block.iter().fold(false, |any, &b| any | is_resized(b));
            if !block.is_ascii() && resized(block) {
                break;
            }
            let dropped = dropped(before, block);
            if folded + BLOCK - dropped > offset {
                break;
            }
            folded += BLOCK - dropped;
            at += BLOCK;
            before = block[BLOCK - 1];
        }
        if at > self.unit.end {
            if is_white(before) == 1 {
                at = self.white_end(at);
            } else {
                // Back to where the character begins that the last block ended in.
                let inside = at - floor_char(self.text, at);
                at -= inside;
                folded -= inside;
            }
            self.unit = Unit { start: at, end: at, folded_start: folded, folded_end: folded };
        }
    }
}

/// Bytes looked at together when units need not be told apart.
const BLOCK: usize = 32;

/// How many bytes of a block are ASCII white space behind white space; `before` stands left of it.
#[inline]
fn dropped(before: u8, block: &[u8]) -> usize {
    let first = block.first().map_or(0, |&byte| is_white(before) & is_white(byte));
    // At most 64, so it fits a byte; wrapping, because a check for overflow keeps the loop from vectors.
    let others = block.iter().zip(block.get(1..).unwrap_or_default());
    usize::from(others.fold(first, |n, (&left, &it)| n.wrapping_add(is_white(left) & is_white(it))))
}

#[inline]
fn is_white(byte: u8) -> u8 {
    u8::from(byte == b' ') | u8::from(byte.wrapping_sub(b'\t') < 5)
}

/// Maps spans of the folded text back to spans of `text`, in place.
///
/// The span `[s, e)` becomes the original bytes of the units it touches: it begins where the unit of the
/// byte `s` begins and ends where the unit of the byte `e - 1` ends, a run of white space being one unit.
/// Offsets behind the end of the folded text mean its end; an empty span stays empty.
///
/// One pass over the text, whatever the order of the spans. Spans one after the other, none overlapping,
/// need no memory; others are sorted first.
///
/// ```
/// let text = b"You   MUST\tobey";
/// let mut spans = [(0, 8), (4, 13)]; // "you must", "must obey"
/// sift_text::map_spans(text, &mut spans);
/// assert_eq!(spans, [(0, 10), (6, 15)]);
/// ```
pub fn map_spans(text: &[u8], spans: &mut [(usize, usize)]) {
    let mut origins = Origins::new(text);
    let mut last = 0;
    let apart = spans.iter().all(|&(start, end)| {
        let follows = last <= start && start <= end;
        last = end;
        follows
    });
    if apart {
        for span in spans {
            *span = origins.span(span.0, span.1);
        }
        return;
    }
    // Every span asks for two units: that of its first byte and that of its last.
    let mut questions: Vec<(usize, usize, bool)> = Vec::with_capacity(2 * spans.len());
    for (i, &(start, end)) in spans.iter().enumerate() {
        questions.push((start, i, false));
        if end > start {
            questions.push((end - 1, i, true));
        }
    }
    questions.sort_unstable();
    let empty: Vec<bool> = spans.iter().map(|&(start, end)| end <= start).collect();
    for (offset, i, is_end) in questions {
        let unit = origins.unit_at(offset);
        let Some((span, &empty)) = spans.get_mut(i).zip(empty.get(i)) else { continue };
        if is_end {
            span.1 = unit.map_or(text.len(), |unit| unit.end);
        } else {
            span.0 = unit.map_or(text.len(), |unit| unit.start);
            if empty {
                span.1 = span.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold;
    use crate::testing::{text, Random};

    /// For each folded byte, the original bytes of its unit: from the standard library, byte by byte.
    fn naive(text: &[u8]) -> Vec<(usize, usize)> {
        let mut map: Vec<(usize, usize)> = Vec::new();
        let mut at = 0;
        let mut white = false;
        for chunk in text.utf8_chunks() {
            for letter in chunk.valid().chars() {
                let end = at + letter.len_utf8();
                if letter.is_whitespace() {
                    if white {
                        map.last_mut().unwrap().1 = end;
                    } else {
                        map.push((at, end));
                    }
                } else {
                    let lower: String = letter.to_lowercase().collect();
                    let simple = lower.chars().count() == 1;
                    let width = if simple { lower.len() } else { letter.len_utf8() };
                    map.extend(std::iter::repeat_n((at, end), width));
                }
                white = letter.is_whitespace();
                at = end;
            }
            for _ in chunk.invalid() {
                map.push((at, at + 1));
                at += 1;
                white = false;
            }
        }
        map
    }

    fn expected(
        map: &[(usize, usize)],
        length: usize,
        (start, end): (usize, usize),
    ) -> (usize, usize) {
        let first = map.get(start).map_or(length, |unit| unit.0);
        if end <= start {
            return (first, first);
        }
        (first, map.get(end - 1).map_or(length, |unit| unit.1))
    }

    fn check(text: &[u8], random: &mut Random) {
        let map = naive(text);
        let mut folded = Vec::new();
        fold(text, &mut folded);
        assert_eq!(map.len(), folded.len());

        let mut chained: Vec<usize> = (0..8).map(|_| random.below(map.len() + 3)).collect();
        chained.sort_unstable();
        let mut spans: Vec<(usize, usize)> =
            chained.chunks(2).map(|pair| (pair[0], pair[1])).collect();
        let mut any: Vec<(usize, usize)> =
            (0..6).map(|_| (random.below(map.len() + 3), random.below(map.len() + 3))).collect();
        for spans in [&mut spans, &mut any] {
            let want: Vec<_> = spans.iter().map(|&span| expected(&map, text.len(), span)).collect();
            let mut origins = Origins::new(text);
            let single: Vec<_> = spans.iter().map(|&(s, e)| origins.span(s, e)).collect();
            assert_eq!(single, want, "{text:x?}");
            map_spans(text, spans);
            assert_eq!(*spans, want, "{text:x?}");
        }
    }

    #[test]
    fn spans_map_as_a_map_of_every_byte_says() {
        let mut random = Random::new(4);
        for round in 0..3000 {
            let length = random.below(400);
            let text = text(&mut random, round, length);
            check(&text, &mut random);
        }
    }

    #[test]
    fn every_span_of_a_text_longer_than_a_block() {
        let mut random = Random::new(5);
        for round in 0..12 {
            let text = text(&mut random, round, 150);
            let map = naive(&text);
            for start in 0..=map.len() + 1 {
                let mut origins = Origins::new(&text);
                for end in start..=map.len() + 1 {
                    let want = expected(&map, text.len(), (start, end));
                    assert_eq!(origins.span(start, end), want);
                }
            }
        }
    }

    #[test]
    fn blocks_are_skipped_to_the_right_place() {
        let mut random = Random::new(6);
        for period in 1..70 {
            let mut text: Vec<u8> = Vec::new();
            while text.len() < 1000 {
                text.extend(std::iter::repeat_n(b'x', period));
                text.extend(std::iter::repeat_n(b' ', random.below(100)));
            }
            check(&text, &mut random);
            text.extend_from_slice("\u{3000} Z".as_bytes());
            check(&text, &mut random);
        }
    }

    /// What is cut out by a mapped span folds to what was found.
    #[test]
    fn the_original_of_a_span_folds_to_the_span() {
        let mut random = Random::new(7);
        for round in 0..500 {
            let text = text(&mut random, round, 300);
            let mut folded = Vec::new();
            fold(&text, &mut folded);
            let mut origins = Origins::new(&text);
            let mut part = Vec::new();
            let mut at = 0;
            while let Some(unit) = origins.unit_at(at) {
                fold(&text[unit.start..unit.end], &mut part);
                assert_eq!(part, &folded[unit.folded_start..unit.folded_end]);
                assert_eq!(unit.folded_start, at);
                at = unit.folded_end;
            }
            assert_eq!(at, folded.len());
        }
    }
}
