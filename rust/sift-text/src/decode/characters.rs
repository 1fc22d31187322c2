//! Characters that hide: invisible ones, forms of ASCII characters, look-alikes of other scripts.
//!
//! What people write is left alone: joiners between emoji or in Persian, one selector behind an emoji, flags,
//! accents, words of another script. A character is loud where it stands beside ASCII as none of them does.
//!
//! The spaces and dashes that word processors, PDFs and chats put between the groups of a number hide it from
//! every rule that was written for a keyboard: there they are read as the space and the hyphen.

use super::lookalikes::{BLOCK, BLOCKS, INDEX};
use super::sparse::{Grammar, Parsed, Unit};
use super::{gate, Encoding};
use crate::floor_char;

#[derive(Clone, Copy, Debug)]
pub(super) struct Characters;

impl Grammar for Characters {
    const JOINS: bool = true;
    const MARK: u8 = gate::CHARACTERS;

    fn goes_on(byte: u8) -> bool {
        !byte.is_ascii()
    }

    fn skip(text: &[u8], from: usize) -> usize {
        // In other scripts the next place is the next byte.
        if text.get(from).is_some_and(|byte| !byte.is_ascii()) {
            return from;
        }
        let mut at = from;
        for chunk in text.get(from..).unwrap_or_default().chunks(64) {
            if !chunk.is_ascii() {
                let ascii = chunk.iter().take_while(|byte| byte.is_ascii()).count();
                return at + ascii;
            }
            at += chunk.len();
        }
        text.len()
    }

    fn parse(text: &[u8], at: usize, finished: bool) -> Parsed {
        let (it, end) = match next(text, at, finished) {
            Next::Is(it, end) => (it, end),
            Next::Broken => return Parsed::Literal(at + 1),
            Next::End => return Parsed::Literal(text.len()),
            Next::Unknown => return Parsed::Unknown,
        };
        let Some(class) = class(it) else { return Parsed::Literal(end) };
        let after = match next(text, end, finished) {
            Next::Is(after, _) => Some(after),
            Next::Broken | Next::End => None,
            Next::Unknown => return Parsed::Unknown,
        };
        let place = Place { it, end, before: before(text, at), after };
        let unit = match class {
            Class::Tag => tag(text, at, place),
            Class::Selector(byte) => selector(place, byte),
            Class::Joiner if place.is_beside(|it| it.is_ascii()) => Some(place.dropped()),
            Class::Joiner => None,
            Class::SoftHyphen | Class::Bidi | Class::Override => Some(place.dropped()),
            // Also between letters of other scripts, few of which say so where a line may break.
            Class::Filler => {
                let loud = place.is_beside(|it| it.is_ascii_graphic() || it.is_alphanumeric());
                Some(Unit::empty(place.end, Encoding::Invisible, loud))
            }
            Class::Mark => mark(text, at, place),
            Class::Styled(ascii) => Some(styled(place, ascii)),
            Class::Separator(ascii) => match separator(text, at, place, ascii, finished) {
                Some(unit) => unit,
                None => return Parsed::Unknown,
            },
            // Turkish is written with it: as an i it would hide the words of its rules.
            Class::Lookalike(_) if it == 'ı' => None,
            Class::Lookalike(ascii) => Some(lookalike(place, ascii)),
        };
        unit.map_or(Parsed::Literal(end), Parsed::Unit)
    }
}

/// A character and its neighbours.
#[derive(Clone, Copy)]
struct Place {
    it: char,
    end: usize,
    before: Option<char>,
    after: Option<char>,
}

impl Place {
    fn is_beside(self, is: impl Fn(char) -> bool) -> bool {
        self.before.is_some_and(&is) || self.after.is_some_and(is)
    }

    fn is_between(self, is: impl Fn(char) -> bool) -> bool {
        self.before.is_some_and(&is) && self.after.is_some_and(is)
    }

    fn dropped(self) -> Unit {
        Unit::empty(self.end, Encoding::Invisible, self.is_beside(|it| it.is_ascii_graphic()))
    }
}

