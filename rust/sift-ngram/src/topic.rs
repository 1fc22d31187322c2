//! Whether a text is about a topic that somebody described by examples: logistic regression over hashed words.
//!
//! Some dozens of sentences that belong and some that do not are all it learns from, so it knows their words, their
//! beginnings of four letters, and pairs of them, and nothing else: a sentence about the topic in other words escapes.
//! Features are weighed by how rare they are among the examples (Spärck Jones, *A statistical interpretation of term
//! specificity*, 1972); what no example has is half as rare again as what one has, so that a text of other words does
//! not look like the one word in it that is known.
//!
//! The same examples in the same order give the same weights: full gradients from zero, in one order, for a fixed
//! number of steps (Nesterov, *A method for solving the convex programming problem*, 1983).

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use sift_text::fold;

use crate::features::{prepare, word_hash, words};

/// Words of a window, and from one to the next: what stands beside one sentence must not outweigh it.
const WINDOW: usize = 32;
const STEP: usize = 8;

/// Bytes of the beginning of a longer word that is a feature besides: `medic` of a medication and a medicine.
const BEGINNING: usize = 4;

/// How far weights are held back: half its product with their squares is added to what is minimised.
const RIDGE: f64 = 0.1;

/// Steps of the descent; and of the power iteration that finds how long one may be.
const STEPS: usize = 600;
const POWERS: usize = 30;

/// Parts of the examples that are left out in turn.
const FOLDS: usize = 10;

const BEGINNING_KEY: u64 = 0xa24b_aed4_963e_e407;
const PAIR_KEY: u64 = 0x9fb2_1c65_1e98_df25;

/// One topic, learned.
///
/// ```
/// let belong = ["Can I sue him in court?", "Is the contract void by law?", "Do I need a lawyer in court?"];
/// let others = ["Where is my parcel?", "Do you have the coat in red?", "What does a parcel cost?"];
/// let topic = sift_ngram::TopicModel::fit(&belong, &others);
/// assert!(topic.score(b"Will a court say that the law helps me?") > topic.score(b"Is the parcel red?"));
/// ```
#[derive(Debug)]
pub struct TopicModel {
    /// Of a feature: what it adds to the sum, and to the square of the length that the sum is divided by.
    features: HashMap<u64, (f64, f64), BuildHasherDefault<Identity>>,
    /// That square for what no example has.
    unknown: f64,
    bias: f64,
}

impl TopicModel {
    /// Learns from texts that belong and texts that do not; without either, no text belongs.
    #[must_use]
    pub fn fit(belong: &[&str], others: &[&str]) -> Self {
        let rows: Vec<(Vec<u64>, f64)> = labelled(belong, others);
        let rows: Vec<(&[u64], f64)> =
            rows.iter().map(|(row, label)| (row.as_slice(), *label)).collect();
        Self::of_rows(&rows)
    }

    /// What each of the examples scores where it was left out, those that belong first: a tenth of them at a time.
    #[must_use]
    pub fn held_out(belong: &[&str], others: &[&str]) -> Vec<f32> {
        let rows = labelled(belong, others);
        let mut out = vec![0.0; rows.len()];
        for fold in 0..FOLDS {
            let kept = rows.iter().enumerate().filter(|(at, _)| at % FOLDS != fold);
            let kept: Vec<(&[u64], f64)> =
                kept.map(|(_, (row, label))| (row.as_slice(), *label)).collect();
            let model = Self::of_rows(&kept);
            let texts = belong.iter().chain(others);
            for (at, text) in texts.enumerate().filter(|(at, _)| at % FOLDS == fold) {
                out[at] = model.score(text.as_bytes());
            }
        }
        out
    }

    /// How likely a text is about the topic, 0 to 1, by its most likely window of 32 words. Linear in the text.
    #[must_use]
    pub fn score(&self, text: &[u8]) -> f32 {
        // Sums up to each word, so that a window is two subtractions.
        let mut sums = vec![(0.0, 0.0)];
        let (mut sum, mut square) = (0.0, 0.0);
        each_word(text, |features| {
            for feature in features.into_iter().flatten() {
                let &(adds, squared) = self.features.get(&feature).unwrap_or(&(0.0, self.unknown));
                sum += adds;
                square += squared;
            }
            sums.push((sum, square));
        });
        let words = sums.len() - 1;
        let mut best = f64::NEG_INFINITY;
        let mut begin = 0;
        loop {
            let end = words.min(begin + WINDOW);
            let (from, to) = (sums[begin], sums[end]);
            let length = (to.1 - from.1).max(f64::MIN_POSITIVE).sqrt();
            best = best.max((to.0 - from.0) / length + self.bias);
            if end == words {
                break;
            }
            begin = (begin + STEP).min(words - WINDOW);
        }
        #[allow(clippy::cast_possible_truncation, reason = "seven digits are more than it knows")]
        let score = likely(best) as f32;
        score
    }

