//! One unit of folding: what a single character, or a single byte that is no character, becomes.
//!
//! This is the only place that says what folding *is*; the kernels in `fold/` are faster ways to apply
//! it to many units, and `origins.rs` walks the same units to find the way back.

/// What the unit at a position becomes, and how many bytes it is wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folded {
    /// White space: one ASCII space for the whole run that it is part of.
    White { width: usize },
    /// Stays as it is. A byte that belongs to no character is a unit of its own.
    Same { width: usize },
    /// A letter with a simple lower case.
    Lower { width: usize, letter: char },
}

impl Folded {
    pub(crate) fn width(self) -> usize {
        match self {
            Self::White { width } | Self::Same { width } | Self::Lower { width, .. } => width,
        }
    }

    /// Bytes of the unit in the folded text. White space counts one, and the rest of its run nothing.
    pub(crate) fn folded_width(self) -> usize {
        match self {
            Self::White { .. } => 1,
            Self::Same { width } => width,
            Self::Lower { letter, .. } => letter.len_utf8(),
        }
    }
}

/// The unit that begins with the first byte of `rest`; `None` at the end of the text.
#[inline]
pub(crate) fn unit(rest: &[u8]) -> Option<Folded> {
    let lead = *rest.first()?;
    Some(match lead {
        b' ' | b'\t'..=b'\r' => Folded::White { width: 1 },
        b'A'..=b'Z' => Folded::Lower { width: 1, letter: char::from(lead | 0x20) },
        0..=0x7f => Folded::Same { width: 1 },
        _ => match decode(rest) {
            None => Folded::Same { width: 1 },
            Some((point, width)) => wide(point, width),
        },
    })
}

/// Whether a character that begins with `lead` may change when folded.
///
/// N.B. the vector kernel holds the same set as two tables of nibbles (`fold/avx2.rs`); a test compares
/// both with all of Unicode. Other bytes above ASCII may be copied without being understood.
#[inline]
pub(crate) const fn is_active(lead: u8) -> bool {
    matches!(lead, 0xc2..=0xc9 | 0xcd..=0xd5 | 0xe1..=0xe3 | 0xea | 0xef | 0xf0)
}

/// Whether a character that begins with `lead` may be white space, or become wider or narrower.
///
/// Text without such bytes, and without ASCII white space, is as long folded as it is.
#[inline]
pub(crate) const fn is_resized(lead: u8) -> bool {
    matches!(lead, 0xc2 | 0xc8 | 0xe1..=0xe3 | 0xea)
}

fn wide(point: u32, width: usize) -> Folded {
    // The letters of living scripts without the search in the standard library's tables.
    let lower = match point {
        0x85 | 0xa0 | 0x1680 | 0x2000..=0x200a | 0x2028 | 0x2029 | 0x202f | 0x205f | 0x3000 => {
            return Folded::White { width };
        }
        0x80..=0xbf | 0xd7 | 0xdf..=0xff | 0x3ac..=0x3ce | 0x430..=0x45f => point,
        0x2010..=0x2027 | 0x3001..=0xa63f | 0xac00..=0xfeff | 0x1f000..=0x10ffff => point,
        0xc0..=0xde | 0x391..=0x3a1 | 0x3a3..=0x3ab | 0x410..=0x42f => point + 0x20,
        0x400..=0x40f => point + 0x50,
        _ => return searched(point, width),
    };
    match char::from_u32(lower) {
        Some(letter) if lower != point => Folded::Lower { width, letter },
        _ => Folded::Same { width },
    }
}

fn searched(point: u32, width: usize) -> Folded {
    let Some(letter) = char::from_u32(point) else { return Folded::Same { width } };
    let mut lower = letter.to_lowercase();
    match (lower.next(), lower.next()) {
        // A lower case of several characters is not a simple one: offsets inside it would be nobody's.
        (Some(lower), None) if lower != letter => Folded::Lower { width, letter: lower },
        _ => Folded::Same { width },
    }
}

