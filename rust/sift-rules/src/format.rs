//! The `format` of a rule: from a vendor's description of its tokens, values that are valid and
//! values that are just not.
//!
//! A format is a sum of terms, as `DESIGN.md` §5 describes them: literals in double quotes, byte
//! classes, and the base62 CRC-32 of the bytes since the last literal. Alternatives stand side by
//! side with `|`; `where` and the name of a check keep the values that the check does not drop, which is
//! how numbers with check digits are made. Rules take the values for their examples from here, so no document ever holds a
//! literal secret; do not derive a format from the rule's own pattern, or the two agree on their
//! mistakes.
//!
//! ```
//! use sift_rules::format::{Format, Rng};
//!
//! let format = Format::parse(r#""gh" + [pousr] + "_" + 30 alnum + 6 base62 crc32"#)?;
//! let value = format.generate(&mut Rng::new(1), 0);
//! assert!(value.starts_with("gh") && value.len() == 40);
//! assert!(format.matches(value.as_bytes()));
//! for mutant in format.mutants(&mut Rng::new(1), 0) {
//!     assert!(!format.matches(mutant.value.as_bytes()));
//! }
//! # Ok::<(), sift_rules::format::FormatError>(())
//! ```

use std::fmt;

use sift_checks::{base62_decode, base62_encode, crc32, entropy, Check, Outcome, Subject};

/// Bytes a format may be wide. More than any pattern can match, so more is a slip of the pen.
const MAX_BYTES: usize = 16 * 1024;

/// SplitMix64: small, seeded, and the same numbers for ever, so a failing example can be repeated.
///
/// Not for anything that must not be guessed.
///
/// ```
/// use sift_rules::format::Rng;
///
/// assert_eq!(Rng::new(0).next_u64(), 0xe220_a839_7b1d_cdaf);
/// ```
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose numbers follow from `seed` alone.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number from 0 to `limit - 1`; 0 if `limit` is 0. For small limits all are as good as
    /// equally likely.
    pub fn below(&mut self, limit: usize) -> usize {
        // The high half of the product: no division, and no weight on the low bits.
        ((u128::from(self.next_u64()) * limit as u128) >> 64) as usize
    }
}

/// Why a format was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// Where, in bytes from the start of the format.
    pub position: usize,
    /// What should have stood there.
    pub expected: String,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "format: at byte {}, expected {}", self.position, self.expected)
    }
}

impl std::error::Error for FormatError {}

/// How a [`Mutant`] differs from a valid value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MutantKind {
    /// One letter of the first literal (with ASCII in it) is another.
    Prefix,
    /// It is one byte shorter than the shortest valid value.
    Length,
    /// A byte in the middle of the longest class is not of that class.
    Alphabet,
    /// A digit of the checksum is another.
    Checksum,
}

/// A value that differs from a valid one in a single way, and is not valid.
#[derive(Clone, PartialEq, Eq)]
pub struct Mutant {
    /// What is wrong with it.
    pub kind: MutantKind,
    /// The value.
    pub value: String,
}

// Generated or not, what looks like a secret is not printed.
impl fmt::Debug for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutant")
            .field("kind", &self.kind)
            .field("bytes", &self.value.len())
            .finish_non_exhaustive()
    }
}

/// A set of ASCII bytes, ascending and not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Class(Vec<u8>);

impl Class {
    fn of(parts: &[&[u8]]) -> Self {
        let mut bytes = parts.concat();
        bytes.sort_unstable();
        bytes.dedup();
        Self(bytes)
    }

    fn named(name: &str) -> Option<Self> {
        const DIGIT: &[u8] = b"0123456789";
        const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
        const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        Some(match name {
            "digit" => Self::of(&[DIGIT]),
            "hex" => Self::of(&[DIGIT, b"abcdef"]),
            "HEX" => Self::of(&[DIGIT, b"ABCDEF"]),
            "lower" => Self::of(&[LOWER]),
            "upper" => Self::of(&[UPPER]),
            "alnum" | "base62" => Self::of(&[DIGIT, LOWER, UPPER]),
            "lowalnum" => Self::of(&[DIGIT, LOWER]),
            "upalnum" => Self::of(&[DIGIT, UPPER]),
            "base32" => Self::of(&[UPPER, b"234567"]),
            "base64" => Self::of(&[DIGIT, LOWER, UPPER, b"+/"]),
            "base64url" => Self::of(&[DIGIT, LOWER, UPPER, b"-_"]),
            _ => return None,
        })
    }

    const NAMES: &'static str = "`digit`, `hex`, `HEX`, `lower`, `upper`, `alnum`, `lowalnum`, \
         `upalnum`, `base32`, `base64`, `base64url` or a class in brackets";

