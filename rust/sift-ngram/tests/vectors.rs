//! What the trainer says about texts and what this crate says are the same: features bit for bit, scores to the
//! last digits that rounding leaves. Catches a change on one side only.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

use serde::Deserialize;
use sha2::{Digest, Sha256};
use sift_ngram::{visit_features, Model, Scorer};

#[derive(Deserialize)]
struct Vector {
    text: String,
    features: usize,
    sha256: String,
    score: f64,
}

fn vectors() -> Vec<Vector> {
    include_str!("../data/vectors.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn features_are_those_of_the_trainer() {
    for (number, vector) in vectors().iter().enumerate() {
        let mut folded = Vec::new();
        sift_text::fold(vector.text.as_bytes(), &mut folded);
        let mut pairs = Vec::new();
        visit_features(&folded, &mut |last, index| pairs.push((last as u32, index as u32)));
        pairs.sort_unstable();
        let bytes: Vec<u8> =
            pairs.iter().flat_map(|(a, b)| [a.to_le_bytes(), b.to_le_bytes()]).flatten().collect();
        let hash: String =
            Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            (pairs.len(), hash.as_str()),
            (vector.features, vector.sha256.as_str()),
            "{number}"
        );
    }
}

#[test]
fn scores_are_those_of_the_trainer() {
    let (model, mut scorer) = (Model::builtin().unwrap(), Scorer::default());
    for (number, vector) in vectors().iter().enumerate() {
        let score = scorer.score(model, vector.text.as_bytes());
        // Hidden words may score higher; the trainer reads plain text alone.
        let difference = f64::from(score.logit) - vector.score;
        assert!(difference > -1e-4, "vector {number}: {difference}");
        assert!(difference < 1e-4 || !score.decoded.is_empty(), "vector {number}: {difference}");
    }
}
