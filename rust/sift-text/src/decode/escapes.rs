//! Percent signs, HTML entities and backslashes.
//!
//! All three in one decoder: they begin with different bytes, so a text may mix them, and a window is
//! scanned once. Which of them a finding holds is told by its units.

use super::characters::{joins_groups, separates};
use super::sparse::{Grammar, Parsed, Unit};
use super::{gate, hex_value, Encoding};

#[derive(Clone, Copy, Debug)]
pub(super) struct Escapes;

/// Backslashes in front of one escape, as nested JSON has them.
const BACKSLASHES: usize = 8;

impl Grammar for Escapes {
    const JOINS: bool = false;
    const MARK: u8 = gate::ESCAPES;

    fn goes_on(byte: u8) -> bool {
        byte == b'\\'
    }

    fn skip(text: &[u8], from: usize) -> usize {
        let rest = text.get(from..).unwrap_or_default();
        memchr::memchr3(b'%', b'&', b'\\', rest).map_or(text.len(), |at| from + at)
    }

    fn parse(text: &[u8], at: usize, finished: bool) -> Parsed {
        let rest = text.get(at..).unwrap_or_default();
        let rest = Rest { rest, finished };
        let before = at.checked_sub(1).and_then(|at| text.get(at)).copied();
        let unit = match rest.rest.first() {
            Some(b'%') => percent(rest),
            Some(b'&') => entity(rest),
            _ => backslash(rest, before),
        };
        let unit = unit.and_then(|unit| between_groups(unit, rest, before));
        match unit {
            Ok(unit) => Parsed::Unit(Unit { end: at + unit.end, ..unit }),
            Err(No::Literal) => Parsed::Literal(at + 1),
            Err(No::Unknown) => Parsed::Unknown,
        }
    }
}

/// Why something is not a unit.
enum No {
    Literal,
    Unknown,
}

/// What is left of the text, and whether that is all.
#[derive(Clone, Copy)]
struct Rest<'t> {
    rest: &'t [u8],
    finished: bool,
}

impl Rest<'_> {
    /// The byte at `at`; zero, which is in no escape, behind the end of the text.
    fn byte(self, at: usize) -> Result<u8, No> {
        match self.rest.get(at) {
            Some(&byte) => Ok(byte),
            None if self.finished => Ok(0),
            None => Err(No::Unknown),
        }
    }

    /// The value of exactly `count` hexadecimal digits at `at`.
    fn hex(self, at: usize, count: usize) -> Result<u32, No> {
        let mut value = 0;
        for at in at..at + count {
            value = value << 4 | u32::from(hex_value(self.byte(at)?).ok_or(No::Literal)?);
        }
        Ok(value)
    }

    /// The value and the end of 1 to `most` digits at `at`.
    fn number(self, at: usize, radix: u32, most: usize) -> Result<(u32, usize), No> {
        let (mut value, mut end) = (0_u32, at);
        while let Some(digit) = char::from(self.byte(end)?).to_digit(radix) {
            if end - at == most {
                return Err(No::Literal);
            }
            value = value.saturating_mul(radix).saturating_add(digit);
            end += 1;
        }
        if end == at {
            return Err(No::Literal);
        }
        Ok((value, end))
    }
}

/// A unit for the character `value`. Control characters, typographic signs, symbols, emoji and what HTML has to
/// escape decode but do not open a window: no word is hidden in them, and JSON and HTML write them so.
fn character(end: usize, value: u32, encoding: Encoding) -> Result<Unit, No> {
    let it = char::from_u32(value).ok_or(No::Literal)?;
    let markup = matches!(it, '"' | '\'' | '<' | '>') && encoding == Encoding::Entity;
    // Between them are invisible and enclosed characters.
    let sign = matches!(
        value,
        0x2010..=0x2027 | 0x2030..=0x205e | 0x20a0..=0x245f | 0x2500..=0x2bff | 0x1f200..=0x1faff
    );
    Ok(Unit::character(end, it, encoding, !it.is_control() && !sign && !markup))
}

/// A space or a dash is loud between the groups of a number, which it hides.
fn between_groups(unit: Unit, rest: Rest<'_>, before: Option<u8>) -> Result<Unit, No> {
    let bytes = unit.bytes.get(..usize::from(unit.length)).unwrap_or_default();
    let it = std::str::from_utf8(bytes).ok().and_then(|it| it.chars().next());
    if unit.loud || bytes.len() < 2 || it.and_then(separates).is_none() {
        return Ok(unit);
    }
    let (Some(before), after) = (before, rest.byte(unit.end)?) else { return Ok(unit) };
    Ok(Unit { loud: joins_groups(char::from(before), char::from(after)), ..unit })
}

/// A unit for one byte, which may be part of a character of UTF-8.
fn byte(end: usize, value: u32, encoding: Encoding) -> Unit {
    let byte = value as u8;
    Unit::byte(end, byte, encoding, byte >= b' ' && byte != 0x7f)
}

