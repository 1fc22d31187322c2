//! Masks without vector instructions of a certain processor: a table, 64 bytes at a time.

use crate::walk::Walk;
use crate::{is_value_byte, Run};

/// Bit 0: a value byte, bit 1: a digit.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        classes[byte] = is_value_byte(b) as u8 | (b.is_ascii_digit() as u8) << 1;
        byte += 1;
    }
    classes
};

fn masks(block: &[u8]) -> (u64, u64) {
    let (mut value, mut digit) = (0, 0);
    for (i, &byte) in block.iter().enumerate() {
        let class = u64::from(CLASSES[byte as usize]);
        value |= (class & 1) << i;
        digit |= (class >> 1) << i;
    }
    (value, digit)
}

pub(crate) fn value_runs(text: &[u8], on_run: &mut dyn FnMut(Run) -> bool) {
    let mut walk = Walk::default();
    let blocks = text.chunks_exact(64);
    let rest = blocks.remainder();
    for block in blocks {
        let (value, digit) = masks(block);
        if !walk.block(value, digit, on_run) {
            return;
        }
    }
    // At most 63 bytes, so a run that reaches the end of the text ends in this block.
    let (value, digit) = masks(rest);
    walk.block(value, digit, on_run);
}