    fn of_rows(rows: &[(&[u64], f64)]) -> Self {
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        for (row, _) in rows {
            let mut distinct = row.to_vec();
            distinct.sort_unstable();
            distinct.dedup();
            for feature in distinct {
                *counts.entry(feature).or_default() += 1;
            }
        }
        let all = rows.len() as f64 + 1.0;
        let rarity = |texts: f64| (all / (texts + 0.5)).ln();
        let places: BTreeMap<u64, usize> = counts.keys().copied().zip(0..).collect();
        let rare: Vec<f64> = counts.values().map(|&texts| rarity(texts as f64)).collect();
        let samples: Vec<Sample> = rows
            .iter()
            .map(|(row, label)| {
                let known: Vec<usize> =
                    row.iter().filter_map(|feature| places.get(feature)).copied().collect();
                let length = known.iter().map(|&place| rare[place] * rare[place]).sum::<f64>();
                let length = length.max(f64::MIN_POSITIVE).sqrt();
                let values = known.iter().map(|&place| (place, rare[place] / length)).collect();
                Sample { values, label: *label }
            })
            .collect();
        let weights = descend(&samples, rare.len());
        let adds = |place: usize| weights.get(place).copied().unwrap_or_default() * rare[place];
        let features = places.iter();
        let features =
            features.map(|(&feature, &place)| (feature, (adds(place), rare[place] * rare[place])));
        let unknown = rarity(0.0) / 2.0;
        Self {
            features: features.collect(),
            unknown: unknown * unknown,
            // Where one sort is missing nothing was learned.
            bias: if rows.iter().any(|row| row.1 > 0.5) && rows.iter().any(|row| row.1 < 0.5) {
                weights.last().copied().unwrap_or_default()
            } else {
                f64::NEG_INFINITY
            },
        }
    }
}

/// Features of an example with their values, and 1 where it belongs, else 0.
struct Sample {
    values: Vec<(usize, f64)>,
    label: f64,
}

impl Sample {
    /// The last of the weights is that of a feature that every text has.
    fn dot(&self, weights: &[f64]) -> f64 {
        let last = weights.last().copied().unwrap_or_default();
        self.values.iter().fold(last, |sum, &(place, value)| sum + value * weights[place])
    }

    fn add(&self, times: f64, to: &mut [f64]) {
        for &(place, value) in &self.values {
            to[place] += times * value;
        }
        if let Some(last) = to.last_mut() {
            *last += times;
        }
    }
}

/// The weights with the least loss, to some digits.
fn descend(samples: &[Sample], features: usize) -> Vec<f64> {
    // The longest step that cannot overshoot: one over the largest curvature.
    let mut direction = vec![1.0; features + 1];
    let mut curvature = 0.0;
    for _ in 0..POWERS {
        let mut next = vec![0.0; features + 1];
        samples.iter().for_each(|sample| sample.add(sample.dot(&direction), &mut next));
        curvature = next.iter().map(|value| value * value).sum::<f64>().sqrt();
        if curvature <= 0.0 {
            break;
        }
        direction = next.iter().map(|value| value / curvature).collect();
    }
    // A power iteration comes from below: a tenth more is room enough.
    let step = 1.0 / (0.25 * 1.1 * curvature + RIDGE);
    let mut weights = vec![0.0; features + 1];
    let mut ahead = weights.clone();
    let mut momentum = 1.0_f64;
    for _ in 0..STEPS {
        let mut gradient: Vec<f64> = ahead.iter().map(|weight| RIDGE * weight).collect();
        for sample in samples {
            sample.add(likely(sample.dot(&ahead)) - sample.label, &mut gradient);
        }
        let next: Vec<f64> =
            ahead.iter().zip(&gradient).map(|(weight, slope)| weight - step * slope).collect();
        let faster = f64::midpoint(1.0, (1.0 + 4.0 * momentum * momentum).sqrt());
        let push = (momentum - 1.0) / faster;
        ahead = next.iter().zip(&weights).map(|(new, old)| new + push * (new - old)).collect();
        weights = next;
        momentum = faster;
    }
    weights
}

