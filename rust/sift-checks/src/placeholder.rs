//! Values that stand where a secret should be: example words, masks, counting, repetition.
//!
//! A random token may contain `abc` and a real one begins with `sk_test_`, so nothing but masks is
//! decided by presence. One walk over the value adds up the bytes that words and sequences cover,
//! and the share of the whole decides. Numbers behind the limits: a given word of five letters
//! stands in one of 800,000 random base62 values of 40 bytes, one of four in one of 25,000.

use crate::code::has_enclosed_name;

/// What a word says about the value around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nobody writes it into a secret: a sixth of the value is enough.
    Marker,
    /// Also the label of a test key: two fifths of the value.
    Hint,
    /// Fills the space between the others; alone it decides only when it is everything.
    Filler,
    /// Keys that lie side by side: counts as a sequence.
    Keys,
}

use Kind::{Filler, Hint, Keys, Marker};

/// Lower case; grouped by first letter, the longer of two that begin alike first (tested).
const WORDS: &[(&[u8], Kind)] = &[
    (b"account", Filler),
    (b"access", Filler),
    (b"actual", Filler),
    (b"admin", Filler),
    (b"asdf", Keys),
    (b"auth", Filler),
    (b"add", Filler),
    (b"any", Filler),
    (b"api", Filler),
    (b"app", Filler),
    (b"bogus", Hint),
    (b"blah", Hint),
    (b"bar", Hint),
    (b"baz", Hint),
    (b"changethis", Marker),
    (b"changeme", Marker),
    (b"changeit", Marker),
    (b"censored", Marker),
    (b"correct", Filler),
    (b"change", Hint),
    (b"client", Filler),
    (b"company", Filler),
    (b"deadbeef", Keys),
    (b"database", Filler),
    (b"default", Hint),
    (b"domain", Filler),
    (b"dummy", Hint),
    (b"demo", Hint),
    (b"examples", Marker),
    (b"example", Marker),
    (b"enter", Filler),
    (b"foobar", Hint),
    (b"fixme", Hint),
    (b"faked", Hint),
    (b"fake", Hint),
    (b"foo", Hint),
    (b"generated", Filler),
    (b"goes", Filler),
    (b"hidden", Hint),
    (b"here", Filler),
    (b"insert", Hint),
    (b"invalid", Hint),
    (b"ipsum", Hint),
    (b"just", Filler),
    (b"keys", Filler),
    (b"key", Filler),
    (b"lorem", Hint),
    (b"local", Filler),
    (b"long", Filler),
    (b"masked", Hint),
    (b"mocked", Hint),
    (b"mock", Hint),
    (b"me", Filler),
    (b"my", Filler),
    (b"nothing", Hint),
    (b"name", Filler),
    (b"none", Filler),
    (b"not", Filler),
    (b"obfuscated", Marker),
    (b"only", Filler),
    (b"own", Filler),
    (b"placeholder", Marker),
    (b"password", Filler),
    (b"private", Filler),
    (b"project", Filler),
    (b"public", Filler),
    (b"passwd", Filler),
    (b"paste", Filler),
    (b"pass", Filler),
    (b"put", Filler),
    (b"qwerty", Keys),
    (b"qwer", Keys),
    (b"qux", Hint),
    (b"redacted", Marker),
    (b"replacement", Marker),
    (b"replacethis", Marker),
    (b"replaceme", Marker),
    (b"removed", Hint),
    (b"replace", Hint),
    (b"random", Filler),
    (b"real", Filler),
    (b"sanitized", Marker),
    (b"specimen", Marker),
    (b"samples", Hint),
    (b"sample", Hint),
    (b"secrets", Filler),
    (b"secret", Filler),
    (b"server", Filler),
    (b"service", Filler),
    (b"something", Filler),
    (b"string", Filler),
    (b"super", Filler),
    (b"some", Filler),
    (b"stub", Hint),
    (b"testing", Hint),
    (b"tester", Hint),
    (b"tests", Hint),
    (b"tokens", Filler),
    (b"token", Filler),
    (b"test", Hint),
    (b"this", Filler),
    (b"todo", Hint),
    (b"tbd", Hint),
    (b"the", Filler),
    (b"unknown", Hint),
    (b"username", Filler),
    (b"user", Filler),
    (b"use", Filler),
    (b"valid", Filler),
    (b"value", Filler),
    (b"with", Filler),
    (b"your", Hint),
    (b"zxcv", Keys),
];

