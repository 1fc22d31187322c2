//! The best window of the best view of a text.

use sift_text::decode::{self, Encodings, Limits, Nesting, Reading, Window};
use sift_text::{fold, map_spans};

use crate::features::{grams, prepare, words, Chain};
use crate::model::{Kind, Model, BLOCK, BLOCKS, SHORT};
use crate::veils::Veils;

/// What a text scores, and which part of it does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Log-odds of an attack, as the model sees them: higher is more like one.
    pub logit: f32,
    /// First byte of the window that scored, in the text that was given.
    pub start: usize,
    /// Its end.
    pub end: usize,
    /// How that window is encoded; empty for plain text.
    pub decoded: Encodings,
    /// Whether something encoded was left unread, because it lay too deep or became too much.
    pub incomplete: bool,
}

/// Buffers for scoring. One for each thread.
#[derive(Debug, Default)]
pub struct Scorer {
    folded: Vec<u8>,
    view: Buffers,
    found: Vec<Window>,
    nesting: Nesting,
    veiled: Vec<Window>,
    spans: Vec<(usize, usize)>,
    again: Vec<u8>,
}

/// What scoring one view needs.
#[derive(Debug, Default)]
struct Buffers {
    folded: Vec<u8>,
    prepared: Vec<u8>,
    blocks: Vec<i32>,
}

/// A window of a folded view and its logit.
#[derive(Clone, Copy)]
struct Best {
    logit: f32,
    start: usize,
    end: usize,
}

impl Scorer {
    /// Scores a text of any bytes and any length; linear in it.
    pub fn score(&mut self, model: &Model, text: &[u8]) -> Score {
        let Self { folded, view, found, nesting, veiled, spans, again } = self;
        fold(text, folded);
        veiled.clear();
        let plain = best(model, folded, view, Some(veiled));
        let mut score = Score {
            logit: plain.logit,
            start: plain.start,
            end: plain.end,
            decoded: Encodings::default(),
            incomplete: false,
        };
        // Until something decoded is better, the best window is one of the folded text.
        let mut in_folded = true;
        let limits = Limits::default();

        // Hidden words are read where they stand in the text: what folding collapses tells words apart there.
        spans.clear();
        spans.extend(veiled.iter().map(|window| (window.start, window.end)));
        map_spans(text, spans);
        for (window, &(start, end)) in veiled.iter().zip(spans.iter()) {
            let open = end < text.len();
            let window = Window { start, literal: start, end, reading: window.reading, open };
            let outcome = nesting.visit(text, window, &limits, &mut |level, decoded| {
                let mut inner = rescored(model, decoded, view);
                if window.reading == Reading::Leet && level.depth() == 1 {
                    // A digit between digits is read only once its neighbour has become a letter.
                    let whole = Window { start: 0, literal: 0, end: decoded.len(), ..window };
                    whole.decode(decoded, &limits, again);
                    let second = rescored(model, again, view);
                    inner = if second.logit > inner.logit { second } else { inner };
                }
                if inner.logit > score.logit {
                    let touched = level.touched(0, decoded.len());
                    score = Score { logit: inner.logit, start, end, decoded: touched, ..score };
                    in_folded = false;
                }
            });
            score.incomplete |= outcome.skipped > 0;
        }

        found.clear();
        decode::windows(text, &limits, found);
        for window in found.drain(..) {
            let outcome = nesting.visit(text, window, &limits, &mut |level, decoded| {
                let inner = rescored(model, decoded, view);
                if inner.logit > score.logit {
                    let touched = level.touched(0, decoded.len());
                    let Window { start, end, .. } = window;
                    score = Score { logit: inner.logit, start, end, decoded: touched, ..score };
                    in_folded = false;
                }
            });
            score.incomplete |= outcome.skipped > 0;
        }

        if in_folded {
            let mut span = [(score.start, score.end)];
            map_spans(text, &mut span);
            [(score.start, score.end)] = span;
        }
        score
    }
}

/// The best window of what was decoded. What encodes whole lines of words may carry nothing worth folding.
fn rescored(model: &Model, decoded: &[u8], view: &mut Buffers) -> Best {
    let mut folded = std::mem::take(&mut view.folded);
    fold(decoded, &mut folded);
    let found = best(model, &folded, view, None);
    view.folded = folded;
    found
}

/// The best window of a folded text; `veiled` gets the places where words may be hidden.
fn best(
    model: &Model,
    folded: &[u8],
    view: &mut Buffers,
    veiled: Option<&mut Vec<Window>>,
) -> Best {
    let length = folded.len();
    prepare(folded, &mut view.prepared);
    let count = length.div_ceil(BLOCK).max(1);
    view.blocks.clear();
    view.blocks.resize(count, 0);

    for (number, block) in view.blocks.iter_mut().enumerate() {
        let (begin, mut sum) = (number * BLOCK, 0);
        grams(&view.prepared, begin, length.min(begin + BLOCK), &mut |index| {
            sum += model.weight(index);
        });
        *block = sum;
    }

    let (mut chain, mut veils) = (Chain::default(), Veils::default());
    let mut veiled = veiled;
    let blocks = &mut view.blocks;
    words(&view.prepared, length, &mut |word| {
        let mut sum = 0;
        chain.push(word.hash, &mut |index| sum += model.weight(index));
        if let Some(block) = blocks.get_mut((word.end - 1) / BLOCK) {
            *block += sum;
        }
        if let Some(found) = &mut veiled {
            veils.see(folded, word, found);
        }
    });

    let mut best = Best { logit: f32::NEG_INFINITY, start: 0, end: 0 };
    better(model, &view.blocks, BLOCKS, length, &mut best);
    if count > SHORT {
        better(model, &view.blocks, SHORT, length, &mut best);
    }
    best
}

/// The best window of so many blocks, if it is better than the one known.
fn better(model: &Model, blocks: &[i32], size: usize, length: usize, best: &mut Best) {
    let mut sum: i64 = blocks.iter().take(size).map(|&block| i64::from(block)).sum();
    for first in 0..=blocks.len().saturating_sub(size) {
        let (start, end) = (first * BLOCK, length.min((first + size) * BLOCK));
        let logit = model.logit(sum, end - start, Kind::of(start, end, length));
        if logit > best.logit {
            *best = Best { logit, start, end };
        }
        let leaves = blocks.get(first).copied().unwrap_or_default();
        let comes = blocks.get(first + size).copied().unwrap_or_default();
        sum += i64::from(comes) - i64::from(leaves);
    }
}
