//! Places where personal data may begin: numbers with their separators, codes of capitals and digits, groups
//! between colons or points, and the few signs that addresses and telephone numbers have.
//!
//! Most of them is written without any fixed text, so a pattern engine would have to try nearly every word.
//! Here a byte's class is one bit of a mask, and what must follow a place is a shift of it.

/// What a place is, as bits: which conditions of [`Wanted`] it fulfils.
pub mod kind {
    /// A digit begins a word, and six bytes from it on are digits or of ` ()+-./`.
    pub const NUMBER: u8 = 1;
    /// Two capitals and two digits begin a word.
    pub const CODE: u8 = 2;
    /// Six capitals and two capitals or digits begin a word.
    pub const CAPITALS: u8 = 4;
    /// A word of letters and digits is long, with a digit at one of some offsets.
    pub const WORD: u8 = 8;
    /// A letter or digit begins a word and has `.`, `:` or `-` at certain offsets.
    pub const LINKED: u8 = 16;
    /// A digit begins a word that has three of `.:-`, each at most four bytes after the last.
    pub const DOTTED: u8 = 32;
    /// A `(` or `+` with a digit one to three bytes behind it.
    pub const OPENING: u8 = 64;
    /// An `@`; or a `:` with another right behind it, or two more, each at most five bytes after the last.
    pub const SIGN: u8 = 128;
}

/// Most bytes behind a place that tell what it is.
pub const AHEAD: usize = 32;

/// What to look for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The kinds of places, as bits of [`kind`].
    pub kinds: u8,
    /// Letters and digits of the shortest word of [`kind::WORD`], at most [`AHEAD`].
    pub word: usize,
    /// One bit for each offset of a digit in such a word.
    pub word_digits: u32,
    /// Offsets of the signs of [`kind::LINKED`], one bit each: a place has all of one of them.
    pub links: Vec<u32>,
}

/// Whether a byte of this class stands in a number: a digit or one of ` ()+-./`.
#[must_use]
pub const fn is_numeric(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b' ' | b'(' | b')' | b'+' | b'-' | b'.' | b'/')
}

/// Whether a byte joins groups: one of `.:-`.
#[must_use]
pub const fn is_link(byte: u8) -> bool {
    matches!(byte, b'.' | b':' | b'-')
}

/// One bit for each of 64 bytes, and as much for each lane.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Masks<L = u64> {
    pub(crate) digit: L,
    pub(crate) alnum: L,
    pub(crate) upper: L,
    pub(crate) numeric: L,
    pub(crate) link: L,
    pub(crate) colon: L,
    pub(crate) open: L,
    pub(crate) at: L,
}

/// The bits of a byte's class, one for each field of [`Masks`] in order.
pub(crate) const fn class(byte: u8) -> u8 {
    byte.is_ascii_digit() as u8
        | (byte.is_ascii_alphanumeric() as u8) << 1
        | (byte.is_ascii_uppercase() as u8) << 2
        | (is_numeric(byte) as u8) << 3
        | (is_link(byte) as u8) << 4
        | ((byte == b':') as u8) << 5
        | (matches!(byte, b'(' | b'+') as u8) << 6
        | ((byte == b'@') as u8) << 7
}

/// Masks that are worked on together: one, or as many as a vector holds.
pub(crate) trait Lanes: Copy {
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    /// What is `by` bits further, `by` less than 64: of 128 bits with `next` above, the lower 64.
    fn ahead(self, next: Self, by: u32) -> Self;
    fn none() -> Self;
    fn is_none(self) -> bool;
}

/// A shift of 128 bits by a variable is a dozen instructions, this one four.
impl Lanes for u64 {
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self & other
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        self | other
    }

    #[inline(always)]
    fn ahead(self, next: Self, by: u32) -> Self {
        self >> by | next << 1 << (63 - by)
    }

    #[inline(always)]
    fn none() -> Self {
        0
    }

    #[inline(always)]
    fn is_none(self) -> bool {
        self == 0
    }
}

