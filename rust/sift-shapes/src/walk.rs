//! Runs out of masks: one bit for each of 64 bytes, block after block.
//!
//! Which runs hold a digit is an addition: a digit's bit added to the bits of its run carries to the run's
//! end. Which are long enough shows in a few shifts, without the block before: only the first run of a block
//! can come from there, and its length so far is known.

use crate::{Run, LONG, SHORT};

/// What is known at the end of a block.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Walk {
    /// Offset of the next block.
    at: usize,
    /// Bytes of the run that reaches the end of the last block.
    open: usize,
    /// Whether that run holds a digit.
    carry: bool,
}

// What the shifts and lanes below are made for.
const _: () = assert!(SHORT == 16 && LONG == 32);

impl Walk {
    /// Takes the masks of the next 64 bytes: value bytes, and the digits among them. Says whether to go on.
    #[inline(always)]
    pub(crate) fn block(
        &mut self,
        value: u64,
        digit: u64,
        on_run: &mut dyn FnMut(Run) -> bool,
    ) -> bool {
        let (sum, over) = value.overflowing_add(digit);
        let (sum, again) = sum.overflowing_add(u64::from(self.carry));
        let with_digit = sum & !value;
        // A run of 32 covers 16 bytes that begin at a multiple of 16: a lane of ones, or rarely the lane
        // above one, as in the search for a zero byte.
        let lanes = (!value).wrapping_sub(0x0001_0001_0001_0001) & value & 0x8000_8000_8000_8000;
        let first = value.trailing_ones();
        let crosses = self.open + first as usize >= SHORT;
        let mut go_on = true;
        if with_digit | lanes != 0 || crosses {
            let two = value & value << 1;
            let four = two & two << 2;
            let eight = four & four << 4;
            let sixteen = eight & eight << 8;
            let all = sixteen & sixteen << 16;
            let mut ends = with_digit & sixteen << 1 | !value & all << 1;
            if crosses {
                ends |= 1_u64.checked_shl(first).unwrap_or(0);
            }
            if ends != 0 {
                go_on = tell(*self, value, with_digit, ends, on_run);
            }
        }
        let last = value.leading_ones() as usize;
        self.open = if last == 64 { self.open + 64 } else { last };
        self.carry = over | again;
        self.at += 64;
        go_on
    }
}

/// Reports the runs that end at the bits of `ends`, if they are what is looked for.
#[inline(never)]
fn tell(
    walk: Walk,
    value: u64,
    with_digit: u64,
    mut ends: u64,
    on_run: &mut dyn FnMut(Run) -> bool,
) -> bool {
    while ends != 0 {
        let bit = ends.trailing_zeros();
        ends &= ends - 1;
        // Ones right below: if all are, the run begins in a block before.
        let below = if bit == 0 { 0 } else { (value << (64 - bit)).leading_ones() };
        let length = below as usize + if below == bit { walk.open } else { 0 };
        let digit = with_digit >> bit & 1 == 1;
        if length < if digit { SHORT } else { LONG } {
            continue;
        }
        let end = walk.at + bit as usize;
        if !on_run(Run { start: end - length, end, digit }) {
            return false;
        }
    }
    true
}
