//! Runs of a class of bytes: where a dense decoder has anything to do, and how it goes over line breaks.

use super::gate::{Gate, BLOCK};

#[cfg(target_arch = "x86_64")]
mod avx2;

/// A set of ASCII bytes.
pub(super) struct Class {
    table: [bool; 256],
    /// The same for vectors: a byte is in the set if its low and its high half have a bit in common. A bit
    /// stands for a row of sixteen bytes, or for several rows alike.
    low: [u8; 16],
    high: [u8; 16],
}

/// The class of the bytes in `bytes`.
pub(super) const fn class(bytes: &[u8]) -> Class {
    let mut class = Class { table: [false; 256], low: [0; 16], high: [0; 16] };
    let mut rows = [0_u16; 16];
    let mut at = 0;
    while at < bytes.len() {
        class.table[bytes[at] as usize] = true;
        rows[(bytes[at] >> 4) as usize] |= 1 << (bytes[at] & 15);
        at += 1;
    }
    let (mut row, mut bits) = (0, 0);
    while row < 16 {
        // The bit of an earlier row that is like this one.
        let mut like = 0;
        while like < row && rows[like] != rows[row] {
            like += 1;
        }
        if rows[row] != 0 && like < row {
            class.high[row] = class.high[like];
        } else if rows[row] != 0 {
            assert!(bits < 8 && row < 8);
            class.high[row] = 1 << bits;
            let mut column = 0;
            while column < 16 {
                class.low[column] |= ((rows[row] >> column & 1) as u8) << bits;
                column += 1;
            }
            bits += 1;
        }
        row += 1;
    }
    class
}

impl Class {
    fn has(&self, byte: u8) -> bool {
        self.table[usize::from(byte)]
    }
}

/// Where the first run of at least `least` bytes of `class` begins at or behind `from`.
///
/// At the end of `text` a run may be shorter: it may go on in what follows.
pub(super) fn next_run(text: &[u8], from: usize, class: &Class, least: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return match unsafe { avx2::next_run(text, from, class, least) } {
            Ok(start) => start,
            Err(rest) => portable(text, rest, class, least),
        };
    }
    portable(text, from, class, least)
}

/// As [`next_run`] for a whole text, of which `gate` says where a run reaches its length. The end of the text if
/// there is none.
pub(super) fn seek_run(
    text: &[u8],
    from: usize,
    class: &Class,
    least: usize,
    gate: &Gate,
    mark: u8,
) -> usize {
    let (mut at, mut end) = (from, from);
    while end < text.len() {
        let marked = gate.next(mark, end);
        // What is not marked holds no run that reached its length there: only its end may be a beginning.
        let between = text.get(at..marked.min(text.len())).unwrap_or_default();
        let begun = between.iter().rev().take_while(|&&byte| class.has(byte)).count();
        at = marked.min(text.len()) - begun;
        end = text.len().min((marked / BLOCK + 1) * BLOCK);
        let start = next_run(text.get(..end).unwrap_or(text), at, class, least);
        if start + least <= end {
            return start;
        }
        at = start.min(end);
    }
    text.len()
}

/// Looks at every `least`th byte only, as long as that is not in the class: what is skipped cannot hold a run.
fn portable(text: &[u8], mut from: usize, class: &Class, least: usize) -> usize {
    let inside = |at: usize| text.get(at).is_some_and(|&byte| class.has(byte));
    loop {
        let probe = from + least - 1;
        if probe >= text.len() {
            let rest = text.get(from..).unwrap_or_default();
            return text.len() - rest.iter().rev().take_while(|&&byte| class.has(byte)).count();
        }
        if !inside(probe) {
            from = probe + 1;
            continue;
        }
        let head = text.get(from..probe).unwrap_or_default();
        let start = probe - head.iter().rev().take_while(|&&byte| class.has(byte)).count();
        let end = start + least;
        match (probe + 1..end).find(|&at| !inside(at)) {
            None => return start,
            Some(at) if at >= text.len() => return start,
            Some(at) => from = at + 1,
        }
    }
}

/// What stands where a run might end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// The run goes on behind so many bytes.
    Joins(usize),
    Ends,
    /// What follows has to be seen first.
    Unknown,
}

