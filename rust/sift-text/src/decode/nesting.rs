//! Decoding what was decoded, to a bounded depth and amount of work.

use std::cell::OnceCell;

use super::gate::Gate;
use super::{windows_behind, Chain, Encodings, Form, Limits, Map, Window};

/// Undoes encodings inside encodings; keeps its buffers between texts.
///
/// ```
/// use sift_text::decode::{windows, Limits, Nesting};
///
/// let text = b"x=YzJWamNtVjBJSGR2Y21SeklHbHVJR2hsY21VPQ=="; // base64 of base64
/// let (limits, mut nesting, mut found) = (Limits::default(), Nesting::default(), Vec::new());
/// windows(text, &limits, &mut found);
/// let mut depths = Vec::new();
/// for window in found {
///     nesting.visit(text, window, &limits, &mut |level, decoded| {
///         if decoded.starts_with(b"secret") {
///             depths.push((level.depth(), level.span(0, 6)));
///         }
///     });
/// }
/// assert_eq!(depths, [(2, (2, 14))]);
/// ```
#[derive(Debug, Default)]
pub struct Nesting {
    /// Decoded bytes and windows of each level, given back after use.
    spare: Vec<(Vec<u8>, Vec<Window>)>,
    gate: Gate,
}

/// How many times its encoding compressed data may become: logs become twenty times smaller, and a third larger in
/// base64.
const MOST_PACKED: usize = 24;

/// What short compressed data may become all the same.
const LEAST_UNPACKED: usize = 4096;

/// How far [`Nesting::visit`] came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes that were decoded, over all levels.
    pub decoded: usize,
    /// Windows that were not decoded, because the depth or the work was used up, and compressed ones of which only
    /// the beginning was. Those that would have been found in them are not counted.
    pub skipped: usize,
    /// Those of them that are not too deep: what is in them was within reach, but for the work.
    pub costly: usize,
}

/// A window and the levels around it.
#[derive(Debug)]
pub struct Level<'t> {
    text: &'t [u8],
    window: Window,
    outer: Option<&'t Level<'t>>,
    /// Made for the first finding.
    map: OnceCell<Map>,
}

impl Level<'_> {
    fn map(&self) -> &Map {
        self.map.get_or_init(|| {
            let mut map = Map::default();
            self.window.map(self.text, &mut map);
            map
        })
    }

    /// The level around this one.
    pub fn outer(&self) -> Option<&Self> {
        self.outer
    }

    /// Decoded bytes that stand for themselves before the first unit: see [`Window::literal`].
    pub fn literal(&self) -> usize {
        self.window.literal - self.window.start
    }

    /// The window, in the text or in the decoded bytes of the level around it.
    pub fn window(&self) -> Window {
        self.window
    }

    /// 1 for a window of the text itself.
    pub fn depth(&self) -> usize {
        1 + self.outer.map_or(0, Level::depth)
    }

    /// Whether only rules for injections should read the decoded bytes.
    pub fn is_for_injection(&self) -> bool {
        self.window.is_for_injection() || self.outer.is_some_and(Self::is_for_injection)
    }

    /// Where the decoded bytes `start..end` stood in the text, level by level: see [`Map::span`].
    pub fn span(&self, start: usize, end: usize) -> (usize, usize) {
        let (start, end) = self.inner_span(start, end);
        self.outer.map_or((start, end), |outer| outer.span(start, end))
    }

    /// Where the decoded bytes `start..end` stood in what this level was decoded from.
    pub fn inner_span(&self, start: usize, end: usize) -> (usize, usize) {
        self.map().span(start, end)
    }

    /// Bytes of what this level was decoded from.
    pub fn around(&self) -> usize {
        self.text.len()
    }

    /// How the decoded bytes `start..end` are encoded at this level alone: see [`Map::touched`].
    pub fn inner_touched(&self, start: usize, end: usize) -> Encodings {
        self.map().touched(start, end)
    }

    /// The encodings of the decoded bytes `start..end`, from the outermost to the innermost.
    pub fn chain(&self, start: usize, end: usize) -> Chain {
        let (from, to) = self.inner_span(start, end);
        let outer = self.outer.map_or(Chain::default(), |outer| outer.chain(from, to));
        self.inner_touched(start, end).iter().fold(outer, Chain::with)
    }

    /// The encodings of the decoded bytes `start..end`, of all levels: see [`Map::touched`].
    pub fn touched(&self, start: usize, end: usize) -> Encodings {
        let here = self.inner_touched(start, end);
        let (start, end) = self.inner_span(start, end);
        self.outer.map_or(here, |outer| here.union(outer.touched(start, end)))
    }
}