/// A mask of 64 bytes and of the 64 behind them.
#[derive(Clone, Copy)]
struct Two<L>(L, L);

impl<L: Lanes> Two<L> {
    /// What is `by` bytes behind each place, `by` less than 64.
    #[inline(always)]
    fn ahead(self, by: u32) -> Self {
        Self(self.low(by), self.1.ahead(L::none(), by))
    }

    /// The same for the first 64 bytes alone.
    #[inline(always)]
    fn low(self, by: u32) -> L {
        self.0.ahead(self.1, by)
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Self(self.0.and(other.0), self.1.and(other.1))
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Self(self.0.or(other.0), self.1.or(other.1))
    }

    #[inline(always)]
    fn is_none(self) -> bool {
        self.0.or(self.1).is_none()
    }

    /// Places from which on there are at least `length` in a row.
    #[inline(always)]
    fn runs(mut self, length: u32) -> Self {
        let mut have = 1;
        while have < length {
            let step = have.min(length - have);
            self = self.and(self.ahead(step));
            have += step;
        }
        self
    }

    /// Places that have one `least` to `most` bytes behind them.
    #[inline(always)]
    fn near(self, least: u32, most: u32) -> Self {
        let (mut near, mut by) = (self.ahead(least), least);
        while by < most {
            by += 1;
            near = near.or(self.ahead(by));
        }
        near
    }

    #[inline(always)]
    fn low_near(self, least: u32, most: u32) -> L {
        let (mut near, mut by) = (self.low(least), least);
        while by < most {
            by += 1;
            near = near.or(self.low(by));
        }
        near
    }
}

/// Blocks one after the other; a block is judged when the one behind it is known.
pub(crate) struct Walk<'w> {
    wanted: &'w Wanted,
    at: usize,
    last: Option<Masks>,
    /// Whether the byte left of `last` is a letter or digit.
    joined: bool,
}

impl<'w> Walk<'w> {
    pub(crate) fn new(wanted: &'w Wanted) -> Self {
        Self { wanted, at: 0, last: None, joined: false }
    }

    /// Takes the next block. Says whether to go on.
    #[inline(always)]
    pub(crate) fn block(
        &mut self,
        masks: Masks,
        on_place: &mut dyn FnMut(u8, usize) -> bool,
    ) -> bool {
        let Some(last) = self.last.replace(masks) else { return true };
        let begins = last.alnum & !(last.alnum << 1 | u64::from(self.joined));
        let begun = self.at;
        self.joined = last.alnum >> 63 == 1;
        self.at += 64;
        let found = places(self.wanted, &last, &masks, begins);
        found.iter().fold(0, |all, mask| all | mask) == 0 || tell(&found, begun, on_place)
    }

    /// Judges the last block.
    pub(crate) fn end(&mut self, on_place: &mut dyn FnMut(u8, usize) -> bool) {
        self.block(Masks::default(), on_place);
    }
}