/// By first letter: where its words lie in `WORDS`.
const RANGES: [(u8, u8); 26] = {
    let mut ranges = [(0, 0); 26];
    let mut at = 0;
    while at < WORDS.len() {
        let letter = (WORDS[at].0[0] - b'a') as usize;
        if ranges[letter].1 == 0 {
            ranges[letter].0 = at as u8;
        }
        ranges[letter].1 = at as u8 + 1;
        at += 1;
    }
    ranges
};

/// By first letter: the second letters its words have. Most positions of a value end here.
const SECOND: [u32; 26] = {
    let mut second = [0u32; 26];
    let mut at = 0;
    while at < WORDS.len() {
        let word = WORDS[at].0;
        second[(word[0] - b'a') as usize] |= 1 << (word[1] - b'a');
        at += 1;
    }
    second
};

/// How many first letters of a word the screen looks at.
const DEPTH: usize = 4;

/// `SCREEN[d][c]`: the words, one bit each, whose letter `d` is `c` (1 to 26; 0 is no letter), for
/// the words that can decide on their own. Words shorter than `DEPTH` allow anything behind them.
///
/// Four look-ups and three ANDs tell whether any word can begin at a position. Of random base62
/// positions one in 4,000 passes, so the walk below is left to values that deserve it.
const SCREEN: [[u64; 27]; DEPTH] = {
    let mut screen = [[0u64; 27]; DEPTH];
    let (mut at, mut bit) = (0, 0);
    while at < WORDS.len() {
        let (word, kind) = WORDS[at];
        if !matches!(kind, Filler) {
            let mut depth = 0;
            while depth < DEPTH {
                if depth < word.len() {
                    screen[depth][(word[depth] - b'a' + 1) as usize] |= 1 << bit;
                } else {
                    let mut class = 0;
                    while class < 27 {
                        screen[depth][class] |= 1 << bit;
                        class += 1;
                    }
                }
                depth += 1;
            }
            // More words than bits would share them, which only lets more positions pass.
            bit = (bit + 1) % 64;
        }
        at += 1;
    }
    screen
};

/// 1 to 26 for letters of either case, 0 for all else.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut letter = 0;
    while letter < 26 {
        class[(b'a' + letter) as usize] = letter + 1;
        class[(b'A' + letter) as usize] = letter + 1;
        letter += 1;
    }
    class
};

fn class(byte: u8) -> usize {
    usize::from(CLASS[usize::from(byte)])
}

/// What one quick look at a value tells.
struct Look {
    seen: Seen,
    /// A word that is not a filler may begin somewhere.
    word: bool,
    /// How many bytes continue a sequence by a third byte or more. Over-counts, never misses.
    runs: usize,
}

fn look(value: &[u8]) -> Look {
    let mut seen = [0u64; 4];
    let (mut word, mut runs) = (0u64, 0usize);
    // The words that the letters up to here leave possible, by how many of their letters they have.
    let (mut one, mut two, mut three) = (0u64, 0u64, 0u64);
    let (mut last, mut step) = (0u8, 0x80u8);
    for &byte in value {
        seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
        let class = class(byte);
        word |= three & SCREEN[3][class];
        three = two & SCREEN[2][class];
        two = one & SCREEN[1][class];
        one = SCREEN[0][class];
        // Steps of -1, 0, 1 and those between 9 and 0. `| 0x20` makes the two cases alike, and
        // some marks too, which is what over-counts.
        let folded = byte | 0x20;
        let next = match folded.wrapping_sub(last) {
            0xf7 => 1,
            9 => 0xff,
            other => other,
        };
        runs += usize::from(next == step && next.wrapping_add(1) <= 2);
        (last, step) = (folded, next);
    }
    // Short words at the very end.
    word |= three & SCREEN[3][0] | two & SCREEN[2][0] & SCREEN[3][0];
    Look { seen: Seen(seen), word: word != 0, runs }
}

