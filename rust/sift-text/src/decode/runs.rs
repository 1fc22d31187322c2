//! Runs of a class of bytes: where a dense decoder has anything to do, and how it goes over line breaks.

/// A set of bytes, as a table.
pub(super) type Class = [bool; 256];

/// The class of the bytes in `bytes`.
pub(super) const fn class(bytes: &[u8]) -> Class {
    let mut table = [false; 256];
    let mut at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize] = true;
        at += 1;
    }
    table
}

/// Where the first run of at least `least` bytes of `class` begins at or behind `from`.
///
/// At the end of `text` a run may be shorter: it may go on in what follows. Looks at every `least`th byte
/// only, as long as that is not in the class: what is skipped cannot hold a run.
pub(super) fn next_run(text: &[u8], mut from: usize, class: &Class, least: usize) -> usize {
    let inside = |at: usize| text.get(at).is_some_and(|&byte| class[usize::from(byte)]);
    loop {
        let probe = from + least - 1;
        if probe >= text.len() {
            let rest = text.get(from..).unwrap_or_default();
            let tail = rest.iter().rev().take_while(|&&byte| class[usize::from(byte)]).count();
            return text.len() - tail;
        }
        if !inside(probe) {
            from = probe + 1;
            continue;
        }
        let head = text.get(from..probe).unwrap_or_default();
        let start = probe - head.iter().rev().take_while(|&&byte| class[usize::from(byte)]).count();
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
        const AB: Class = class(b"ab");
        let mut random = Random::new(3);
        for _ in 0..20_000 {
            let length = random.below(60);
            let text: Vec<u8> = (0..length).map(|_| b"aabbbx"[random.below(6)]).collect();
            let least = 1 + random.below(12);
            let from = random.below(length + 1);
            let is_run = |at: usize| {
                let rest = &text[at..];
                rest.len() < least && rest.iter().all(|&b| AB[usize::from(b)])
                    || rest.len() >= least && rest[..least].iter().all(|&b| AB[usize::from(b)])
            };
            let expected = (from..=length).find(|&at| is_run(at)).unwrap();
            assert_eq!(next_run(&text, from, &AB, least), expected, "{text:?} {from} {least}");
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