/// `%61` and `%u0061`.
fn percent(rest: Rest<'_>) -> Result<Unit, No> {
    if rest.byte(1)? == b'u' {
        return character(6, rest.hex(2, 4)?, Encoding::Percent);
    }
    let value = rest.hex(1, 2)?;
    let unit = byte(3, value, Encoding::Percent);
    let line = matches!(value, 0x09 | 0x0a | 0x0d);
    Ok(Unit { loud: unit.loud || line && begins_value(rest, 3)?, ..unit })
}

/// Most letters in front of the first digit of a number: six, as a codice fiscale has.
const VALUE_LETTERS: usize = 6;

/// Whether what stands at `at` may be a number, or an identifier that begins like `DE89` or `CLM-1`: behind the letter
/// of an escaped line feed it has no border on its left, so such a line feed is loud. Numbers of list items are
/// not meant, of which prompts are full.
fn begins_value(rest: Rest<'_>, at: usize) -> Result<bool, No> {
    let first = rest.byte(at)?;
    if first.is_ascii_digit() {
        let second = rest.byte(at + 1)?;
        return Ok(second.is_ascii_alphanumeric()
            || matches!(second, b' ' | b'-' | b'.' | b'/') && rest.byte(at + 2)?.is_ascii_digit());
    }
    if matches!(first, b'+' | b'(') {
        let second = rest.byte(at + 1)?;
        return Ok(second.is_ascii_digit() || matches!(second, b' ' | b'('));
    }
    for at in at..=at + VALUE_LETTERS {
        let byte = rest.byte(at)?;
        if !byte.is_ascii_alphabetic() {
            let digit = if byte == b'-' { rest.byte(at + 1)? } else { byte };
            return Ok(digit.is_ascii_digit());
        }
    }
    Ok(false)
}

/// Named entities that stand for ASCII, invisible ones and those for which browsers need no semicolon. The
/// third part: whether they do need it; the fourth: whether they open a window, which those that HTML needs
/// all the time do not.
const NAMED: [(&str, char, bool, bool); 59] = [
    ("AMP", '&', false, false),
    ("DiacriticalGrave", '`', true, true),
    ("GT", '>', false, false),
    ("Hat", '^', true, true),
    ("LT", '<', false, false),
    ("NewLine", '\n', true, true),
    ("NoBreak", '\u{2060}', true, true),
    ("NonBreakingSpace", '\u{a0}', true, false),
    ("QUOT", '"', false, false),
    ("Tab", '\t', true, true),
    ("UnderBar", '_', true, true),
    ("VerticalLine", '|', true, true),
    ("ZeroWidthSpace", '\u{200b}', true, true),
    ("amp", '&', false, false),
    ("apos", '\'', true, false),
    ("ast", '*', true, true),
    ("bsol", '\\', true, true),
    ("colon", ':', true, true),
    ("comma", ',', true, true),
    ("commat", '@', true, true),
    ("dollar", '$', true, true),
    ("emsp", '\u{2003}', true, false),
    ("ensp", '\u{2002}', true, false),
    ("equals", '=', true, true),
    ("excl", '!', true, true),
    ("grave", '`', true, true),
    ("gt", '>', false, false),
    ("hairsp", '\u{200a}', true, false),
    ("hyphen", '-', true, true),
    ("lbrace", '{', true, true),
    ("lbrack", '[', true, true),
    ("lcub", '{', true, true),
    ("lowbar", '_', true, true),
    ("lpar", '(', true, true),
    ("lsqb", '[', true, true),
    ("lt", '<', false, false),
    ("midast", '*', true, true),
    ("nbsp", '\u{a0}', false, false),
    ("num", '#', true, true),
    ("numsp", '\u{2007}', true, false),
    ("percnt", '%', true, true),
    ("period", '.', true, true),
    ("plus", '+', true, true),
    ("quest", '?', true, true),
    ("quot", '"', false, false),
    ("rbrace", '}', true, true),
    ("rbrack", ']', true, true),
    ("rcub", '}', true, true),
    ("rlm", '\u{200f}', true, true),
    ("rpar", ')', true, true),
    ("rsqb", ']', true, true),
    ("semi", ';', true, true),
    ("shy", '\u{ad}', false, true),
    ("sol", '/', true, true),
    ("thinsp", '\u{2009}', true, false),
    ("verbar", '|', true, true),
    ("vert", '|', true, true),
    ("zwj", '\u{200d}', true, true),
    ("zwnj", '\u{200c}', true, true),
];

/// Longest name in [`NAMED`].
const LONGEST_NAME: usize = 16;

/// Digits of a numeric entity, leading zeros among them.
const ENTITY_DIGITS: usize = 12;