/// Places by kind, of those that `masks` speaks of; `next` is what is 64 bytes behind each.
#[inline(always)]
pub(crate) fn places<L: Lanes>(
    wanted: &Wanted,
    masks: &Masks<L>,
    next: &Masks<L>,
    begins: L,
) -> [L; 8] {
    let mut found = [L::none(); 8];
    let wants = |kind: u8| wanted.kinds & kind != 0;
    let digit = Two(masks.digit, next.digit);
    let link = Two(masks.link, next.link);
    if !digit.is_none() {
        let first = begins.and(digit.0);
        if !first.is_none() {
            if wants(kind::NUMBER) {
                found[0] = first.and(Two(masks.numeric, next.numeric).runs(6).0);
            }
            if wants(kind::DOTTED) {
                let two = link.and(link.near(2, 4));
                if !two.is_none() {
                    found[5] = first.and(link.and(two.near(2, 4)).low_near(1, 3));
                }
            }
        }
        if wants(kind::WORD) {
            let alnum = Two(masks.alnum, next.alnum);
            let long = begins.and(alnum.runs(wanted.word as u32).0);
            if !long.is_none() {
                let mut offsets = wanted.word_digits;
                while offsets != 0 {
                    found[3] = found[3].or(long.and(digit.low(offsets.trailing_zeros())));
                    offsets &= offsets - 1;
                }
            }
        }
        if wants(kind::OPENING) {
            found[6] = masks.open.and(digit.low_near(1, 3));
        }
    }
    let capital = Two(masks.upper, next.upper);
    let capitals = begins.and(capital.0).and(capital.low(1));
    if !capitals.is_none() {
        if wants(kind::CODE) {
            found[1] = capitals.and(digit.low(2)).and(digit.low(3));
        }
        if wants(kind::CAPITALS) {
            let either = capital.or(digit);
            let six = capitals.and(capital.runs(6).0);
            found[2] = six.and(either.low(6)).and(either.low(7));
        }
    }
    if wants(kind::LINKED) {
        for offsets in &wanted.links {
            let (mut all, mut offsets) = (begins, *offsets);
            while offsets != 0 && !all.is_none() {
                all = all.and(link.low(offsets.trailing_zeros()));
                offsets &= offsets - 1;
            }
            found[4] = found[4].or(all);
        }
    }
    if wants(kind::SIGN) {
        found[7] = masks.at;
        if !masks.colon.is_none() {
            let colon = Two(masks.colon, next.colon);
            let two = colon.and(colon.near(2, 5));
            let with = colon.low(1).or(two.low_near(2, 5));
            found[7] = found[7].or(colon.0.and(with));
        }
    }
    found
}

/// Reports each place once, with all its kinds.
#[inline(never)]
pub(crate) fn tell(
    found: &[u64; 8],
    begun: usize,
    on_place: &mut dyn FnMut(u8, usize) -> bool,
) -> bool {
    let mut any = found.iter().fold(0, |all, mask| all | mask);
    while any != 0 {
        let bit = any.trailing_zeros();
        any &= any - 1;
        let kinds = (0..8).fold(0, |kinds, i| kinds | ((found[i] >> bit & 1) as u8) << i);
        if !on_place(kinds, begun + bit as usize) {
            return false;
        }
    }
    true
}

/// The definition, one place after the other.
pub(crate) fn scalar(text: &[u8], wanted: &Wanted, on_place: &mut dyn FnMut(u8, usize) -> bool) {
    let is = |at: usize, what: fn(&u8) -> bool| text.get(at).is_some_and(what);
    let digit = |at| is(at, u8::is_ascii_digit);
    let capital = |at| is(at, u8::is_ascii_uppercase);
    let alnum = |at| is(at, u8::is_ascii_alphanumeric);
    let numeric = |at| is(at, |b| is_numeric(*b));
    let link = |at| is(at, |b| is_link(*b));
    let colon = |at| is(at, |b| *b == b':');
    for (at, &byte) in text.iter().enumerate() {
        let begins = alnum(at) && !(at > 0 && alnum(at - 1));
        let capitals = (0..6).all(|i| capital(at + i));
        let dotted = |i| {
            link(at + i) && (2..5).any(|j| link(at + i + j) && (2..5).any(|k| link(at + i + j + k)))
        };
        let spaced = (2..6).any(|i| colon(at + i) && (2..6).any(|j| colon(at + i + j)));
        let holds = [
            begins && digit(at) && (0..6).all(|i| numeric(at + i)),
            begins && capital(at) && capital(at + 1) && digit(at + 2) && digit(at + 3),
            begins && capitals && (6..8).all(|i| capital(at + i) || digit(at + i)),
            begins
                && (0..wanted.word.max(1)).all(|i| alnum(at + i))
                && (0..32).any(|i| wanted.word_digits >> i & 1 == 1 && digit(at + i)),
            begins
                && wanted
                    .links
                    .iter()
                    .any(|offsets| (0..32).all(|i| offsets >> i & 1 == 0 || link(at + i))),
            begins && digit(at) && (1..4).any(dotted),
            matches!(byte, b'(' | b'+') && (1..4).any(|i| digit(at + i)),
            byte == b'@' || byte == b':' && (colon(at + 1) || spaced),
        ];
        let kinds = holds.iter().enumerate().fold(0, |all, (i, is)| all | u8::from(*is) << i);
        if kinds & wanted.kinds != 0 && !on_place(kinds & wanted.kinds, at) {
            return;
        }
    }
}