/// The longest word at the start of `text`. Words of up to four letters need `boundary`: on their
/// left, something that is not the middle of another word.
fn word_at(text: &[u8], boundary: bool) -> Option<(usize, Kind)> {
    let (first, second) = match text {
        [first, second, ..] => (first | 0x20, second | 0x20),
        _ => return None,
    };
    let (first, second) = (first.wrapping_sub(b'a'), second.wrapping_sub(b'a'));
    let seconds = *SECOND.get(usize::from(first))?;
    if second >= 26 || seconds >> second & 1 == 0 {
        return None;
    }
    let (start, end) = *RANGES.get(usize::from(first))?;
    WORDS.get(usize::from(start)..usize::from(end))?.iter().find_map(|&(word, kind)| {
        let found = (boundary || word.len() > 4)
            && text.get(..word.len()).is_some_and(|text| text.eq_ignore_ascii_case(word));
        found.then_some((word.len(), kind))
    })
}

/// Counting up, counting down and standing still read alike in either case; 0 follows 9.
fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphabetic() {
        byte | 0x20
    } else {
        byte
    }
}

fn step(from: u8, to: u8) -> Option<i8> {
    match (fold(from), fold(to)) {
        (b'9', b'0') => Some(1),
        (b'0', b'9') => Some(-1),
        (from, to) if !from.is_ascii_alphanumeric() && from != to => None,
        (from, to) => match to.wrapping_sub(from) {
            0 => Some(0),
            1 => Some(1),
            u8::MAX => Some(-1),
            _ => None,
        },
    }
}

/// Length of the sequence at the start of `text` (`1234`, `fedc`, `aaaa`), 1 if there is none.
fn run_at(text: &[u8]) -> usize {
    let (Some(&first), Some(&second)) = (text.first(), text.get(1)) else { return text.len() };
    let Some(direction) = step(first, second) else { return 1 };
    let more = text.windows(2).skip(1).take_while(|pair| step(pair[0], pair[1]) == Some(direction));
    2 + more.count()
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'_' | b' ' | b'.')
}

/// The set of bytes a value has.
struct Seen([u64; 4]);

impl Seen {
    fn count(&self) -> usize {
        self.0.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    fn has_separator(&self) -> bool {
        [b'-', b'_', b' ', b'.'].iter().any(|&byte| self.has(byte))
    }

    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }
}

/// `***`, `...`, their typographic kin, and text in angle or square brackets.
fn is_masked(value: &[u8], seen: &Seen) -> bool {
    let contains = |mask: &[u8]| value.windows(mask.len()).any(|window| window == mask);
    let blank = |inner: &[u8]| {
        inner.len() >= 2
            && inner.iter().all(|&byte| byte.is_ascii_alphabetic() || is_separator(byte))
    };
    (seen.has(b'*') && contains(b"***"))
        || (seen.has(b'.') && contains(b"..."))
        || (seen.has(0xe2) && (contains("…".as_bytes()) || contains("••".as_bytes())))
        || (seen.has(b'<')
            && seen.has(b'>')
            && value.iter().position(|&byte| byte == b'<').is_some_and(|open| {
                let inner = value[open + 1..].split(|&byte| byte == b'>').next();
                inner.is_some_and(blank) && inner.is_some_and(|i| open + 1 + i.len() < value.len())
            }))
        || matches!(value, [b'[', inner @ .., b']'] if blank(inner))
}

/// Whether seven tenths of the bytes, and of the 64 in the middle, repeat what stood up to eight
/// bytes before them.
fn is_repeated(value: &[u8], distinct: usize) -> bool {
    // A value that repeats has few distinct bytes: one unit, and those that break the pattern.
    if distinct > 8 + value.len() * 3 / 10 {
        return false;
    }
    let middle = value.len().saturating_sub(64) / 2;
    repeats(value.get(middle..middle + 64).unwrap_or(value))
        && (value.len() <= 64 || repeats(value))
}

