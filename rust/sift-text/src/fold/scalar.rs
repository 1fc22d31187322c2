//! The definition: one unit after the other.

use crate::unit::{unit, Folded};

pub(super) fn fold(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len());
    let mut rest = text;
    let mut white = false;
    while let Some(next) = unit(rest) {
        rest = push(rest, next, &mut white, out);
    }
}

/// Appends what the first unit of `rest` becomes, and returns what follows it; `white` says whether white
/// space stands before it.
#[inline]
pub(super) fn push<'t>(
    rest: &'t [u8],
    first: Folded,
    white: &mut bool,
    out: &mut Vec<u8>,
) -> &'t [u8] {
    let (head, tail) = rest.split_at(first.width());
    if let Folded::White { .. } = first {
        if !*white {
            out.push(b' ');
        }
        *white = true;
        return tail;
    }
    *white = false;
    match first {
        Folded::Lower { letter, .. } => {
            let mut bytes = [0; 4];
            append(letter.encode_utf8(&mut bytes).as_bytes(), out);
        }
        _ => append(head, out),
    }
    tail
}

/// Appends 1 to 4 bytes. Arrays of known length are a move each, a slice is a call of `memcpy`: the one
/// folds Cyrillic three times as fast as the other.
#[inline]
fn append(bytes: &[u8], out: &mut Vec<u8>) {
    match *bytes {
        [a] => out.push(a),
        [a, b] => out.extend_from_slice(&[a, b]),
        [a, b, c] => out.extend_from_slice(&[a, b, c]),
        _ => out.extend_from_slice(bytes),
    }
}