/// The masks of up to 64 bytes, by a table.
fn masks(block: &[u8]) -> Masks {
    static CLASSES: [u8; 256] = {
        let mut classes = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            classes[byte] = class(byte as u8);
            byte += 1;
        }
        classes
    };
    let mut all = [0_u64; 8];
    for (i, &byte) in block.iter().enumerate() {
        let class = u64::from(CLASSES[byte as usize]);
        for (bit, mask) in all.iter_mut().enumerate() {
            *mask |= (class >> bit & 1) << i;
        }
    }
    let [digit, alnum, upper, numeric, link, colon, open, at] = all;
    Masks { digit, alnum, upper, numeric, link, colon, open, at }
}

pub(crate) fn portable(text: &[u8], wanted: &Wanted, on_place: &mut dyn FnMut(u8, usize) -> bool) {
    let mut walk = Walk::new(wanted);
    for block in text.chunks(64) {
        if !walk.block(masks(block), on_place) {
            return;
        }
    }
    walk.end(on_place);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Path;

    fn found(path: Path, text: &[u8], wanted: &Wanted) -> Vec<(u8, usize)> {
        let mut places = Vec::new();
        path.places(text, wanted, &mut |kinds, at| {
            places.push((kinds, at));
            true
        });
        places
    }

    fn check(text: &[u8], wanted: &Wanted) -> usize {
        let expected = found(Path::Scalar, text, wanted);
        for path in Path::ALL.into_iter().filter(|path| path.is_available()) {
            assert_eq!(found(path, text, wanted), expected, "{path:?}");
        }
        expected.len()
    }

    fn all() -> Wanted {
        Wanted {
            kinds: u8::MAX,
            word: 13,
            word_digits: 1 | 1 << 16 | 1 << 31,
            links: vec![1 << 2 | 1 << 5, 1 << 4],
        }
    }

    #[test]
    fn every_byte_is_classed_alike_at_every_place() {
        for byte in 0..=255_u8 {
            for at in 0..130 {
                let mut text = *b"12.34.56(7)89+0@AB12CD::a7b8c9d0e1f2a3b4";
                text[at % 40] = byte;
                let text = [vec![b' '; at], text.to_vec()].concat();
                check(&text, &all());
            }
        }
    }

    #[test]
    fn random_texts_have_the_same_places_by_every_path() {
        let mut state = 5_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize
        };
        let alphabets: [&[u8]; 5] = [
            b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbb1:",
            b"0123456789 .-/()+:",
            b"ABCDEF0123 x",
            b"ab1:.@-",
            b"abcdefghijklmnopqrstuvwxyz 0A",
        ];
        let mut places = 0;
        for _ in 0..8_000 {
            let letters = alphabets[next() % 5];
            let other = 2 + next() % 60;
            let length = next() % 400;
            let text: Vec<u8> = (0..length)
                .map(|_| {
                    if next() % other == 0 {
                        next() as u8
                    } else {
                        letters[next() % letters.len()]
                    }
                })
                .collect();
            let wanted = Wanted {
                kinds: if next() % 2 == 0 { u8::MAX } else { next() as u8 },
                word: 1 + next() % AHEAD,
                word_digits: next() as u32,
                links: (0..next() % 3).map(|_| 1 << (next() % 31 + 1)).collect(),
            };
            places += check(&text, &wanted);
        }
        assert!(places > 10_000, "{places}");
    }

    #[test]
    fn the_caller_can_stop() {
        for path in Path::ALL {
            let mut calls = 0;
            path.places(b"a@b a@b", &all(), &mut |_, _| {
                calls += 1;
                false
            });
            assert_eq!(calls, 1);
        }
    }
}