fn repeats(value: &[u8]) -> bool {
    // All eight distances at once: the last eight bytes are the lanes of a word, and a lane that
    // equals the next byte counts one.
    const LOW: u64 = 0x0101_0101_0101_0101;
    const SEVEN: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let mut same = [0usize; 8];
    let mut before = 0u64;
    // No lane can overflow within 255 bytes.
    for chunk in value.chunks(255) {
        let mut lanes = 0u64;
        for &byte in chunk {
            let differs = before ^ LOW.wrapping_mul(u64::from(byte));
            let equal = !(((differs & SEVEN).wrapping_add(SEVEN)) | differs | SEVEN);
            lanes = lanes.wrapping_add(equal >> 7);
            before = before << 8 | u64::from(byte);
        }
        for (same, lane) in same.iter_mut().zip(lanes.to_le_bytes()) {
            *same += usize::from(lane);
        }
    }
    (1..=8usize.min(value.len() / 2)).zip(same).any(|(period, same)| {
        // A NUL equals what is not there; a value of those has been dropped for its few bytes.
        same * 10 >= (value.len() - period) * 7
    })
}

/// `password` as in examples: after `my`, with the usual signs for letters, before a few digits or marks.
fn is_spelled_password(value: &[u8]) -> bool {
    let value = match value {
        [b'm' | b'M', b'y' | b'Y', rest @ ..] => rest.strip_prefix(b"_").unwrap_or(rest),
        _ => value,
    };
    let signs: [&[u8]; 8] = [b"p", b"a@4", b"s$5", b"s$5", b"w", b"o0", b"r", b"d"];
    let spelled = value.len() >= signs.len()
        && value.iter().zip(signs).all(|(byte, signs)| signs.contains(&byte.to_ascii_lowercase()));
    spelled
        && value.len() <= signs.len() + 4
        && value[signs.len()..]
            .iter()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_punctuation())
}

/// Whether `value` is a stand-in for a secret.
pub(crate) fn is_placeholder(value: &[u8]) -> bool {
    let Look { seen, word, runs } = look(value);
    let distinct = seen.count();
    if distinct < 4 || is_masked(value, &seen) || is_repeated(value, distinct) {
        return true;
    }
    if is_own_name(value)
        || ends_as_name(value)
        || is_spelled_password(value)
        || runs >= 2 && is_blanked(value)
    {
        return true;
    }
    // Without a telling word, sequences must cover half, and a sequence has at most three bytes for
    // each that continues it; or fillers must cover all, beginning with the first byte. A mask of
    // `x` continues twice.
    let separators_at_most = if seen.has_separator() { value.len() } else { 0 };
    let start = value.iter().position(|&byte| !is_separator(byte)).unwrap_or(0);
    let filled = word_at(&value[start..], true).is_some() || run_at(&value[start..]) >= 3;
    let few_runs = runs * 6 + separators_at_most < value.len()
        || runs * 6 < value.iter().filter(|&&byte| !is_separator(byte)).count();
    let mask = runs >= 2
        && (seen.has(b'x') || seen.has(b'X'))
        && value.windows(4).any(|four| four == b"xxxx" || four == b"XXXX");
    if !word && few_runs && !filled && !mask {
        return false;
    }
    covered_enough(value)
}

/// What words and sequences cover of a value.
struct Cover {
    /// Bytes of words and the numbers behind them, bytes of sequences, and those of neither side.
    worded: usize,
    counted: usize,
    separators: usize,
    fillers: usize,
    marker: bool,
    hint: bool,
    /// A run of `x` that is a mask on its own.
    mask: bool,
}