impl Nesting {
    /// Bytes of memory that its buffers have.
    pub fn memory(&self) -> usize {
        let windows = std::mem::size_of::<Window>();
        self.spare.iter().map(|(bytes, found)| bytes.capacity() + found.capacity() * windows).sum()
    }

    /// Decodes `window` of `text`, and what is encoded in it, and in that, and tells all of it.
    ///
    /// What is told depends on the window alone, so a stream tells what the whole text tells: the budget is
    /// one of the window and not of the text.
    pub fn visit(
        &mut self,
        text: &[u8],
        window: Window,
        limits: &Limits,
        tell: &mut dyn FnMut(&Level<'_>, &[u8]),
    ) -> Outcome {
        let mut outcome = Outcome::default();
        if limits.depth == 0 {
            outcome.skipped = 1;
            return outcome;
        }
        let mut budget = None;
        let level = Level { text, window, outer: None, map: OnceCell::new() };
        self.level(&level, 1, limits, &mut budget, &mut outcome, tell);
        outcome
    }

    /// `budget`: what nested windows may still decode to; `None` at the first level.
    fn level(
        &mut self,
        level: &Level<'_>,
        depth: usize,
        limits: &Limits,
        budget: &mut Option<usize>,
        outcome: &mut Outcome,
        tell: &mut dyn FnMut(&Level<'_>, &[u8]),
    ) {
        let (mut decoded, mut found) = self.spare.pop().unwrap_or_default();
        found.clear();
        // Nested compressed data may not become more than is left, and none more than text does that somebody
        // compressed: a hundred bytes of zlib can be 64 KiB, and each of those costs as much as one of the text.
        let size = level.window.end - level.window.start;
        let most = size.saturating_mul(MOST_PACKED).max(LEAST_UNPACKED).min(limits.unpacked_bytes);
        let left = budget.unwrap_or(most).min(most);
        let own = Limits { unpacked_bytes: left, ..*limits };
        level.window.decode(level.text, &own, &mut decoded);
        outcome.decoded += decoded.len();
        let packed = matches!(level.window.form(), Form::Gzip | Form::Zlib);
        if packed && (level.window.open || decoded.len() >= left) {
            outcome.skipped += 1;
        }
        match budget {
            Some(budget) => *budget = budget.saturating_sub(decoded.len()),
            None => {
                *budget = Some(limits.work.saturating_mul(size));
            }
        }
        tell(level, &decoded);
        // A window that decodes to itself would be found again.
        if !decoded.is_empty() {
            // What reads as the text around the window has been looked at there.
            self.gate.look(&decoded, false);
            windows_behind(&decoded, limits, level.literal(), &self.gate, &mut found);
        }
        for window in found.drain(..) {
            let size = window.end - window.start;
            if depth >= limits.depth || budget.is_some_and(|budget| budget < size) {
                outcome.skipped += 1;
                outcome.costly += usize::from(depth < limits.depth);
                continue;
            }
            let inner = Level { text: &decoded, window, outer: Some(level), map: OnceCell::new() };
            self.level(&inner, depth + 1, limits, budget, outcome, tell);
        }
        self.spare.push((decoded, found));
    }
}
