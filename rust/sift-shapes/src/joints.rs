//! What stands in a run and left of it, 64 bytes at a time: where its parts end, and how far a set of bytes
//! reaches to the left.

/// What ends the alphabets of a run, one bit for each of 64 of its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Joints {
    /// Bytes of `%+-/=_~`; of `%+/=~`; of `%`: what a part of letters and digits alone, one with `-_`, and
    /// one with `+-/=_~` ends at.
    pub ends: [u64; 3],
    /// Bytes of `-=`, behind which a value can begin.
    pub begins: u64,
    /// Digits.
    pub digits: u64,
}

impl Joints {
    /// The bits below `length`.
    #[inline]
    #[must_use]
    pub fn first(mut self, length: usize) -> Self {
        if let Some(mask) = 1_u64.checked_shl(length as u32).map(|bit| bit - 1) {
            self.ends = self.ends.map(|ends| ends & mask);
            self.begins &= mask;
            self.digits &= mask;
        }
        self
    }
}

/// The bits of a byte: those of [`Joints::ends`], then `begins` and `digits`.
const fn class(byte: u8) -> u8 {
    (match byte {
        b'%' => 0b111,
        b'+' | b'/' | b'=' | b'~' => 0b011,
        b'-' | b'_' => 0b001,
        _ => 0,
    }) | (matches!(byte, b'-' | b'=') as u8) << 3
        | (byte.is_ascii_digit() as u8) << 4
}

/// Of the first 64 bytes, or of as many as there are.
pub(crate) fn portable(text: &[u8]) -> Joints {
    static CLASSES: [u8; 256] = {
        let mut classes = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            classes[byte] = class(byte as u8);
            byte += 1;
        }
        classes
    };
    let mut all = [0_u64; 5];
    for (i, &byte) in text.iter().take(64).enumerate() {
        let class = u64::from(CLASSES[byte as usize]);
        for (bit, mask) in all.iter_mut().enumerate() {
            *mask |= (class >> bit & 1) << i;
        }
    }
    let [a, b, c, begins, digits] = all;
    Joints { ends: [a, b, c], begins, digits }
}

/// A set of bytes that is looked up 32 at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// By the low half of a byte: one bit for each high half with which it is in the set, 0 to 7 and 8 to 15.
    pub(crate) rows: [[u8; 16]; 2],
}

impl Bytes {
    /// The bytes that `is_in` says.
    pub fn new(is_in: impl Fn(u8) -> bool) -> Self {
        let mut rows = [[0; 16]; 2];
        for byte in (0..=255_u8).filter(|&byte| is_in(byte)) {
            rows[usize::from(byte >> 7)][usize::from(byte & 15)] |= 1 << (byte >> 4 & 7);
        }
        Self { rows }
    }

    /// Whether a byte is in the set.
    #[inline]
    #[must_use]
    pub fn has(&self, byte: u8) -> bool {
        self.rows[usize::from(byte >> 7)][usize::from(byte & 15)] >> (byte >> 4 & 7) & 1 == 1
    }

    /// How many bytes at the end of `text` are in the set.
    pub(crate) fn last_of(&self, text: &[u8]) -> usize {
        text.iter().rev().take_while(|&&byte| self.has(byte)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Path;

    #[test]
    fn both_ways_class_every_byte_alike_at_every_place() {
        for byte in 0..=255_u8 {
            for at in 0..70 {
                let mut text = [b'a'; 70];
                text[at] = byte;
                for length in [at, at + 1, 70] {
                    let text = &text[..length];
                    let expected = Path::Scalar.joints(text, 0);
                    let bits = [&expected.ends[..], &[expected.begins, expected.digits]].concat();
                    for (bit, mask) in bits.iter().enumerate() {
                        let is = at < length.min(64) && class(byte) >> bit & 1 == 1;
                        assert_eq!(*mask, u64::from(is).checked_shl(at as u32).unwrap_or(0));
                    }
                    assert_eq!(Path::Avx2.joints(text, 0), expected);
                    assert_eq!(Path::Avx2.joints(&[text, text].concat(), length), expected);
                }
            }
        }
    }

    #[test]
    fn both_ways_reach_as_far_left() {
        let mut state = 3_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize
        };
        for round in 0..4_000 {
            let one_in = 2 + next() % 40;
            let members: Vec<u8> = (0..=255).filter(|_| next() % one_in > 0).collect();
            let set = Bytes::new(|byte| members.contains(&byte));
            assert!((0..=255).all(|byte| set.has(byte) == members.contains(&byte)));
            let most = [0, 3, 31, 62, 64, 65, 128, 300][round % 8];
            let text: Vec<u8> = (0..next() % 300)
                .map(|_| match members.as_slice() {
                    [_, ..] if next() % 50 > 0 => members[next() % members.len()],
                    _ => next() as u8,
                })
                .collect();
            let at = next() % (text.len() + 1);
            let left = text[..at].iter().rev().take(most);
            let expected = left.take_while(|&byte| members.contains(byte)).count();
            for path in Path::ALL {
                assert_eq!(path.reach_left(&text, at, most, &set), expected, "{path:?}");
            }
        }
    }
}