fn likely(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// The features of each text, and its label.
fn labelled(belong: &[&str], others: &[&str]) -> Vec<(Vec<u64>, f64)> {
    let labels =
        std::iter::repeat_n(1.0, belong.len()).chain(std::iter::repeat_n(0.0, others.len()));
    let row = |text: &&str| {
        let mut row = Vec::new();
        each_word(text.as_bytes(), |features| row.extend(features.into_iter().flatten()));
        row
    };
    belong.iter().chain(others).map(row).zip(labels).collect()
}

/// Calls back with the features that end with each word of a text, which is folded as for the scorer.
fn each_word(text: &[u8], mut tell: impl FnMut([Option<u64>; 3])) {
    let (mut folded, mut prepared) = (Vec::new(), Vec::new());
    fold(text, &mut folded);
    prepare(&folded, &mut prepared);
    let mut last: Option<u64> = None;
    words(&prepared, folded.len(), &mut |word| {
        let bytes = prepared.get(word.start..word.end).unwrap_or_default();
        let beginning = bytes
            .get(..BEGINNING)
            .filter(|_| bytes.len() > BEGINNING)
            .map(|beginning| word_hash(beginning) ^ BEGINNING_KEY);
        let pair = last.map(|last| last.wrapping_mul(PAIR_KEY) ^ word.hash);
        last = Some(word.hash);
        tell([Some(word.hash), beginning, pair]);
    });
}

/// Hashes are hashed already.
#[derive(Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BELONG: [&str; 6] = [
        "Can I sue my landlord?",
        "Is this contract binding by law?",
        "Do I need a lawyer for the court?",
        "What is the penalty for speeding?",
        "How do I appeal in court?",
        "Which law is it that I broke?",
    ];
    const OTHERS: [&str; 6] = [
        "Where is my parcel?",
        "Do you have this coat in red?",
        "What does the parcel cost?",
        "How do I wash the coat?",
        "Is this tent for two?",
        "Can I pay by card?",
    ];

    fn model() -> TopicModel {
        TopicModel::fit(&BELONG, &OTHERS)
    }

    #[test]
    fn examples_are_told_apart_and_so_is_what_is_like_them() {
        let model = model();
        for (texts, belongs) in [(BELONG, true), (OTHERS, false)] {
            for text in texts {
                assert_eq!(model.score(text.as_bytes()) > 0.5, belongs, "{text}");
            }
        }
        assert!(model.score(b"A LAWYER said the court must hear me.") > 0.5);
        assert!(model.score(b"The coat came in a red parcel.") < 0.5);
        // Words of neither sort say nothing, and are not more likely than what was seen.
        assert!(model.score("\u{4f60}\u{597d} abc def".as_bytes()) < 0.6);
    }

    #[test]
    fn a_sentence_counts_wherever_it_stands() {
        let model = model();
        let filler = "Then we went to see a river and some more of it. ".repeat(20);
        let alone = model.score(b"Do I need a lawyer for the court?");
        for text in [
            format!("{filler}Do I need a lawyer for the court?"),
            format!("Do I need a lawyer for the court? {filler}"),
            format!("{filler}Do I need a lawyer for the court? {filler}"),
        ] {
            let score = model.score(text.as_bytes());
            assert!(score > model.score(filler.as_bytes()) && score <= alone);
        }
    }

    #[test]
    fn the_same_examples_give_the_same_scores() {
        let text = b"Is there a law that says so?";
        assert_eq!(model().score(text).to_bits(), model().score(text).to_bits());
    }

    #[test]
    fn the_descent_has_come_to_its_end() {
        let rows = labelled(&BELONG, &OTHERS);
        let places: BTreeMap<u64, usize> =
            rows.iter().flat_map(|(row, _)| row).map(|&feature| (feature, 0)).collect();
        let places: BTreeMap<u64, usize> = places.into_keys().zip(0..).collect();
        let samples: Vec<Sample> = rows
            .iter()
            .map(|(row, label)| Sample {
                values: row.iter().map(|feature| (places[feature], 0.3)).collect(),
                label: *label,
            })
            .collect();
        let weights = descend(&samples, places.len());
        let mut gradient: Vec<f64> = weights.iter().map(|weight| RIDGE * weight).collect();
        for sample in &samples {
            sample.add(likely(sample.dot(&weights)) - sample.label, &mut gradient);
        }
        assert!(gradient.iter().all(|slope| slope.abs() < 1e-6), "{gradient:?}");
    }

    #[test]
    fn what_was_left_out_is_scored_by_the_others() {
        let scores = TopicModel::held_out(&BELONG, &OTHERS);
        assert_eq!(scores.len(), 12);
        let whole = model();
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
        assert!(scores[0] < whole.score(BELONG[0].as_bytes()));
    }

    #[test]
    fn odd_examples_and_texts_are_read_without_a_panic() {
        for (belong, others) in [
            (vec![], vec![]),
            (vec![""], vec![""]),
            (vec!["a"], vec![]),
            (vec![], vec!["a"]),
            (vec!["\u{0}", "\u{fffd} \u{200d}"], vec!["a", "a"]),
        ] {
            let model = TopicModel::fit(&belong, &others);
            for text in [&b""[..], b"\xff\xfe\xed\xa0", b"a", &b"a b ".repeat(500)] {
                let score = model.score(text);
                assert!((0.0..=1.0).contains(&score), "{score}");
                assert!(!(belong.is_empty() || others.is_empty()) || score == 0.0);
            }
            assert_eq!(TopicModel::held_out(&belong, &others).len(), belong.len() + others.len());
        }
    }
}