    fn has(&self, byte: u8) -> bool {
        self.0.binary_search(&byte).is_ok()
    }

    fn is_hex(&self) -> bool {
        self.0 == b"0123456789abcdef"
    }

    fn pick(&self, rng: &mut Rng) -> u8 {
        self.0.get(rng.below(self.0.len())).copied().unwrap_or(b'0')
    }

    fn mixes_letters_and_digits(&self) -> bool {
        self.0.iter().any(u8::is_ascii_digit) && self.0.iter().any(u8::is_ascii_alphabetic)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Literal(String),
    Class { class: Class, min: usize, max: usize },
    Crc { digits: usize },
}

impl Term {
    fn min(&self) -> usize {
        match self {
            Self::Literal(text) => text.len(),
            Self::Class { min, .. } => *min,
            Self::Crc { digits } => *digits,
        }
    }

    fn max(&self) -> usize {
        match self {
            Self::Class { max, .. } => *max,
            other => other.min(),
        }
    }
}

/// A parsed format. See the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Never empty.
    alternatives: Vec<Alternative>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Alternative {
    /// Never empty.
    terms: Vec<Term>,
    /// Keeps valid values only.
    check: Option<Check>,
}

impl Alternative {
    fn passes(&self, value: &[u8]) -> bool {
        self.check.is_none_or(|check| {
            !matches!(check.run(&Subject { value, before: b"", after: b"" }), Outcome::Drop(_))
        })
    }

    /// Draws with the shortest lengths; valid if that takes no more than [`CHECK_TRIES`].
    fn shortest(&self, rng: &mut Rng) -> Draft {
        let mut draft = shortest(&self.terms, rng);
        for _ in 0..if self.check.is_some() { CHECK_TRIES } else { 0 } {
            if self.passes(&draft.bytes) {
                break;
            }
            draft = shortest(&self.terms, rng);
        }
        draft
    }
}

/// How often a value is drawn for a check: enough for a checksum of two digits and a date.
const CHECK_TRIES: usize = 100_000;

/// A value under construction: its bytes, and where each term of the alternative begins.
struct Draft {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Draft {
    fn text(self) -> String {
        // Literals are `str`, classes are ASCII, and mutants replace ASCII by ASCII.
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Format {
    /// Reads a format.
    ///
    /// # Errors
    ///
    /// [`FormatError`] with the first place where the text is not a format.
    ///
    /// ```
    /// use sift_rules::format::Format;
    ///
    /// let error = Format::parse("\"sk-\" + 20 alphanum").unwrap_err();
    /// assert_eq!(error.position, 11);
    /// ```
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        Parser { text, at: 0 }.format()
    }

    /// How many alternatives the format has; at least 1.
    #[must_use]
    pub fn alternatives(&self) -> usize {
        self.alternatives.len()
    }

    /// Bytes that values have, at least and at most, for each alternative.
    pub(crate) fn widths(&self) -> Vec<(usize, usize)> {
        let sum = |all: &Alternative, of: fn(&Term) -> usize| all.terms.iter().map(of).sum();
        self.alternatives.iter().map(|all| (sum(all, Term::min), sum(all, Term::max))).collect()
    }

    /// A valid value of alternative `index % alternatives()`.
    ///
    /// It is as random as a real one: drawn again, a bounded number of times, until the
    /// `placeholder` check keeps it and terms of 6 and more letters-and-digits have both, then the
    /// one of highest entropy of a few. A format that cannot do better gives what it has.
    #[must_use]
    pub fn generate(&self, rng: &mut Rng, index: usize) -> String {
        const TRIES: usize = 64;
        const ENOUGH: usize = 4;
        let alternative = self.alternative(index);
        let terms = &alternative.terms;
        let mut best: Option<(bool, f32, Draft)> = None;
        let mut good = 0;
        for _ in 0..if alternative.check.is_some() { CHECK_TRIES } else { TRIES } {
            let draft =
                draw(terms, rng, |term, rng| term.min() + rng.below(term.max() - term.min() + 1));
            if !alternative.passes(&draft.bytes) {
                continue;
            }
            let kept = looks_real(terms, &draft);
            let bits = entropy(&draft.bytes);
            good += usize::from(kept);
            let better = best.as_ref().is_none_or(|(was, most, _)| (*was, *most) < (kept, bits));
            if better {
                best = Some((kept, bits, draft));
            }
            if good == ENOUGH {
                break;
            }
        }
        best.map(|(_, _, draft)| draft.text()).unwrap_or_default()
    }

    /// Values that are wrong in one way each, made from alternative `index % alternatives()`.
    ///
    /// A kind is missing where the format has nothing to get wrong (no literal, no checksum, one
    /// byte long) or where the wrong value is valid in another alternative. Terms of variable
    /// length have their shortest, so that no part of a mutant is long enough to be valid.
    #[must_use]
    pub fn mutants(&self, rng: &mut Rng, index: usize) -> Vec<Mutant> {
        // A mutant that is valid by chance is drawn again: classes may overlap with literals.
        const TRIES: usize = 16;
        let alternative = self.alternative(index);
        let terms = &alternative.terms;
        let kinds = [
            (MutantKind::Prefix, prefix_mutant as fn(&[Term], Draft, &mut Rng) -> Option<Draft>),
            (MutantKind::Length, length_mutant),
            (MutantKind::Alphabet, alphabet_mutant),
            (MutantKind::Checksum, checksum_mutant),
        ];
        let mut mutants = Vec::new();
        let checked = alternative.check.is_some()
            || terms.iter().any(|term| matches!(term, Term::Crc { .. }));
        for (kind, make) in kinds {
            if kind == MutantKind::Checksum && !checked {
                continue;
            }
            for _ in 0..TRIES {
                let Some(mutant) = make(terms, alternative.shortest(rng), rng) else { break };
                if !mutant.bytes.is_empty() && !self.matches(&mutant.bytes) {
                    mutants.push(Mutant { kind, value: mutant.text() });
                    break;
                }
            }
        }
        mutants
    }

    /// Whether the whole of `value` is valid: lengths, alphabets, literals, checksums.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        self.admit(value, Hex::AsWritten)
    }