/// Why a character is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Tag,
    /// A variation selector, and the byte it stands for when several follow one another.
    Selector(u8),
    Joiner,
    SoftHyphen,
    /// Marks, embeddings and isolates of writing from right to left.
    Bidi,
    /// Forces a direction against that of the letters.
    Override,
    /// Other characters without a glyph.
    Filler,
    /// A mark over, under or through the letter before it.
    Mark,
    Styled(u8),
    Lookalike(u8),
    /// A space or a dash, which in a number is that of a keyboard.
    Separator(u8),
}

fn class(it: char) -> Option<Class> {
    let point = it as usize;
    Some(match point {
        // Most of the characters of living scripts that have none of this.
        0xc0..=0x130 | 0x3041..=0x3163 | 0x3165..=0xa4cf | 0xac00..=0xd7ff | 0x1f300..=0x1faff => {
            return None;
        }
        0xad => Class::SoftHyphen,
        0x300..=0x36f if point != 0x34f => Class::Mark,
        0x200c | 0x200d => Class::Joiner,
        0x202d | 0x202e => Class::Override,
        0x61c | 0x200e | 0x200f | 0x202a..=0x202c | 0x2066..=0x2069 => Class::Bidi,
        0x34f
        | 0x115f
        | 0x1160
        | 0x17b4
        | 0x17b5
        | 0x180b..=0x180f
        | 0x200b
        | 0x2060..=0x2065
        | 0x206a..=0x206f
        | 0x3164
        | 0xfeff
        | 0xffa0
        | 0x1d173..=0x1d17a
        | 0xe0001
        | 0xe007f => Class::Filler,
        0xfe00..=0xfe0f => Class::Selector((point - 0xfe00) as u8),
        0xe0100..=0xe01ef => Class::Selector((point - 0xe0100 + 16) as u8),
        0xe0020..=0xe007e => Class::Tag,
        _ => match separates(it) {
            Some(ascii) => Class::Separator(ascii),
            None if is_form(point) => Class::Styled(looks_like(it)?),
            None => Class::Lookalike(looks_like(it)?),
        },
    })
}

/// The ASCII character that `it` passes for.
fn looks_like(it: char) -> Option<u8> {
    let point = it as usize;
    let block = BLOCKS.get(usize::from(*INDEX.get(point / BLOCK)?))?;
    block.get(point % BLOCK).copied().filter(|&ascii| ascii > 0)
}

/// Blocks of forms of Latin letters and digits, as opposed to letters of another script.
fn is_form(point: usize) -> bool {
    matches!(
        point,
        0xaa | 0xb2 | 0xb3 | 0xb9 | 0xba
            | 0x250..=0x2ff        // phonetic letters, small capitals, raised letters
            | 0x1d00..=0x1dbf      // the same, continued
            | 0x2070..=0x209f      // raised and lowered digits
            | 0x2100..=0x218f      // letter-like symbols, Roman numerals
            | 0x2460..=0x24ff      // enclosed
            | 0xa720..=0xa7ff
            | 0xff01..=0xff5e      // full width
            | 0x1d400..=0x1d7ff    // mathematical
            | 0x1f100..=0x1f1ff // enclosed, regional indicators
    )
}

/// Raised and lowered forms, which stand beside ASCII letters in units, footnotes and ordinals.
fn is_raised(it: char) -> bool {
    matches!(u32::from(it), 0xaa | 0xb2 | 0xb3 | 0xb9 | 0xba | 0x2b0..=0x2b8 | 0x2070..=0x209f)
}

fn is_regional(it: char) -> bool {
    matches!(it, '\u{1f1e6}'..='\u{1f1ff}')
}

fn styled(place: Place, ascii: u8) -> Unit {
    let is_form_of = |it: char, is: fn(&u8) -> bool| {
        is_form(it as usize) && looks_like(it).is_some_and(|ascii| is(&ascii))
    };
    let loud = if is_regional(place.it) {
        // Two are a flag.
        place.is_between(is_regional)
    } else if is_raised(place.it) {
        ascii.is_ascii_alphabetic() && place.is_beside(|it| is_form_of(it, u8::is_ascii_alphabetic))
    } else if ascii.is_ascii_alphanumeric() {
        place
            .is_beside(|it| it.is_ascii_alphanumeric() || is_form_of(it, u8::is_ascii_alphanumeric))
    } else {
        // Full-width punctuation belongs to Chinese and Japanese; of what joins words this is rare.
        matches!(ascii, b':' | b'=' | b'@' | b'_' | b'.' | b'-' | b'/')
            && place.is_between(|it| it.is_ascii_alphanumeric())
    };
    Unit::byte(place.end, ascii, Encoding::Styled, loud)
}