/// The walk: how much of the value do words and sequences cover? Ends at the first mask.
fn cover(value: &[u8]) -> Cover {
    let (mut worded, mut counted, mut separators, mut fillers) = (0usize, 0usize, 0usize, 0usize);
    let (mut marker, mut hint, mut mask) = (false, false, false);
    // Whether a word or sequence ends here; and how many digits may follow as its number.
    let (mut after_cover, mut number) = (false, 0usize);
    // One random hexadecimal digit in 85 begins a run of three: nothing to count in a long value.
    let shortest_run = if value.len() <= 16 { 3 } else { 4 };
    let mut last = 0u8;
    let mut at = 0;
    while at < value.len() {
        let tail = &value[at..];
        let byte = tail[0];
        if is_separator(byte) {
            separators += 1;
            last = byte;
            at += 1;
            continue;
        }
        let boundary = after_cover
            || !last.is_ascii_alphabetic()
            || last.is_ascii_lowercase() && byte.is_ascii_uppercase();
        let length = if let Some((length, kind)) = word_at(tail, boundary) {
            number = 4;
            match kind {
                Marker => marker = true,
                Hint => {
                    hint = true;
                    // `your-` and `YOUR_` open a phrase, `yours` and `Youri` do not.
                    marker |= length == 4
                        && tail.get(4).is_some_and(|&byte| is_separator(byte))
                        && tail[..4].eq_ignore_ascii_case(b"your");
                }
                Filler => fillers += 1,
                Keys => {}
            }
            if kind == Keys {
                counted += length;
            } else {
                worded += length;
            }
            length
        } else {
            let run = run_at(tail);
            let digits = tail.iter().take(5).take_while(|byte| byte.is_ascii_digit()).count();
            let numbered = (1..=number).contains(&digits);
            number = 0;
            if run >= shortest_run {
                let letter = byte == b'x' || byte == b'X';
                if letter && run >= 4 && tail[1] == byte && run * 12 >= value.len() {
                    mask = true;
                    break;
                }
                counted += run;
                run
            } else if numbered {
                // The number of a test user.
                worded += digits;
                digits
            } else {
                last = byte;
                after_cover = false;
                at += 1;
                continue;
            }
        };
        after_cover = true;
        at += length;
        last = value[at - 1];
    }

    Cover { worded, counted, separators, fillers, marker, hint, mask }
}

/// Whether words and sequences cover enough of `value` to make a stand-in of it.
fn covered_enough(value: &[u8]) -> bool {
    let Cover { worded, counted, separators, fillers, marker, hint, mask } = cover(value);
    let plain = value.len() - separators;
    let covered = worded + counted;
    mask || (marker && covered * 6 >= plain)
        || (hint && covered * 5 >= plain * 2)
        || (counted >= 5 && counted * 2 >= plain)
        || (fillers >= 2 && covered >= plain)
}

fn is_own_name(value: &[u8]) -> bool {
    OWN_NAMES.iter().any(|name| value.eq_ignore_ascii_case(name))
}

/// Whether `value` is a name whose last word is such a field: `url_password`, `handler.token`.
fn ends_as_name(value: &[u8]) -> bool {
    let Some(at) = value.iter().rposition(|byte| b"_.-".contains(byte)) else { return false };
    let (owner, field) = (&value[..at], &value[at + 1..]);
    (is_own_name(field) || field.eq_ignore_ascii_case(b"secret"))
        && owner.first().is_some_and(u8::is_ascii_alphabetic)
        && owner.iter().all(|byte| byte.is_ascii_alphabetic() || b"_.-".contains(byte))
}

/// What a field is called, and what is written into it to show where the value goes.
const OWN_NAMES: [&[u8]; 10] = [
    b"password",
    b"passwd",
    b"pass",
    b"pwd",
    b"token",
    b"api_key",
    b"apikey",
    b"api-key",
    b"key",
    b"secret_key",
];

/// Whether `value` was never filled in: masks, template expressions, a phrase that asks for it.
///
/// Milder than [`is_placeholder`]: counting, repetition and a stray example word are left alone, for
/// rules whose prefix or provider name has said that this is a key, made up or not.
pub(crate) fn is_unfilled(value: &[u8]) -> bool {
    let Look { seen, word, runs } = look(value);
    if seen.count() < 3 || is_masked(value, &seen) || is_own_name(value) || has_enclosed_name(value)
    {
        return true;
    }
    if runs >= 2 && is_blanked(value) {
        return true;
    }
    if !word {
        return false;
    }
    let Cover { worded, separators, marker, hint, mask, .. } = cover(value);
    let plain = value.len() - separators;
    mask || (marker && worded * 4 >= plain) || (hint && worded >= plain)
}

