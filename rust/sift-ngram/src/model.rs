//! Weights: a file with a short head, believed only if its SHA-256 is the one that is expected.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::features::{BITS, GRAM};

/// Bytes of a block, the step from one window to the next.
pub(crate) const BLOCK: usize = 32;

/// Blocks of a long window.
pub(crate) const BLOCKS: usize = 8;

/// Blocks of a short one: what surrounds a short attack must not outweigh it.
pub(crate) const SHORT: usize = 3;

/// A window counts as at least this many bytes long.
pub(crate) const SHORTEST: usize = 48;

const MAGIC: &[u8] = b"sift-ngram\x00\x02";
const HEAD: usize = MAGIC.len() + 40;

/// Trained by `models/injection-ngram/train.py`.
static BUILTIN: &[u8] = include_bytes!("../data/injection.bin");

/// As in `models/injection-ngram/manifest.toml`; a test compares.
static BUILTIN_SHA256: &str = include_str!("../data/injection.sha256");

/// Why weights are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    #[error("the weights have the SHA-256 {found}, and {expected} is expected: take the file that the manifest names")]
    Hash { expected: String, found: String },
    #[error("the weights are no file of this scorer: {0}")]
    Format(&'static str),
}

/// The weights of a linear model. Shared by threads.
#[derive(Debug)]
pub struct Model {
    weights: Vec<i8>,
    /// What a weight of 1 is worth.
    unit: f32,
    /// One for each kind of window.
    biases: [f32; 3],
    hash: String,
}

/// What a window is of its text. A text has one chance to look like an attack for each of its windows, so each kind
/// has a bias of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Whole,
    Long,
    Short,
}

impl Kind {
    /// The kind of a window, in bytes of a text of `length`.
    pub(crate) fn of(start: usize, end: usize, length: usize) -> Self {
        if start == 0 && end == length {
            Self::Whole
        } else if end - start > SHORT * BLOCK {
            Self::Long
        } else {
            Self::Short
        }
    }
}

impl Model {
    /// The model that comes with the crate; its hash is checked once.
    pub fn builtin() -> Result<&'static Self, ModelError> {
        static MODEL: OnceLock<Result<Model, ModelError>> = OnceLock::new();
        MODEL
            .get_or_init(|| Self::load(BUILTIN, BUILTIN_SHA256.trim()))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Weights from a file; `sha256` is its expected hash in hexadecimal digits.
    pub fn load(bytes: &[u8], sha256: &str) -> Result<Self, ModelError> {
        let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if !hash.eq_ignore_ascii_case(sha256) {
            return Err(ModelError::Hash { expected: sha256.to_owned(), found: hash });
        }
        let (head, weights) =
            bytes.split_at_checked(HEAD).ok_or(ModelError::Format("it is too short"))?;
        let fields =
            head.strip_prefix(MAGIC).ok_or(ModelError::Format("it begins with something else"))?;
        let mut words = fields.chunks_exact(4).map(|word| match *word {
            [a, b, c, d] => [a, b, c, d],
            _ => [0; 4],
        });
        let mut next = || words.next().unwrap_or_default();
        for (wanted, what) in [
            (BITS as usize, "it has another number of weights"),
            (GRAM, "its grams have another length"),
            (BLOCK, "its blocks have another length"),
            (BLOCKS, "its windows have another length"),
            (SHORT, "its short windows have another length"),
            (SHORTEST, "its shortest window has another length"),
        ] {
            if u32::from_le_bytes(next()) as usize != wanted {
                return Err(ModelError::Format(what));
            }
        }
        let unit = f32::from_le_bytes(next());
        let biases = [(); 3].map(|()| f32::from_le_bytes(next()));
        if !unit.is_finite() || !biases.iter().all(|bias| bias.is_finite()) || unit <= 0.0 {
            return Err(ModelError::Format("a number in its head is not finite"));
        }
        if weights.len() != 1 << BITS {
            return Err(ModelError::Format("its weights are cut short or followed by something"));
        }
        let weights = weights.iter().map(|&byte| i8::from_le_bytes([byte])).collect();
        Ok(Self { weights, unit, biases, hash })
    }

    /// SHA-256 of the file, in hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    #[inline]
    pub(crate) fn weight(&self, index: usize) -> i32 {
        self.weights.get(index).map_or(0, |&weight| i32::from(weight))
    }

    /// The logit of a window of `length` bytes whose weights have this sum.
    #[inline]
    pub(crate) fn logit(&self, sum: i64, length: usize, kind: Kind) -> f32 {
        let root = (length.max(SHORTEST) as f64).sqrt();
        let [whole, long, short] = self.biases;
        let bias = match kind {
            Kind::Whole => whole,
            Kind::Long => long,
            Kind::Short => short,
        };
        (sum as f64 * f64::from(self.unit) / root + f64::from(bias)) as f32
    }
}