/// The separator of a keyboard that a space of its own width or a dash stands for.
pub(super) fn separates(it: char) -> Option<u8> {
    match u32::from(it) {
        // No-break, of typography (en quad to hair space), narrow no-break, mathematical, ideographic.
        0xa0 | 0x2000..=0x200a | 0x202f | 0x205f | 0x3000 => Some(b' '),
        // Hyphen, no-break hyphen, figure, en and em dash, bar, minus.
        0x2010..=0x2015 | 0x2212 => Some(b'-'),
        _ => None,
    }
}

/// Whether a separator between these two may stand in a number: a digit on one side, and what begins or ends a
/// group on the other.
pub(super) fn joins_groups(before: char, after: char) -> bool {
    let part = |it: char| it.is_ascii_digit() || it.is_ascii_uppercase();
    (before.is_ascii_digit() || after.is_ascii_digit())
        && (part(before) || matches!(before, '(' | ')' | '+' | ':' | '#'))
        && (part(after) || matches!(after, '(' | ')' | '+'))
}

/// Whether a byte behind a dash may begin what [`joins_groups`] wants there.
pub(super) fn may_begin_group(byte: u8) -> bool {
    byte.is_ascii_digit() || byte.is_ascii_uppercase() || matches!(byte, b'(' | b')' | b'+')
}

/// Digits of the shortest numbers that belong to somebody: fewer are ranges, sums and dates, of which print is full.
const LEAST_DIGITS: usize = 6;

/// Bytes to each side of a separator in which digits are counted.
const NUMBER: usize = 24;

/// A separator where a number may be, the look-alike that some of them are elsewhere; none where what follows has
/// to be seen first.
fn separator(
    text: &[u8],
    at: usize,
    place: Place,
    ascii: u8,
    finished: bool,
) -> Option<Option<Unit>> {
    // Between letters of an account number, or digits of full width.
    let part = |it: char| {
        let form = |it: char| is_form(it as usize).then(|| looks_like(it)).flatten();
        it.is_ascii_uppercase()
            || it.is_ascii_digit()
            || form(it).is_some_and(|ascii| ascii.is_ascii_digit())
    };
    let unit = |loud| Some(Unit::byte(place.end, ascii, Encoding::Lookalike, loud));
    let joins =
        place.before.zip(place.after).is_some_and(|(before, after)| joins_groups(before, after));
    Some(if joins && counts_digits(text, at, place.end, finished)? {
        unit(true)
    } else if joins || place.is_between(part) {
        unit(false)
    } else {
        looks_like(place.it).map(|ascii| lookalike(place, ascii))
    })
}

/// Whether there are [`LEAST_DIGITS`] among the digits, capitals and signs of numbers around a separator.
fn counts_digits(text: &[u8], at: usize, end: usize, finished: bool) -> Option<bool> {
    let is_part = |it: char| {
        it.is_ascii_digit()
            || it.is_ascii_uppercase()
            || matches!(it, ' ' | '-' | '.' | '/' | '(' | ')' | '+')
            || separates(it).is_some()
    };
    let (mut digits, mut from, mut to) = (0, at, end);
    while digits < LEAST_DIGITS && at - from < NUMBER {
        let Some(it) = before(text, from).filter(|&it| is_part(it)) else { break };
        from -= it.len_utf8();
        digits += usize::from(it.is_ascii_digit());
    }
    while digits < LEAST_DIGITS && to - end < NUMBER {
        match next(text, to, finished) {
            Next::Is(it, next) if is_part(it) => {
                to = next;
                digits += usize::from(it.is_ascii_digit());
            }
            Next::Unknown => return None,
            _ => break,
        }
    }
    Some(digits == LEAST_DIGITS)
}