/// Runs of four and more: of `x` or `#` a twelfth of the value, or of zeros half of it.
fn is_blanked(value: &[u8]) -> bool {
    let (mut masks, mut zeros) = (0usize, 0usize);
    for run in value.chunk_by(|left, right| left == right).filter(|run| run.len() >= 4) {
        match run[0] {
            b'x' | b'X' | b'#' => masks += run.len(),
            b'0' => zeros += run.len(),
            _ => {}
        }
    }
    masks > 0 && masks * 12 >= value.len() || zeros * 2 >= value.len()
}

#[cfg(test)]
mod tests {
    use super::{covered_enough, is_placeholder, is_unfilled, WORDS};
    use crate::testing::{Random, BASE62, HEX};

    #[test]
    fn words_are_grouped_and_the_longer_comes_first() {
        for (at, (word, _)) in WORDS.iter().enumerate() {
            assert!(word.len() >= 2 && word.iter().all(u8::is_ascii_lowercase));
            for (later, _) in &WORDS[at + 1..] {
                assert!(!later.starts_with(word), "{}", String::from_utf8_lossy(later));
            }
        }
        assert!(WORDS.windows(2).all(|pair| pair[0].0[0] <= pair[1].0[0]));
        assert!(WORDS.len() < 256);
    }

    /// The screen may let values through to the walk, and must not hold one back that it drops.
    #[test]
    fn the_screen_misses_nothing() {
        let mut random = Random::new(4);
        let mut dropped = 0;
        for round in 0..200_000 {
            let mut value = Vec::new();
            for _ in 0..1 + random.next() % 5 {
                match random.next() % 6 {
                    0 | 1 => {
                        let word = WORDS[(random.next() % WORDS.len() as u64) as usize].0;
                        value.extend(match random.next() % 3 {
                            0 => word.to_ascii_uppercase(),
                            _ => word.to_vec(),
                        });
                    }
                    2 => {
                        let length = (random.next() % 9) as usize;
                        let start =
                            b"0123456789abcdefghijklmnopqrstuvwxyzabcdefg9876543210xxxxxxxxx";
                        let at = (random.next() % 50) as usize;
                        value.extend(&start[at..at + length]);
                    }
                    3 => value.push(b"-_ .+/="[(random.next() % 7) as usize]),
                    _ => {
                        let length = (random.next() % 12) as usize;
                        value.extend(
                            random.bytes(if round % 2 == 0 { BASE62 } else { HEX }, length),
                        );
                    }
                }
            }
            if covered_enough(&value) {
                dropped += 1;
                assert!(is_placeholder(&value), "round {round}, {} bytes", value.len());
            }
        }
        assert!(dropped > 10_000, "only {dropped} values were covered");
    }

    #[test]
    fn stand_ins() {
        for value in [
            "",
            "aaaaaaaaaaaaaaaa",
            "xxxxxxxx",
            "XXXX-XXXX-XXXX",
            "********",
            "abc***xyz9",
            "sk-abc...wxyz",
            "sk-9fK2…Qd81",
            "••••••••",
            "<your-token>",
            "sk-<API_KEY>",
            "[YOUR TOKEN]",
            "your_api_key",
            "YOUR-SECRET-KEY-HERE",
            "yourApiKeyHere",
            "changeme",
            "change-me-please",
            "ChangeMe123",
            "redacted",
            "REDACTED_BY_POLICY",
            "example",
            "my-example-token",
            "dummy_password",
            "test",
            "test1234",
            "testtoken",
            "TEST_KEY_1",
            "fake-api-key-1234",
            "1234567890",
            "0123456789abcdef0123456789abcdef",
            "abcdefghijklmnop",
            "987654321",
            "qwertyuiop",
            "qwerty123456",
            "abc123xyz",
            "deadbeefdeadbeef",
            "abababababababab",
            "foobarfoobarfoobar",
            "foobar",
            "1a2b1a2b1a2b1a2b",
            "insert-token-here",
            "sk_live_your_key_here",
            "my-secret-token",
            "mySecretKey",
            "REPLACE_ME",
            "placeholder",
            "0000000000000000",
            "sk_test_xxxxxxxxxxxxxxxxxxxxxxxx",
            "todo-set-this",
            "secret_key",
            "abcd1234efgh5678",
            "P@ssw0rd",
            "myp@ssw0rd1!",
            "url_password",
            "handler.password",
            "Pa$$word123",
            "11111111-2222-3333-4444-555555555555",
        ] {
            assert!(is_placeholder(value.as_bytes()), "`{value}` is a stand-in");
        }
        // The key pair that Amazon prints in its documents, put together so that no scanner of
        // this file reports it.
        assert!(is_placeholder(["AKIAIOSFODNN7", "EXAMPLE"].concat().as_bytes()));
        let secret = ["wJalrXUtnFEMI", "/K7MDENG/", "bPxRfiCY", "EXAMPLEKEY"].concat();
        assert!(is_placeholder(secret.as_bytes()));
    }