fn entity(rest: Rest<'_>) -> Result<Unit, No> {
    if rest.byte(1)? == b'#' {
        let (value, end) = match rest.byte(2)? {
            b'x' | b'X' => rest.number(3, 16, ENTITY_DIGITS)?,
            _ => rest.number(2, 10, ENTITY_DIGITS)?,
        };
        let end = end + usize::from(rest.byte(end)? == b';');
        // Before another one it is no quotation mark of HTML but a letter among others.
        let among = rest.byte(end)? == b'&' && rest.byte(end + 1)? == b'#';
        let unit = character(end, value, Encoding::Entity)?;
        return Ok(Unit { loud: unit.loud || among, ..unit });
    }
    let mut end = 1;
    while end <= LONGEST_NAME && rest.byte(end)?.is_ascii_alphabetic() {
        end += 1;
    }
    let name = rest.rest.get(1..end).unwrap_or_default();
    let closed = rest.byte(end)? == b';';
    // Without its semicolon hardly any is one: `&self` is not, and source code is full of them.
    let first = name.get(..2).unwrap_or_default();
    let open = [b"am", b"AM", b"gt", b"GT", b"lt", b"LT", b"qu", b"QU", b"nb", b"sh"];
    if name.len() < 2 || !closed && !open.iter().any(|it| first == *it) {
        return Err(No::Literal);
    }
    for (entity, it, semicolon, loud) in NAMED {
        let bytes = entity.as_bytes();
        let end = 1 + bytes.len() + usize::from(closed);
        if name == bytes && (closed || !semicolon) {
            // An ampersand that begins another entity hides it.
            let loud = loud || it == '&' && rest.byte(end)? == b'#';
            return Ok(Unit::character(end, it, Encoding::Entity, loud));
        }
        // Without its semicolon it may be followed by letters.
        if !semicolon && name.starts_with(bytes) {
            let end = 1 + bytes.len();
            return Ok(Unit::character(end, it, Encoding::Entity, loud));
        }
    }
    Err(No::Literal)
}

fn backslash(rest: Rest<'_>, before: Option<u8>) -> Result<Unit, No> {
    let mut at = 1;
    while rest.byte(at)? == b'\\' {
        at += 1;
        if at > BACKSLASHES {
            return Err(No::Literal);
        }
    }
    let simple = |it: char, loud: bool| Ok(Unit::character(at + 1, it, Encoding::Escape, loud));
    let letter = rest.byte(at)?;
    match letter {
        b'u' if rest.byte(at + 1)? == b'{' => braced(rest, at + 2),
        b'u' => {
            let high = rest.hex(at + 1, 4)?;
            if !(0xd800..0xdc00).contains(&high) {
                return character(at + 5, high, Encoding::Escape);
            }
            // The other half, behind as many backslashes.
            for slash in at + 5..2 * at + 5 {
                if rest.byte(slash)? != b'\\' {
                    return Err(No::Literal);
                }
            }
            let at = 2 * at + 5;
            if rest.byte(at)? != b'u' {
                return Err(No::Literal);
            }
            let low = rest.hex(at + 1, 4)?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(No::Literal);
            }
            let value = 0x1_0000 + ((high & 0x3ff) << 10 | low & 0x3ff);
            character(at + 5, value, Encoding::Escape)
        }
        b'U' => character(at + 9, rest.hex(at + 1, 8)?, Encoding::Escape),
        b'x' if rest.byte(at + 1)? == b'{' => braced(rest, at + 2),
        b'x' => Ok(byte(at + 3, rest.hex(at + 1, 2)?, Encoding::Escape)),
        b'0'..=b'3' => {
            // Exactly three octal digits for a printable character: fewer are back references and indices.
            let mut value = 0;
            for at in at..at + 3 {
                let digit = char::from(rest.byte(at)?).to_digit(8).ok_or(No::Literal)?;
                value = value << 3 | digit;
            }
            if !(0x20..0x7f).contains(&value) || rest.byte(at + 3)?.is_ascii_digit() {
                return Err(No::Literal);
            }
            character(at + 3, value, Encoding::Escape)
        }
        b'n' => simple('\n', begins_value(rest, at + 1)?),
        b'r' => simple('\r', begins_value(rest, at + 1)?),
        b't' => simple('\t', begins_value(rest, at + 1)?),
        // Only the slashes of a URL matter: patterns of other things do not hold any.
        b'/' => simple('/', before == Some(b':')),
        b'"' | b'\'' => simple(char::from(letter), false),
        _ if at > 1 => Ok(Unit::byte(at, b'\\', Encoding::Escape, false)),
        _ => Err(No::Literal),
    }
}

/// `{61}`, of which the brace is behind.
fn braced(rest: Rest<'_>, at: usize) -> Result<Unit, No> {
    let (value, end) = rest.number(at, 16, ENTITY_DIGITS)?;
    if rest.byte(end)? != b'}' {
        return Err(No::Literal);
    }
    character(end + 1, value, Encoding::Escape)
}
