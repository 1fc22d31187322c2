//! 64 bytes at a time, without intrinsics: loops over arrays that compilers turn into vector code.

use super::scalar::push;
use crate::unit::{is_active, unit};

const CHUNK: usize = 64;

pub(super) fn fold(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len());
    let mut at = 0;
    let mut white = false;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let chunk = rest.get(..CHUNK).unwrap_or(rest);
        let plain = if chunk.is_ascii() {
            chunk
        } else {
            let end = chunk.iter().position(|&byte| is_active(byte));
            chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default()
        };
        if !plain.is_empty() {
            fold_plain(plain, &mut white, out);
        }
        at += plain.len();
        if plain.len() < chunk.len() {
            let mut rest = text.get(at..).unwrap_or_default();
            // Where one character needs the slow way the next one often does, beyond a space or so.
            while let Some(next) = unit(rest) {
                rest = push(rest, next, &mut white, out);
                if rest.get(..2).is_none_or(<[u8]>::is_ascii) {
                    break;
                }
            }
            at = text.len() - rest.len();
        }
    }
}

/// Folds at most [`CHUNK`] bytes of which none above ASCII changes.
#[inline]
fn fold_plain(plain: &[u8], white: &mut bool, out: &mut Vec<u8>) {
    // Whole chunks whatever the length, so that the loops have a known count.
    let mut bytes = [0_u8; CHUNK];
    bytes[..plain.len()].copy_from_slice(plain);
    // One place to the right, so that each byte has a left neighbour.
    let mut is_white = [0_u8; CHUNK + 1];
    let mut folded = [0_u8; CHUNK];
    is_white[0] = u8::from(*white);
    for i in 0..CHUNK {
        let byte = bytes[i];
        let blank = u8::from(byte == b' ') | u8::from(byte.wrapping_sub(b'\t') < 5);
        let upper = u8::from(byte.wrapping_sub(b'A') < 26);
        is_white[i + 1] = blank;
        // White space is set to the space, which is also the bit that tells the cases apart.
        let keep = blank.wrapping_sub(1);
        folded[i] = byte & keep | (upper | blank) << 5;
    }
    let repeats = (0..CHUNK).fold(0, |any, i| any | (is_white[i] & is_white[i + 1]));
    *white = is_white.get(plain.len()).is_some_and(|&last| last == 1);
    if repeats == 0 {
        out.extend_from_slice(folded.get(..plain.len()).unwrap_or_default());
        return;
    }
    let mut kept = [0_u8; CHUNK];
    let mut length = 0;
    for (i, &byte) in folded.iter().enumerate().take(plain.len()) {
        // `length <= i < CHUNK`; the mask tells the compiler, which then needs no branch here.
        kept[length % CHUNK] = byte;
        length += usize::from(is_white[i] & is_white[i + 1] == 0);
    }
    out.extend_from_slice(kept.get(..length).unwrap_or_default());
}