/// Shortest line that an indented or escaped line break continues.
pub(super) const LINE: usize = 16;

/// Shortest line that a bare line break continues.
const SHORT_LINE: usize = 4;

/// Deepest indentation.
const INDENT: usize = 24;

/// Whether the run whose last line has `line` characters goes on behind the bytes at `at`.
///
/// Lines of wrapped data follow one another with `\n` or `\r\n`, indented as in YAML, or written as an
/// escape as in JSON. `follows` says whether a byte can continue the run.
pub(super) fn line_break(
    text: &[u8],
    at: usize,
    line: usize,
    finished: bool,
    follows: impl Fn(u8) -> bool,
) -> Break {
    let mut next = at;
    let byte = |at: usize| text.get(at).copied();
    let unknown = if finished { Break::Ends } else { Break::Unknown };
    let Some(first) = byte(at) else { return unknown };
    let bare = match first {
        b'\r' | b'\n' if line >= SHORT_LINE => true,
        b'\\' if line >= LINE => false,
        _ => return Break::Ends,
    };
    if bare {
        if first == b'\r' {
            next += 1;
        }
        match byte(next) {
            Some(b'\n') => next += 1,
            None => return unknown,
            Some(_) => return Break::Ends,
        }
        let feed = next;
        while line >= LINE && next - feed < INDENT && matches!(byte(next), Some(b' ' | b'\t')) {
            next += 1;
        }
    } else {
        // `\n`, `\r\n`, and the same with a second backslash in nested JSON.
        for escape in [b'r', b'n'] {
            let mut letter = next;
            while letter - next < 2 && byte(letter) == Some(b'\\') {
                letter += 1;
            }
            match byte(letter) {
                None => return unknown,
                Some(it) if it == escape && letter > next => next = letter + 1,
                Some(_) if escape == b'r' => {}
                Some(_) => return Break::Ends,
            }
        }
    }
    match byte(next) {
        None => unknown,
        Some(byte) if follows(byte) => Break::Joins(next - at),
        Some(_) => Break::Ends,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn runs_are_found_as_by_looking_at_each_byte() {
        const AB: Class = class(b"ab\nQqz7");
        let mut random = Random::new(3);
        for round in 0..20_000 {
            let length = random.below(if round % 2 == 0 { 60 } else { 400 });
            let odds = 4 + random.below(40);
            let text: Vec<u8> = (0..length)
                .map(|_| match random.below(odds) {
                    0 => random.next() as u8,
                    more => b"ab\nQqz7"[more % 7],
                })
                .collect();
            let least = 1 + random.below(40);
            let from = random.below(length + 1);
            let is_run = |at: usize| {
                let run = &text[at..text.len().min(at + least)];
                run.iter().all(|byte| b"ab\nQqz7".contains(byte))
            };
            let expected = (from..=length).find(|&at| is_run(at)).unwrap();
            assert_eq!(next_run(&text, from, &AB, least), expected, "{text:?} {from} {least}");
            assert_eq!(portable(&text, from, &AB, least), expected, "{text:?} {from} {least}");
        }
    }

    #[test]
    fn lines_join_over_breaks() {
        let join = |text: &str, line| line_break(text.as_bytes(), 0, line, true, |b| b == b'x');
        assert_eq!(join("\nx", 4), Break::Joins(1));
        assert_eq!(join("\r\nx", 4), Break::Joins(2));
        assert_eq!(join("\n   x", 16), Break::Joins(4));
        assert_eq!(join("\n   x", 15), Break::Ends);
        assert_eq!(join("\\nx", 16), Break::Joins(2));
        assert_eq!(join("\\r\\nx", 16), Break::Joins(4));
        assert_eq!(join("\\\\r\\\\nx", 16), Break::Joins(6));
        for text in ["\n\nx", "\rx", "\n", "\\x", "\\", "\\rx", "\nz", " x", "\\\\\\nx"] {
            assert_eq!(join(text, 64), Break::Ends, "{text:?}");
        }
        for text in ["", "\n", "\r", "\\", "\\r", "\\r\\", "\n  "] {
            let open = line_break(text.as_bytes(), 0, 64, false, |b| b == b'x');
            assert_eq!(open, Break::Unknown, "{text:?}");
        }
    }
}