fn lookalike(place: Place, ascii: u8) -> Unit {
    // Latin letters of living languages, dashes and quotation marks are what they seem to be.
    let quiet = matches!(u32::from(place.it), 0..=0x17f | 0x2010..=0x201f | 0x2026..=0x2033);
    let loud = if ascii.is_ascii_alphanumeric() {
        place.is_beside(|it| it.is_ascii_alphabetic())
    } else {
        place.is_between(|it| it.is_ascii_alphanumeric())
    };
    Unit::byte(place.end, ascii, Encoding::Lookalike, loud && !quiet)
}

/// Letters of a flag: a black flag and so many tags.
const FLAG: usize = 6;

fn tag(text: &[u8], at: usize, place: Place) -> Option<Unit> {
    if is_in_flag(text, at) {
        return None;
    }
    Some(Unit::byte(place.end, place.it as u8 & 0x7f, Encoding::Tag, true))
}

fn is_in_flag(text: &[u8], at: usize) -> bool {
    let mut at = at;
    for _ in 0..FLAG {
        match before(text, at) {
            Some('\u{1f3f4}') => return true,
            Some(it) if class(it) == Some(Class::Tag) => at -= it.len_utf8(),
            _ => return false,
        }
    }
    false
}

fn selector(place: Place, byte: u8) -> Option<Unit> {
    let is_selector = |it: char| matches!(class(it), Some(Class::Selector(_)));
    if place.is_beside(is_selector) {
        return Some(Unit::byte(place.end, byte, Encoding::Selector, true));
    }
    // A keycap: 1, selector, frame.
    let keycap = place.after == Some('\u{20e3}');
    (place.before.is_some_and(|it| it.is_ascii_graphic()) && !keycap).then(|| place.dropped())
}

/// Marks behind ASCII letters: a few accents are how some write é, lines through letters and heaps are not.
fn mark(text: &[u8], at: usize, place: Place) -> Option<Unit> {
    let through = matches!(place.it, '\u{334}'..='\u{338}');
    let is_mark = |it: char| class(it) == Some(Class::Mark);
    let (mut at, mut marks) = (at, 1);
    while let Some(it) = before(text, at).filter(|&it| is_mark(it) && marks < 3) {
        at -= it.len_utf8();
        marks += 1;
    }
    let loud = through || marks == 3;
    let on_ascii = before(text, at).is_some_and(|it| it.is_ascii_alphanumeric());
    (on_ascii || marks == 3).then(|| Unit::empty(place.end, Encoding::Invisible, loud))
}

/// What stands behind a place.
enum Next {
    Is(char, usize),
    /// A byte that is no character.
    Broken,
    End,
    Unknown,
}

fn next(text: &[u8], at: usize, finished: bool) -> Next {
    let rest = text.get(at..text.len().min(at + 4)).unwrap_or_default();
    let Some(&lead) = rest.first() else {
        return if finished { Next::End } else { Next::Unknown };
    };
    if lead.is_ascii() {
        return Next::Is(char::from(lead), at + 1);
    }
    let width = width(lead);
    if let Some(it) = rest.get(..width).and_then(|it| std::str::from_utf8(it).ok()?.chars().next())
    {
        return Next::Is(it, at + width);
    }
    // The beginning of a character at the end of the text.
    let is_cut = || std::str::from_utf8(rest).is_err_and(|error| error.error_len().is_none());
    if !finished && rest.len() < width && is_cut() {
        return Next::Unknown;
    }
    Next::Broken
}

/// Bytes of a character of UTF-8 that begins with `lead`.
fn width(lead: u8) -> usize {
    match lead {
        0xf0.. => 4,
        0xe0.. => 3,
        _ => 2,
    }
}

/// The character that ends at `at`.
fn before(text: &[u8], at: usize) -> Option<char> {
    let last = at.checked_sub(1)?;
    let byte = *text.get(last)?;
    if byte.is_ascii() {
        return Some(char::from(byte));
    }
    let bytes = text.get(floor_char(text, last)..at)?;
    std::str::from_utf8(bytes).ok()?.chars().next_back()
}

