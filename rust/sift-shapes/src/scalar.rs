//! The definition of runs, one byte after the other: what the other paths are held equal to.

use crate::{is_value_byte, Run, LONG, SHORT};

pub(crate) fn value_runs(text: &[u8], on_run: &mut dyn FnMut(Run) -> bool) {
    let mut at = 0;
    while at < text.len() {
        let start = at;
        let mut digit = false;
        while let Some(byte) = text.get(at).filter(|&&byte| is_value_byte(byte)) {
            digit |= byte.is_ascii_digit();
            at += 1;
        }
        let length = at - start;
        if (length >= LONG || digit && length >= SHORT) && !on_run(Run { start, end: at, digit }) {
            return;
        }
        at += 1;
    }
}
