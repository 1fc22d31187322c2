//! The way back from decoded bytes to the text.

use super::track::is_high;
use super::{Encoding, Encodings, Form, Piece, Reading, Window};

/// Where the decoded bytes of a window stood.
///
/// Made by [`Window::map`] for the rare window with a finding; keeps its capacity for the next one.
#[derive(Clone, Debug, Default)]
pub struct Map {
    pieces: Vec<Part>,
    /// Decoded bytes.
    length: usize,
    /// End of the window.
    end: usize,
    /// What the whole window is encoded in.
    common: Encodings,
}

/// A piece and where its decoded bytes begin.
#[derive(Clone, Copy, Debug)]
struct Part {
    decoded: usize,
    start: usize,
    end: usize,
    /// `None`: the bytes stand for themselves.
    encoding: Option<Encoding>,
}

impl Map {
    pub(super) fn fill(&mut self, window: &Window, text: &[u8]) {
        self.pieces.clear();
        self.length = 0;
        self.end = window.end;
        self.common = Encodings::default();
        let (pieces, length) = (&mut self.pieces, &mut self.length);
        let mut raw = Vec::new();
        let utf16 = window.form() == Form::Utf16;
        window.pieces(text, &mut |piece| {
            let (start, end, encoding) = match piece {
                Piece::Literal { start, bytes } => (start, start + bytes.len(), None),
                Piece::Unit { start, end, encoding, .. } => (start, end, Some(encoding)),
            };
            pieces.push(Part { decoded: *length, start, end, encoding });
            *length += piece.bytes().len();
            if utf16 {
                raw.extend_from_slice(piece.bytes());
            }
        });
        let encoding = match window.reading {
            Reading::Base64(_) => Encoding::Base64,
            Reading::Hex(_) | Reading::Pairs(_) => Encoding::Hex,
            _ => return,
        };
        match window.form() {
            Form::Text => {}
            Form::Utf16 => {
                self.common = self.common.with(Encoding::Utf16);
                self.recode(&raw, encoding);
            }
            form @ (Form::Gzip | Form::Zlib) => {
                let packed = if form == Form::Gzip { Encoding::Gzip } else { Encoding::Zlib };
                self.common = self.common.with(encoding).with(packed);
                self.pieces.clear();
                let Window { start, end, .. } = *window;
                self.pieces.push(Part { decoded: 0, start, end, encoding: Some(encoding) });
                self.length = usize::MAX;
            }
        }
    }

    /// Puts the characters of UTF-16 in the place of the bytes they were made of.
    fn recode(&mut self, raw: &[u8], encoding: Encoding) {
        let (mut parts, mut decoded) = (Vec::new(), 0);
        utf16(raw, |at, character| {
            let (start, end) = self.span(at.start, at.end);
            parts.push(Part { decoded, start, end, encoding: Some(encoding) });
            decoded += character.len();
        });
        self.pieces = parts;
        self.length = decoded;
    }

    /// The bytes of the text that the decoded bytes `start..end` come from, as whole units.
    ///
    /// Offsets behind the decoded bytes mean their end; an empty span gives an empty one.
    pub fn span(&self, start: usize, end: usize) -> (usize, usize) {
        let Some(first) = self.part(start) else { return (self.end, self.end) };
        let inside = |part: &Part, offset: usize| part.start + (offset - part.decoded);
        let from = if first.encoding.is_none() { inside(first, start) } else { first.start };
        if end <= start {
            return (from, from);
        }
        let Some(last) = self.part((end - 1).min(self.length.saturating_sub(1))) else {
            return (from, self.end);
        };
        let to =
            if last.encoding.is_none() { inside(last, end.min(self.length)) } else { last.end };
        // Backwards, the last bytes come from the first ones.
        if last.start < first.start {
            return (last.start, first.end);
        }
        (from, to)
    }

    /// How the decoded bytes `start..end` are encoded; none if they all stand for themselves.
    ///
    /// Units that stand for nothing, such as invisible characters, count where they are between two bytes
    /// of the span.
    pub fn touched(&self, start: usize, end: usize) -> Encodings {
        let from = self.pieces.partition_point(|part| part.decoded < start);
        // The piece that holds the first byte began before it.
        let from = if self.pieces.get(from).is_some_and(|part| part.decoded == start) {
            from
        } else {
            from.saturating_sub(1)
        };
        let parts = self.pieces.get(from..).unwrap_or_default();
        let touched = parts.iter().take_while(|part| part.decoded < end);
        touched.filter_map(|part| part.encoding).fold(self.common, Encodings::with)
    }

    /// The piece that holds the decoded byte at `offset`: the last one that begins there or before.
    fn part(&self, offset: usize) -> Option<&Part> {
        if offset >= self.length {
            return None;
        }
        let behind = self.pieces.partition_point(|part| part.decoded <= offset);
        self.pieces.get(behind.checked_sub(1)?)
    }
}

/// Tells the characters of UTF-16 and which bytes of `raw` they were made of.
///
/// The high bytes say the order: there are few of them.
pub(super) fn utf16(raw: &[u8], mut tell: impl FnMut(std::ops::Range<usize>, &[u8])) {
    let high = |from: usize| raw.iter().skip(from).step_by(2).filter(|&&it| is_high(it)).count();
    let order = if high(0) > high(1) { u16::from_be_bytes } else { u16::from_le_bytes };
    let mut at = 0;
    let codes = raw.chunks_exact(2).map(|pair| order([pair[0], pair[1]]));
    for character in char::decode_utf16(codes) {
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        let width = 2 * character.len_utf16();
        if character != '\u{feff}' {
            tell(at..at + width, character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        at += width;
    }
}
