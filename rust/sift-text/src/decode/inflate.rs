//! Compressed data inside base64 or hex: gzip and zlib, as far as the limits allow.
//!
//! Told by its first bytes, so only at the beginning of a run. The finding in it covers the whole run:
//! there is no smaller unit.

use miniz_oxide::inflate::{decompress_to_vec_with_limit, decompress_to_vec_zlib_with_limit};

use super::{Form, Reading, Window};

/// A run that began like compressed data.
#[derive(Clone, Debug)]
pub(super) struct Run {
    limit: usize,
    open: Option<(usize, Form)>,
}

impl Run {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, open: None }
    }

    /// A run began at `start`, with `bytes`.
    pub(super) fn begin(&mut self, start: usize, bytes: &[u8]) {
        self.open = form(bytes).map(|form| (start, form));
    }

    /// The run goes on to `end`. One that is longer than the limit is judged by what is in it.
    #[inline]
    pub(super) fn grows(
        &mut self,
        end: usize,
        reading: fn(Form) -> Reading,
        found: &mut Vec<Window>,
    ) {
        if let Some((start, form)) = self.open.filter(|(start, _)| end - start >= self.limit) {
            found.push(Window { start, literal: start, end, reading: reading(form), open: true });
            self.open = None;
        }
    }

    pub(super) fn end(
        &mut self,
        end: usize,
        reading: fn(Form) -> Reading,
        found: &mut Vec<Window>,
    ) {
        if let Some((start, form)) = self.open.take().filter(|(start, _)| end - start >= SHORTEST) {
            found.push(Window { start, literal: start, end, reading: reading(form), open: false });
        }
    }

    pub(super) fn held(&self) -> Option<usize> {
        self.open.map(|(start, _)| start)
    }

    pub(super) fn dropped(&mut self, count: usize) {
        self.open = self.open.map(|(start, form)| (start.saturating_sub(count), form));
    }
}

/// Encoded bytes below which nothing of interest can be packed.
const SHORTEST: usize = 24;

fn form(bytes: &[u8]) -> Option<Form> {
    match bytes {
        [0x1f, 0x8b, 8, ..] => Some(Form::Gzip),
        // The headers of the four levels. The first block is fixed or dynamic Huffman: stored text is found
        // without this.
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, block, ..] if matches!(block >> 1 & 3, 1 | 2) => {
            Some(Form::Zlib)
        }
        _ => None,
    }
}

/// Unpacks gzip into `out`, at most `limit` bytes. Damaged or cut data gives what was read before.
pub(super) fn gzip(packed: &[u8], limit: usize, out: &mut Vec<u8>) {
    if let Some(body) = gzip_body(packed) {
        keep(decompress_to_vec_with_limit(body, limit), out);
    }
}

/// Unpacks zlib into `out`, as [`gzip`].
pub(super) fn zlib(packed: &[u8], limit: usize, out: &mut Vec<u8>) {
    keep(decompress_to_vec_zlib_with_limit(packed, limit), out);
}

fn keep(result: Result<Vec<u8>, miniz_oxide::inflate::DecompressError>, out: &mut Vec<u8>) {
    *out = result.unwrap_or_else(|partial| partial.output);
}

/// What follows the header of a gzip member (RFC 1952).
fn gzip_body(packed: &[u8]) -> Option<&[u8]> {
    let flags = *packed.get(3)?;
    let mut rest = packed.get(10..)?;
    if flags & 4 != 0 {
        let (size, extra) = rest.split_first_chunk::<2>()?;
        rest = extra.get(usize::from(u16::from_le_bytes(*size))..)?;
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            rest = rest.get(memchr::memchr(0, rest)? + 1..)?;
        }
    }
    rest.get(if flags & 2 != 0 { 2.. } else { 0.. })
}