/// The code point of two to four bytes at the beginning of `rest`, if it is well-formed UTF-8.
#[inline]
fn decode(rest: &[u8]) -> Option<(u32, usize)> {
    let tail = |at: usize| {
        rest.get(at).filter(|&&byte| byte & 0xc0 == 0x80).map(|&byte| u32::from(byte & 0x3f))
    };
    let lead = *rest.first()?;
    let head = u32::from(lead);
    match lead {
        0xc2..=0xdf => Some(((head & 0x1f) << 6 | tail(1)?, 2)),
        0xe0..=0xef => {
            let point = (head & 0xf) << 12 | tail(1)? << 6 | tail(2)?;
            (point >= 0x800 && !(0xd800..=0xdfff).contains(&point)).then_some((point, 3))
        }
        0xf0..=0xf4 => {
            let point = (head & 7) << 18 | tail(1)? << 12 | tail(2)? << 6 | tail(3)?;
            (0x1_0000..=0x10_ffff).contains(&point).then_some((point, 4))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shortcuts by range, against the standard library, for every character there is.
    #[test]
    fn every_character_folds_as_the_standard_library_says() {
        for letter in '\0'..=char::MAX {
            let mut bytes = [0; 4];
            let bytes = letter.encode_utf8(&mut bytes).as_bytes();
            let width = bytes.len();
            let lower: Vec<char> = letter.to_lowercase().collect();
            let expected = if letter.is_whitespace() {
                Folded::White { width }
            } else if lower.len() == 1 && lower[0] != letter {
                Folded::Lower { width, letter: lower[0] }
            } else {
                Folded::Same { width }
            };
            assert_eq!(unit(bytes), Some(expected), "U+{:04X}", u32::from(letter));
            if letter > '\x7f' && expected != (Folded::Same { width }) {
                assert!(is_active(bytes[0]), "U+{:04X}", u32::from(letter));
                let resized = letter.is_whitespace() || expected.folded_width() != width;
                assert!(!resized || is_resized(bytes[0]), "U+{:04X}", u32::from(letter));
            }
        }
    }

    /// A lead byte marked active for nothing sends its characters down the slow path.
    #[test]
    fn every_active_lead_byte_has_a_character_that_changes() {
        let mut seen = [false; 256];
        for letter in '\u{80}'..=char::MAX {
            let mut bytes = [0; 4];
            let bytes = letter.encode_utf8(&mut bytes).as_bytes();
            if unit(bytes) != Some(Folded::Same { width: bytes.len() }) {
                seen[usize::from(bytes[0])] = true;
            }
        }
        for lead in 0x80..=0xff_u8 {
            assert_eq!(is_active(lead), seen[usize::from(lead)], "{lead:#x}");
        }
    }

    #[test]
    fn what_is_no_character_is_a_unit_of_one_byte() {
        let broken: [&[u8]; 9] = [
            b"\x80a",
            b"\xc0\x80",
            b"\xc3",
            b"\xc3A",
            b"\xe2\x80",
            b"\xed\xa0\x80",
            b"\xe0\x80\x80",
            b"\xf4\x90\x80\x80",
            b"\xff",
        ];
        for bytes in broken {
            assert!(std::str::from_utf8(bytes).is_err());
            assert_eq!(unit(bytes), Some(Folded::Same { width: 1 }), "{bytes:x?}");
        }
        assert_eq!(unit(b""), None);
    }

    /// Whether three bytes are a character must be what the standard library says: a view of `bytes`
    /// and a view of `str` would differ otherwise.
    #[test]
    fn well_formed_means_what_the_standard_library_means() {
        for lead in 0x80..=0xff_u8 {
            for second in 0..=0xff_u8 {
                for third in [0, 0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xff] {
                    let bytes = [lead, second, third, 0x80];
                    let valid = (1..=4).find(|&n| std::str::from_utf8(&bytes[..n]).is_ok());
                    let width = decode(&bytes).map(|(_, width)| width);
                    assert_eq!(width, valid, "{bytes:x?}");
                }
            }
        }
    }
}