    #[test]
    fn secrets_with_labels_stay() {
        let mut random = Random::new(1);
        for label in [
            "",
            "sk_test_",
            "test_",
            "demo-",
            "api-key-",
            "my_token_",
            "abc123",
            "fake-",
            "key-",
            "sample_",
            "user:",
            "secret",
        ] {
            let mut dropped = 0;
            for _ in 0..1_000 {
                for alphabet in [BASE62, HEX] {
                    let value = [label.as_bytes(), &random.bytes(alphabet, 32)].concat();
                    dropped += usize::from(is_placeholder(&value));
                }
            }
            assert!(dropped <= 1, "{dropped} of 2000 behind `{label}`");
        }
        for value in ["hunter2", "Tr0ub4dor&3", "gr8estHits!", "P@ssw0rd-of-mine", "correcthorse"] {
            assert!(!is_placeholder(value.as_bytes()), "`{value}` could be real");
        }
    }

    #[test]
    fn never_filled_in() {
        for value in [
            "",
            "xxxxxxxx",
            "XXXX-XXXX-XXXX",
            "********",
            "abc***xyz9",
            "sk-abc...wxyz",
            "<your-token>",
            "sk-<API_KEY>",
            "[YOUR TOKEN]",
            "${API_KEY}",
            "sk-${API_KEY}",
            "{{ token }}",
            "your_api_key",
            "your-acme-token-goes-here",
            "yourApiKeyHere",
            "sk_live_your_key_here",
            "changeme",
            "PASSWORD",
            "REDACTED_BY_POLICY",
            "my-example-token",
            "dummy_password",
            "npm_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "key_########-####",
            "00000000-0000-0000-0000-000000000000",
            "AKIA00000000000000000000",
            "amzn.mws.00000000-0000-0000-0000-000000000000",
        ] {
            assert!(is_unfilled(value.as_bytes()), "`{value}` was never filled in");
        }
        for value in [
            // Counted, repeated and spelled values: made up, but somebody did fill them in.
            "12345678-ABCD-ABCD-ABCD-1234567890AB",
            "12345678ABCDEFH1234567890ABCDEFH12345678",
            "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ",
            "cafebabe:deadbeef",
            "abcdefghijklmnop",
            "11111111-2222-3333-4444-555555555555",
            "myPassword",
            "secret",
            "hunter2",
            "test1234",
        ] {
            assert!(!is_unfilled(value.as_bytes()), "`{value}` was filled in");
        }
    }

    /// What the mild form drops, the strict one drops too.
    #[test]
    fn the_mild_form_is_the_narrower_one() {
        let mut random = Random::new(6);
        let mut dropped = 0;
        for _ in 0..100_000 {
            let mut value = Vec::new();
            for _ in 0..1 + random.next() % 4 {
                match random.next() % 4 {
                    0 | 1 => value.extend(WORDS[(random.next() % WORDS.len() as u64) as usize].0),
                    2 => value.extend(
                        [&b"-"[..], b"_", b"xxxxxx", b"000000", b"..."][random.next() as usize % 5],
                    ),
                    _ => {
                        let length = (random.next() % 9) as usize;
                        value.extend(random.bytes(HEX, length));
                    }
                }
            }
            if is_unfilled(&value) {
                dropped += 1;
                assert!(is_placeholder(&value), "{} bytes", value.len());
            }
        }
        assert!(dropped > 1_000, "only {dropped} values were dropped");
    }
}
