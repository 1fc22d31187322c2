//! Lone surrogates: a Python `str` may hold them, UTF-8 may not.
//!
//! Python's `surrogatepass` writes one as the three bytes it would have if it were a character
//! (`ED A0..BF 80..BF`). It is scanned as U+FFFD, three bytes wide as well, so no offset moves, and what
//! goes back to the caller is as it came.

const REPLACEMENT: [u8; 3] = [0xef, 0xbf, 0xbd];

/// A surrogate that was replaced: its byte offset in the text, and its three bytes.
pub type Patch = (usize, [u8; 3]);

/// Replaces each surrogate in `bytes` by U+FFFD, in place, and returns what stood there, in order.
///
/// `bytes` is what `surrogatepass` makes of a `str`: UTF-8 but for surrogates. A text without surrogates
/// costs one search for the byte `ED` and allocates nothing.
///
/// ```
/// use sift_text::{replace_surrogates, restore_surrogates};
///
/// let mut bytes = b"a\xed\xb2\x80b".to_vec();
/// let patches = replace_surrogates(&mut bytes);
/// assert_eq!(bytes, "a\u{fffd}b".as_bytes());
///
/// let mut piece = bytes[1..].to_vec(); // begins at byte 1 of the text
/// restore_surrogates(&mut piece, 1, &patches);
/// assert_eq!(piece, b"\xed\xb2\x80b");
/// ```
pub fn replace_surrogates(bytes: &mut [u8]) -> Vec<Patch> {
    let mut patches = Vec::new();
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(0xed, rest)) {
        at += found;
        if let Some(three) = bytes.get_mut(at..at + 3) {
            if let [lead, second @ 0xa0..=0xbf, third @ 0x80..=0xbf] = *three {
                patches.push((at, [lead, second, third]));
                three.copy_from_slice(&REPLACEMENT);
            }
        }
        at += 1;
    }
    patches
}

/// Puts surrogates back into `piece`, an unchanged part of the text that begins at its byte `start`.
///
/// Patches outside the piece are not for it; one that lies in it only in part, or over something else
/// than U+FFFD, is left alone: the piece is then not the part it is said to be. Returns how many were put
/// back.
pub fn restore_surrogates(piece: &mut [u8], start: usize, patches: &[Patch]) -> usize {
    let first = patches.partition_point(|&(at, _)| at < start);
    let mut restored = 0;
    for &(at, bytes) in patches.get(first..).unwrap_or_default() {
        let inside = at - start;
        if inside >= piece.len() {
            break;
        }
        if let Some(three) = piece.get_mut(inside..inside + 3) {
            if *three == REPLACEMENT {
                three.copy_from_slice(&bytes);
                restored += 1;
            }
        }
    }
    restored
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    /// What Python's `surrogatepass` writes for any code point, surrogates among them.
    fn encode(points: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &point in points {
            match char::from_u32(point) {
                Some(letter) => bytes.extend_from_slice(letter.to_string().as_bytes()),
                None => bytes.extend_from_slice(&[
                    0xe0 | (point >> 12) as u8,
                    0x80 | (point >> 6 & 0x3f) as u8,
                    0x80 | (point & 0x3f) as u8,
                ]),
            }
        }
        bytes
    }

    #[test]
    fn every_surrogate_goes_and_comes_back_and_nothing_else_does() {
        for point in 0xd000..=0xe0ff {
            let mut bytes = encode(&[u32::from(b'x'), point, 0xfffd]);
            let before = bytes.clone();
            let patches = replace_surrogates(&mut bytes);
            let is_surrogate = (0xd800..=0xdfff).contains(&point);
            assert_eq!(patches.len(), usize::from(is_surrogate), "U+{point:04X}");
            assert!(std::str::from_utf8(&bytes).is_ok());
            assert_eq!(restore_surrogates(&mut bytes, 0, &patches), patches.len());
            assert_eq!(bytes, before);
        }
    }

    #[test]
    fn pieces_get_back_what_is_theirs() {
        let mut random = Random::new(13);
        for _ in 0..500 {
            let points: Vec<u32> = (0..random.below(40))
                .map(|_| {
                    [0x41, 0xd7ff, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000, 0xfffd][random.below(8)]
                })
                .collect();
            let original = encode(&points);
            let mut clean = original.clone();
            let patches = replace_surrogates(&mut clean);
            let valid = std::str::from_utf8(&clean).unwrap();
            assert_eq!(valid.chars().count(), points.len());
            let mut out = Vec::new();
            let mut at = 0;
            while at < clean.len() {
                let end = crate::ceil_char(&clean, at + 1 + random.below(9));
                let mut piece = clean[at..end].to_vec();
                restore_surrogates(&mut piece, at, &patches);
                out.extend_from_slice(&piece);
                at = end;
            }
            assert_eq!(out, original);
        }
    }

    #[test]
    fn a_patch_that_does_not_fit_is_left_alone() {
        let patch = [(4, [0xed, 0xa0, 0x80])];
        let mut short = *b"\xef\xbf";
        assert_eq!(restore_surrogates(&mut short, 4, &patch), 0);
        let mut other = *b"abcdefgh";
        assert_eq!(restore_surrogates(&mut other, 0, &patch), 0);
        assert_eq!(&other, b"abcdefgh");
        assert_eq!(restore_surrogates(&mut [], 0, &patch), 0);
        let mut cut = *b"x\xed\xa0";
        assert!(replace_surrogates(&mut cut).is_empty());
    }
}