    /// As [`matches`](Self::matches), but `hex` also takes the digits `A` to `F`: vendors print
    /// hexadecimal in one case, people copy it in either.
    ///
    /// ```
    /// use sift_rules::format::Format;
    ///
    /// let format = Format::parse("uuid")?;
    /// let value = b"5D3B0F5E-3C1A-4E0B-9D0E-7A1B2C3D4E5F";
    /// assert!(format.admits(value) && !format.matches(value));
    /// # Ok::<(), sift_rules::format::FormatError>(())
    /// ```
    #[must_use]
    pub fn admits(&self, value: &[u8]) -> bool {
        self.admit(value, Hex::EitherCase)
    }

    fn admit(&self, value: &[u8], hex: Hex) -> bool {
        let valid = |one: &Alternative| matches_terms(&one.terms, value, hex) && one.passes(value);
        self.alternatives.iter().any(valid)
    }

    fn alternative(&self, index: usize) -> &Alternative {
        const NONE: &Alternative = &Alternative { terms: Vec::new(), check: None };
        // `parse` leaves no format without alternatives.
        self.alternatives.get(index % self.alternatives.len().max(1)).unwrap_or(NONE)
    }
}

fn draw(terms: &[Term], rng: &mut Rng, length: impl Fn(&Term, &mut Rng) -> usize) -> Draft {
    let mut draft = Draft { bytes: Vec::new(), starts: Vec::with_capacity(terms.len()) };
    let mut since_literal = 0;
    for term in terms {
        draft.starts.push(draft.bytes.len());
        match term {
            Term::Literal(text) => {
                draft.bytes.extend_from_slice(text.as_bytes());
                since_literal = draft.bytes.len();
            }
            Term::Class { class, .. } => {
                let length = length(term, rng);
                draft.bytes.extend((0..length).map(|_| class.pick(rng)));
            }
            Term::Crc { digits } => {
                let sum = crc32(draft.bytes.get(since_literal..).unwrap_or_default());
                let start = draft.bytes.len();
                draft.bytes.resize(start + digits, b'0');
                if let Some(out) = draft.bytes.get_mut(start..) {
                    // The parser refuses terms too short for every CRC-32.
                    let _fits = base62_encode(u64::from(sum), out);
                }
            }
        }
    }
    draft
}

fn shortest(terms: &[Term], rng: &mut Rng) -> Draft {
    draw(terms, rng, |term, _| term.min())
}

fn looks_real(terms: &[Term], draft: &Draft) -> bool {
    let ends = draft.starts.iter().skip(1).copied().chain([draft.bytes.len()]);
    let mixed = terms.iter().zip(&draft.starts).zip(ends).all(|((term, &start), end)| match term {
        Term::Class { class, .. } if end - start >= 6 && class.mixes_letters_and_digits() => {
            let drawn = draft.bytes.get(start..end).unwrap_or_default();
            drawn.iter().any(u8::is_ascii_digit) && drawn.iter().any(u8::is_ascii_alphabetic)
        }
        _ => true,
    });
    let subject = Subject { value: &draft.bytes, before: b"", after: b"" };
    mixed && !matches!(Check::Placeholder.run(&subject), Outcome::Drop(_))
}

/// Whether `hex` in a format stands for its lower case alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hex {
    AsWritten,
    EitherCase,
}

/// Walks all ways to divide `value` among `terms` at once. A way is where it stands and where the
/// bytes of a checksum began; each term moves every way, so nothing is tried twice.
fn matches_terms(terms: &[Term], value: &[u8], hex: Hex) -> bool {
    let mut ways = vec![(0usize, 0usize)];
    for term in terms {
        let mut next = Vec::new();
        for &(at, since_literal) in &ways {
            let rest = value.get(at..).unwrap_or_default();
            match term {
                Term::Literal(text) if rest.starts_with(text.as_bytes()) => {
                    next.push((at + text.len(), at + text.len()));
                }
                Term::Class { class, min, max } => {
                    let folds = hex == Hex::EitherCase && class.is_hex();
                    let has = |b: u8| class.has(b) || folds && class.has(b.to_ascii_lowercase());
                    let fitting = rest.iter().take(*max).take_while(|&&b| has(b)).count();
                    next.extend((*min..=fitting).map(|length| (at + length, since_literal)));
                    // Many ways with wide ranges meet again and again: keep the list near the
                    // number of places.
                    if next.len() > 4 * MAX_BYTES {
                        next.sort_unstable();
                        next.dedup();
                    }
                }
                Term::Crc { digits } => {
                    let sum = crc32(value.get(since_literal..at).unwrap_or_default());
                    if rest.get(..*digits).and_then(base62_decode) == Some(u64::from(sum)) {
                        next.push((at + digits, since_literal));
                    }
                }
                Term::Literal(_) => {}
            }
        }
        next.sort_unstable();
        next.dedup();
        ways = next;
    }
    ways.iter().any(|&(at, _)| at == value.len())
}

fn start_of(draft: &Draft, term: usize) -> usize {
    draft.starts.get(term).copied().unwrap_or(draft.bytes.len())
}

/// Replaces the byte at `at` by one that `choices` has and that differs in more than case.
fn change(draft: &mut Draft, at: usize, choices: &Class, rng: &mut Rng) -> bool {
    let Some(byte) = draft.bytes.get_mut(at) else { return false };
    let others: Vec<u8> =
        choices.0.iter().copied().filter(|other| !other.eq_ignore_ascii_case(byte)).collect();
    let Some(&other) = others.get(rng.below(others.len())) else { return false };
    *byte = other;
    true
}

fn prefix_mutant(terms: &[Term], mut draft: Draft, rng: &mut Rng) -> Option<Draft> {
    let (term, text) = terms.iter().enumerate().find_map(|(at, term)| match term {
        Term::Literal(text) if text.bytes().any(|byte| byte.is_ascii()) => {
            Some((at, text.as_bytes()))
        }
        _ => None,
    })?;
    // A letter where there is one, then a digit, then any ASCII byte: the change must be seen
    // whatever the pattern thinks of case and punctuation.
    let places = |fits: fn(&u8) -> bool| -> Vec<usize> {
        (0..text.len()).filter(|&at| text.get(at).is_some_and(fits)).collect()
    };
    let places = [u8::is_ascii_alphabetic, u8::is_ascii_digit, u8::is_ascii]
        .into_iter()
        .map(places)
        .find(|places| !places.is_empty())?;
    let at = start_of(&draft, term) + places.get(rng.below(places.len())).copied()?;
    let upper = draft.bytes.get(at).is_some_and(u8::is_ascii_uppercase);
    let letters = Class::named(if upper { "upper" } else { "lower" })?;
    change(&mut draft, at, &letters, rng).then_some(draft)
}

fn length_mutant(terms: &[Term], mut draft: Draft, _rng: &mut Rng) -> Option<Draft> {
    // The last byte of the last term that is not a literal: before a closing literal, a shorter
    // class; at the end, simply less.
    let term = terms.iter().rposition(|term| !matches!(term, Term::Literal(_)))?;
    let end = start_of(&draft, term + 1);
    if end <= start_of(&draft, term) {
        return None;
    }
    draft.bytes.remove(end - 1);
    Some(draft)
}

fn alphabet_mutant(terms: &[Term], mut draft: Draft, _rng: &mut Rng) -> Option<Draft> {
    // In the order of what patterns least often allow; a class of all of these has no such mutant.
    const FOREIGN: &[u8] = b"!~^|,;@#%&*?$()<>{}[]'\"` \\:=+/._-";
    let (term, class, length) = terms
        .iter()
        .enumerate()
        .filter_map(|(at, term)| match term {
            Term::Class { class, min, .. } => Some((at, class, *min)),
            _ => None,
        })
        .max_by_key(|&(at, _, length)| (length, usize::MAX - at))?;
    let at = start_of(&draft, term) + length / 2;
    *draft.bytes.get_mut(at)? = FOREIGN.iter().copied().find(|&byte| !class.has(byte))?;
    Some(draft)
}

fn checksum_mutant(terms: &[Term], mut draft: Draft, rng: &mut Rng) -> Option<Draft> {
    // The digits of a checksum; where a check knows it, a character that may be one.
    let crc = terms.iter().enumerate().find_map(|(at, term)| match term {
        Term::Crc { digits } => Some((at, *digits, Class::named("base62")?)),
        _ => None,
    });
    let last = || {
        terms.iter().enumerate().rev().find_map(|(at, term)| match term {
            Term::Class { class, min, .. } => Some((at, *min, class.clone())),
            _ => None,
        })
    };
    let (term, digits, class) = crc.or_else(last)?;
    let at = start_of(&draft, term) + rng.below(digits);
    change(&mut draft, at, &class, rng).then_some(draft)
}

/// Recursive descent over the text; `at` is always on a character boundary.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn format(mut self) -> Result<Format, FormatError> {
        let mut alternatives = Vec::new();
        loop {
            alternatives.push(self.alternative()?);
            if !self.take('|') {
                break;
            }
        }
        if self.at < self.text.len() {
            return Err(self.error("`+`, `|` or the end"));
        }
        Ok(Format { alternatives })
    }

    fn alternative(&mut self) -> Result<Alternative, FormatError> {
        self.blanks();
        let start = self.at;
        let mut terms = Vec::new();
        loop {
            self.terms(&mut terms)?;
            if !self.take('+') {
                break;
            }
        }
        if terms.iter().map(Term::max).sum::<usize>() > MAX_BYTES {
            self.at = start;
            return Err(self.error(&format!("an alternative of at most {MAX_BYTES} bytes")));
        }
        self.blanks();
        let check = match self.text.get(self.at..).and_then(|rest| rest.strip_prefix("where ")) {
            Some(rest) => {
                self.at = self.text.len() - rest.len();
                self.blanks();
                let at = self.at;
                let name = self.word();
                let check = Check::from_name(name);
                if check.is_none() {
                    self.at = at;
                    return Err(self.error("the name of a check"));
                }
                check
            }
            None => None,
        };
        Ok(Alternative { terms, check })
    }

    /// One term as written; `uuid` is short for nine.
    fn terms(&mut self, terms: &mut Vec<Term>) -> Result<(), FormatError> {
        self.blanks();
        let start = self.at;
        match self.peek() {
            Some('"') => terms.push(self.literal()?),
            Some('[') => terms.push(Term::Class { class: self.bracket()?, min: 1, max: 1 }),
            Some('0'..='9') => terms.push(self.counted()?),
            _ if self.word() == "uuid" => {
                for (at, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
                    if at > 0 {
                        terms.push(Term::Literal("-".to_owned()));
                    }
                    let class = Class::of(&[b"0123456789abcdef"]);
                    terms.push(Term::Class { class, min: length, max: length });
                }
            }
            _ => {
                self.at = start;
                return Err(self
                    .error("a literal in double quotes, a class in brackets, a number or `uuid`"));
            }
        }
        Ok(())
    }

    fn literal(&mut self) -> Result<Term, FormatError> {
        let start = self.at;
        self.next();
        let mut literal = String::new();
        loop {
            let before = self.at;
            match self.next() {
                Some('"') if literal.is_empty() => {
                    self.at = start;
                    return Err(self.error("a literal that is not empty"));
                }
                Some('"') => return Ok(Term::Literal(literal)),
                Some('\\') => literal.push(self.escaped("`\\\"` or `\\\\`", &['"', '\\'])?),
                // A key block has lines; no other control character belongs in a secret.
                Some(character) if character == '\n' || !character.is_control() => {
                    literal.push(character);
                }
                _ => {
                    self.at = before;
                    return Err(self.error("`\"` at the end of the literal"));
                }
            }
        }
    }

    fn escaped(&mut self, expected: &str, allowed: &[char]) -> Result<char, FormatError> {
        match self.peek() {
            Some(character) if allowed.contains(&character) => {
                self.next();
                Ok(character)
            }
            _ => Err(self.error(expected)),
        }
    }

    fn bracket(&mut self) -> Result<Class, FormatError> {
        let start = self.at;
        self.next();
        let mut bytes = Vec::new();
        if self.peek() == Some('^') {
            return Err(self.error("a class that lists its bytes; negation does not exist here"));
        }
        while self.peek() != Some(']') {
            let from_at = self.at;
            let from = self.class_byte()?;
            let mut ahead = self.text.get(self.at..).unwrap_or_default().chars();
            // A hyphen before the closing bracket is itself.
            if ahead.next() == Some('-') && ahead.next().is_some_and(|next| next != ']') {
                self.next();
                let to = self.class_byte()?;
                if to < from {
                    self.at = from_at;
                    return Err(self.error("a range that goes up"));
                }
                bytes.extend(from..=to);
            } else {
                bytes.push(from);
            }
        }
        if bytes.is_empty() {
            self.at = start;
            return Err(self.error("a class that is not empty"));
        }
        self.next();
        Ok(Class::of(&[&bytes]))
    }

    fn class_byte(&mut self) -> Result<u8, FormatError> {
        match self.peek() {
            Some('\\') => {
                self.next();
                let escaped = self
                    .escaped("`\\]`, `\\[`, `\\-`, `\\^` or `\\\\`", &[']', '[', '-', '^', '\\'])?;
                Ok(escaped as u8)
            }
            Some(character @ ' '..='~') => {
                self.next();
                Ok(character as u8)
            }
            Some(_) => Err(self.error("a printable ASCII byte")),
            None => Err(self.error("`]` at the end of the class")),
        }
    }

    /// `N class`, `N-M class`, `N base62 crc32`.
    fn counted(&mut self) -> Result<Term, FormatError> {
        let start = self.at;
        let min = self.number()?;
        let max = if self.take('-') {
            self.blanks();
            let at = self.at;
            let max = self.number()?;
            if max < min {
                self.at = at;
                return Err(self.error(&format!("a number of at least {min}")));
            }
            max
        } else {
            min
        };
        self.blanks();
        if self.peek() == Some('[') {
            return Ok(Term::Class { class: self.bracket()?, min, max });
        }
        let at = self.at;
        let name = self.word();
        let Some(class) = Class::named(name) else {
            self.at = at;
            return Err(self.error(Class::NAMES));
        };
        self.blanks();
        let at = self.at;
        match self.word() {
            "" => Ok(Term::Class { class, min, max }),
            "where" => {
                self.at = at;
                Ok(Term::Class { class, min, max })
            }
            "crc32" if name == "base62" => {
                // 62^6 is the first power above 2^32.
                if min != max || min < 6 {
                    self.at = start;
                    return Err(
                        self.error("one number of digits, at least 6, before `base62 crc32`")
                    );
                }
                Ok(Term::Crc { digits: min })
            }
            _ => {
                self.at = at;
                Err(self.error("`+`, `|` or the end; `crc32` goes with `base62`"))
            }
        }
    }

    fn number(&mut self) -> Result<usize, FormatError> {
        let start = self.at;
        while matches!(self.peek(), Some('0'..='9')) {
            self.next();
        }
        let number = self.text.get(start..self.at).and_then(|digits| digits.parse().ok());
        match number {
            Some(number @ 1..=MAX_BYTES) => Ok(number),
            _ => {
                self.at = start;
                Err(self.error(&format!("a number from 1 to {MAX_BYTES}")))
            }
        }
    }

    fn word(&mut self) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(|next| next.is_ascii_alphanumeric() || next == '_') {
            self.next();
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|next| next.is_ascii_whitespace()) {
            self.next();
        }
    }

    /// Steps over blanks and, if it is next, over `wanted`.
    fn take(&mut self, wanted: char) -> bool {
        self.blanks();
        let found = self.peek() == Some(wanted);
        if found {
            self.next();
        }
        found
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn error(&self, expected: &str) -> FormatError {
        FormatError { position: self.at, expected: expected.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Check, Format, MutantKind, Outcome, Rng, Subject};

    const GITHUB: &str = r#""gh" + [pousr] + "_" + 30 alnum + 6 base62 crc32"#;

    const FORMATS: &[&str] = &[
        GITHUB,
        r#""AKIA" + 16 [A-Z2-7]"#,
        r#""sk_" + 24-34 alnum | "rk_" + 99 alnum"#,
        "32 hex | 40 HEX | 20-24 lowalnum",
        r#"8-10 digit + ":" + 35 base64url"#,
        r#"64 base64 + "==""#,
        r#""xoxb-" + 10-13 digit + "-" + 24 alnum"#,
        r#""{" + 12 [!-~] + "}""#,
        r#""a" + 1 lower"#,
        r#""éa" + 20 base32 + "ß" + 10 upalnum + 8 base62 crc32 + 2-4 upper"#,
        "16 lower+16 upper",
        "12-14 [-a] + \"\\\"\\\\\" + 3 [a\\]\\-]",
    ];

    fn parse(text: &str) -> Format {
        Format::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn generated_values_are_valid_and_of_the_right_length() {
        for text in FORMATS {
            let format = parse(text);
            let mut rng = Rng::new(5);
            for round in 0..300 {
                let value = format.generate(&mut rng, round);
                assert!(format.matches(value.as_bytes()), "round {round} of {text}");
            }
        }
        let mut rng = Rng::new(6);
        let lengths: std::collections::BTreeSet<usize> = (0..600)
            .map(|round| parse(FORMATS[2]).generate(&mut rng, 2 * round).len() - 3)
            .collect();
        assert_eq!(lengths, (24..=34).collect());
    }

    #[test]
    fn each_alternative_in_turn() {
        let format = parse(FORMATS[3]);
        assert_eq!(format.alternatives(), 3);
        let mut rng = Rng::new(1);
        for round in 0..30 {
            let length = format.generate(&mut rng, round).len();
            match round % 3 {
                0 => assert_eq!(length, 32),
                1 => assert_eq!(length, 40),
                _ => assert!((20..=24).contains(&length)),
            }
        }
    }

    #[test]
    fn checksums_are_what_the_check_proves() {
        let format = parse(GITHUB);
        let mut rng = Rng::new(32);
        for round in 0..500 {
            let value = format.generate(&mut rng, round);
            let run = |value: &str| {
                Check::GithubCrc32.run(&Subject {
                    value: value.as_bytes(),
                    before: b"",
                    after: b"",
                })
            };
            assert_eq!(run(&value), Outcome::Proven);
            let mutants = format.mutants(&mut rng, round);
            let wrong = mutants.iter().find(|mutant| mutant.kind == MutantKind::Checksum);
            assert_eq!(run(&wrong.expect("a format with a checksum").value), Outcome::Set(0.6));
        }
    }

    #[test]
    fn generated_values_pass_the_checks_of_real_ones() {
        for text in &FORMATS[..7] {
            let format = parse(text);
            let mut rng = Rng::new(7);
            for round in 0..300 {
                let value = format.generate(&mut rng, round);
                let subject = Subject { value: value.as_bytes(), before: b"", after: b"" };
                for check in [Check::Placeholder, Check::HasDigit, Check::Mixed] {
                    assert_eq!(check.run(&subject), Outcome::Keep, "{check:?}, {text}, {round}");
                }
                assert!(sift_checks::entropy(value.as_bytes()) >= 3.0, "{text}, {round}");
            }
        }
    }

    #[test]
    fn mutants_are_wrong_in_one_way() {
        use MutantKind::{Alphabet, Checksum, Length, Prefix};
        let expected: &[&[MutantKind]] = &[
            &[Prefix, Length, Alphabet, Checksum],
            &[Prefix, Length, Alphabet],
            &[Prefix, Length, Alphabet],
            &[Length, Alphabet],
            &[Prefix, Length, Alphabet],
            &[Prefix, Length, Alphabet],
            &[Prefix, Length, Alphabet],
            &[Prefix, Length, Alphabet],
            &[Prefix, Length, Alphabet],
            &[Prefix, Length, Alphabet, Checksum],
            &[Length, Alphabet],
            &[Prefix, Length, Alphabet],
        ];
        for (text, expected) in FORMATS.iter().zip(expected) {
            let format = parse(text);
            for seed in 0..100 {
                let mut rng = Rng::new(seed);
                let mutants = format.mutants(&mut rng, seed as usize);
                let kinds: Vec<MutantKind> = mutants.iter().map(|mutant| mutant.kind).collect();
                assert_eq!(&kinds, expected, "{text}");
                for mutant in mutants {
                    assert!(!format.matches(mutant.value.as_bytes()), "{text}, {:?}", mutant.kind);
                }
            }
        }
    }

    #[test]
    fn a_length_mutant_is_one_byte_short_and_the_others_are_not() {
        let format = parse(r#""sk_" + 24-34 alnum + "==""#);
        for mutant in format.mutants(&mut Rng::new(3), 0) {
            let short = usize::from(mutant.kind == MutantKind::Length);
            assert_eq!(mutant.value.len(), 29 - short);
            assert!(mutant.value.ends_with("=="));
            assert_eq!(mutant.value.starts_with("sk_"), mutant.kind != MutantKind::Prefix);
            assert_eq!(mutant.value.contains('!'), mutant.kind == MutantKind::Alphabet);
        }
    }

    #[test]
    fn a_mutant_that_another_alternative_allows_is_left_out() {
        let format = parse("20 hex | 19 hex");
        let kinds = |index| -> Vec<MutantKind> {
            format.mutants(&mut Rng::new(1), index).iter().map(|mutant| mutant.kind).collect()
        };
        assert_eq!(kinds(0), [MutantKind::Alphabet]);
        assert_eq!(kinds(1), [MutantKind::Length, MutantKind::Alphabet]);
    }

    #[test]
    fn a_uuid_in_either_case() {
        let format = parse(r#"uuid | "key-" + 8 hex | 8 lower"#);
        let mut rng = Rng::new(4);
        let uuid = format.generate(&mut rng, 0);
        assert_eq!(uuid.len(), 36);
        for value in [uuid.as_str(), "key-0123abcd"] {
            assert!(format.matches(value.as_bytes()) && format.admits(value.as_bytes()));
        }
        for (value, admitted) in [
            (uuid.to_uppercase().as_str(), true),
            ("key-0123ABcd", true),
            ("KEY-0123abcd", false),
            ("ABCDEFGH", false),
            ("key-0123abcg", false),
        ] {
            assert_eq!(format.admits(value.as_bytes()), admitted);
            assert!(!format.matches(value.as_bytes()));
        }
    }

    #[test]
    fn a_mutant_does_not_print_its_value() {
        for mutant in parse(GITHUB).mutants(&mut Rng::new(9), 0) {
            assert!(!format!("{mutant:?}").contains(&mutant.value));
        }
    }

    #[test]
    fn a_check_keeps_the_values_it_does_not_drop() {
        let format = parse(r#""DE" + 20 digit where iban | 3 digit + "-" + 3 digit where luhn"#);
        let mut rng = Rng::new(13);
        for round in 0..40 {
            let value = format.generate(&mut rng, round);
            let check = [Check::Iban, Check::Luhn][round % 2];
            let subject = Subject { value: value.as_bytes(), before: b"", after: b"" };
            assert!(!matches!(check.run(&subject), Outcome::Drop(_)), "{check:?}");
            let kinds: Vec<MutantKind> =
                format.mutants(&mut rng, round).iter().map(|mutant| mutant.kind).collect();
            assert!(kinds.contains(&MutantKind::Checksum), "{check:?}");
        }
        let error = Format::parse("9 digit where prime").unwrap_err();
        assert_eq!((error.position, error.expected.as_str()), (14, "the name of a check"));
    }

    #[test]
    fn refusals_say_where_and_what() {
        for (text, position) in [
            ("", 0),
            ("   ", 3),
            ("alnum", 0),
            ("\"\"", 0),
            ("\"abc", 4),
            ("\"a\\n\"", 3),
            ("\"a\t\"", 2),
            ("[]", 0),
            ("[^a]", 1),
            ("[z-a]", 1),
            ("[ab", 3),
            ("[é]", 1),
            ("0 hex", 0),
            ("99999999999999999999 hex", 0),
            ("5-4 hex", 2),
            ("5- hex", 3),
            ("5 alphanum", 2),
            ("5", 1),
            ("5 hex crc32", 6),
            ("5 hex lower", 6),
            ("5 base62 crc32", 0),
            ("6-7 base62 crc32", 0),
            ("5 hex +", 7),
            ("5 hex |", 7),
            ("5 hex 6 hex", 6),
            ("\"a\" \"b\"", 4),
            ("9000 hex + 9000 hex", 0),
        ] {
            let error = Format::parse(text).expect_err(text);
            assert_eq!(error.position, position, "`{text}`: {error}");
            assert!(!error.expected.is_empty());
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused() {
        let pieces = [
            "\"",
            "[",
            "]",
            "-",
            "+",
            "|",
            " ",
            "5",
            "12",
            "hex",
            "base62",
            "crc32",
            "\\",
            "^",
            "é",
            "a-z",
            "\n",
            "\"ab\"",
            "[ab]",
            "3-4 lower",
        ];
        let mut rng = Rng::new(11);
        let mut parsed = 0;
        for _ in 0..50_000 {
            let count = rng.below(9);
            let text: String = (0..count).map(|_| pieces[rng.below(pieces.len())]).collect();
            match Format::parse(&text) {
                Ok(format) => {
                    parsed += 1;
                    let value = format.generate(&mut rng, 0);
                    assert!(format.matches(value.as_bytes()), "{text}");
                    let _ = format.mutants(&mut rng, 0);
                }
                Err(error) => assert!(error.position <= text.len()),
            }
        }
        assert!(parsed > 100, "only {parsed} texts were formats");
    }

    #[test]
    fn numbers_stay_the_same_and_below_their_limit() {
        // SplitMix64 as published, seed 1234567.
        let mut rng = Rng::new(1_234_567);
        let numbers: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
        let mut counts = [0; 7];
        for _ in 0..70_000 {
            counts[rng.below(7)] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
    }
}