/// A character without a glyph, and whether it is there for a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invisible {
    /// First byte.
    pub start: usize,
    /// End.
    pub end: usize,
    pub kind: InvisibleKind,
    /// Whether people write it there: a soft hyphen in a word, a joiner between emoji, a direction mark in
    /// a text with letters from right to left, a byte order mark at the beginning.
    pub legitimate: bool,
}

/// What an invisible character is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InvisibleKind {
    /// Invisible ASCII.
    Tag,
    /// A variation selector.
    Selector,
    /// Zero-width joiner or non-joiner.
    Joiner,
    SoftHyphen,
    /// Direction marks, embeddings, isolates.
    Bidi,
    /// Forces a direction against that of the letters.
    Override,
    /// Zero-width space, word joiner, fillers, byte order mark.
    Filler,
}

/// Bytes to both sides in which letters from right to left explain a direction mark.
const NEAR: usize = 256;

/// Tells the invisible characters of `text` from left to right.
///
/// ```
/// use sift_text::decode::{invisible, InvisibleKind};
///
/// let mut seen = Vec::new();
/// invisible("pass\u{200b}word, Donau\u{ad}dampf".as_bytes(), |it| seen.push(it));
/// assert_eq!((seen[0].start, seen[0].kind, seen[0].legitimate), (4, InvisibleKind::Filler, false));
/// assert_eq!((seen[1].kind, seen[1].legitimate), (InvisibleKind::SoftHyphen, true));
/// ```
pub fn invisible(text: &[u8], mut tell: impl FnMut(Invisible)) {
    let mut at = 0;
    loop {
        at = Characters::skip(text, at);
        let Next::Is(it, end) = next(text, at, true) else {
            if at >= text.len() {
                return;
            }
            at += 1;
            continue;
        };
        let after = match next(text, end, true) {
            Next::Is(after, _) => Some(after),
            _ => None,
        };
        let place = Place { it, end, before: before(text, at), after };
        let foreign = |it: char| !it.is_ascii() && !is_hidden(it);
        let kind = class(it).and_then(|class| {
            Some(match class {
                Class::Tag => (InvisibleKind::Tag, is_in_flag(text, at)),
                Class::Selector(byte) => (InvisibleKind::Selector, selector(place, byte).is_none()),
                Class::Joiner => (InvisibleKind::Joiner, !place.is_beside(|it| it.is_ascii())),
                Class::SoftHyphen => {
                    (InvisibleKind::SoftHyphen, place.is_between(char::is_alphabetic))
                }
                Class::Bidi => (InvisibleKind::Bidi, has_right_to_left(text, at)),
                Class::Override => (InvisibleKind::Override, false),
                Class::Filler if it == '\u{e007f}' => {
                    let start = at - before(text, at).map_or(0, char::len_utf8);
                    (InvisibleKind::Tag, is_in_flag(text, start))
                }
                // Between characters of scripts that write no spaces it says where a line may break.
                Class::Filler => {
                    let mark = it == '\u{feff}' && at == 0;
                    (InvisibleKind::Filler, mark || place.is_between(foreign))
                }
                Class::Mark | Class::Styled(_) | Class::Lookalike(_) | Class::Separator(_) => {
                    return None;
                }
            })
        });
        if let Some((kind, legitimate)) = kind {
            tell(Invisible { start: at, end, kind, legitimate });
        }
        at = end;
    }
}

fn is_hidden(it: char) -> bool {
    !matches!(
        class(it),
        None | Some(Class::Mark | Class::Styled(_) | Class::Lookalike(_) | Class::Separator(_))
    )
}

/// Whether there are Hebrew, Arabic, Syriac, Thaana or N'Ko letters near: their lead bytes, or those of
/// the Arabic presentation forms.
fn has_right_to_left(text: &[u8], at: usize) -> bool {
    let near = text.get(at.saturating_sub(NEAR)..text.len().min(at + NEAR)).unwrap_or_default();
    near.iter().any(|byte| matches!(byte, 0xd6..=0xdf))
        || near.windows(2).any(|pair| matches!(pair, [0xef, 0xac..=0xbb]))
}
