//! Reads one file after the other into the same buffer.
//!
//! Files are read, not mapped: a file that somebody cuts short while it is mapped kills the process.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use crate::{Skip, WalkOptions};

/// Where git looks for a NUL.
const HEAD: usize = 8000;

/// Two bytes to a unit of UTF-16.
type Order = fn([u8; 2]) -> u16;

/// What begins a text in UTF-16, and in which order its bytes stand.
const MARKS: [([u8; 2], Order); 2] =
    [([0xff, 0xfe], u16::from_le_bytes), ([0xfe, 0xff], u16::from_be_bytes)];

/// Files up to this size are read at once; of larger ones the head is looked at first.
const SMALL: usize = 64 << 10;

/// What became of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome<'b> {
    Bytes(&'b [u8]),
    Skip(Skip),
}

/// A buffer that is as long as the longest file read so far, so that it is cleared only when it grows.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
    /// UTF-8 of the last file that was in UTF-16.
    text: Vec<u8>,
}

impl Reader {
    /// Reads the file at `path` as far as `options` allow.
    pub(crate) fn read(&mut self, path: &Path, options: &WalkOptions) -> io::Result<Outcome<'_>> {
        let file = open(path)?;
        let metadata = file.metadata()?;
        // The walk has looked already; the file may be another one by now.
        if !metadata.is_file() {
            return Ok(Outcome::Skip(Skip::NotAFile));
        }
        self.take(file, metadata.len(), options)
    }

    /// Reads `source`, which says it is `size` bytes long. It may be wrong: files grow and shrink, and
    /// those in `/proc` say nothing.
    fn take(
        &mut self,
        mut source: impl Read,
        size: u64,
        options: &WalkOptions,
    ) -> io::Result<Outcome<'_>> {
        let limit = usize::try_from(options.max_file_bytes).unwrap_or(usize::MAX);
        // One byte more than allowed, to learn that there is one.
        let most = limit.saturating_add(1);
        let expected = usize::try_from(size).unwrap_or(usize::MAX).saturating_add(1);

        let head = if expected <= SMALL { expected.max(HEAD) } else { HEAD };
        let mut filled = 0;
        let mut ended = self.fill(&mut source, &mut filled, head)?;
        let start = self.buffer.get(..filled.min(HEAD)).unwrap_or_default();
        // Without a NUL the mark is taken for bytes like others: the text is scanned as it is.
        let nul = !options.include_binary && memchr::memchr(0, start).is_some();
        // UTF-32 begins with the mark of UTF-16 and a NUL character, which no text of that has first.
        let wide = nul && !start.starts_with(&[0xff, 0xfe, 0, 0]);
        let mark = MARKS.iter().find(|(mark, _)| wide && start.starts_with(mark));
        if nul && mark.is_none() {
            return Ok(Outcome::Skip(Skip::Binary));
        }
        if size > options.max_file_bytes {
            return Ok(Outcome::Skip(Skip::TooLarge(size)));
        }
        while !ended && filled < most {
            let goal = if filled < expected { expected } else { filled.saturating_mul(2) };
            ended = self.fill(&mut source, &mut filled, goal.min(most))?;
        }
        if filled > limit {
            return Ok(Outcome::Skip(Skip::TooLarge(size.max(filled as u64))));
        }
        let bytes = self.buffer.get(..filled).unwrap_or_default();
        let Some((_, unit)) = mark else { return Ok(Outcome::Bytes(bytes)) };
        // What PowerShell's `>` and Windows' registry export write. Rules are patterns of UTF-8.
        self.text.clear();
        let units = bytes.chunks_exact(2).skip(1).map(|pair| unit([pair[0], pair[1]]));
        let mut utf8 = [0; 4];
        for character in char::decode_utf16(units) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.text.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
        }
        Ok(Outcome::Bytes(&self.text))
    }

    /// Reads until `filled` is `goal` or the source ends; says whether it has ended.
    fn fill(
        &mut self,
        source: &mut impl Read,
        filled: &mut usize,
        goal: usize,
    ) -> io::Result<bool> {
        if let Some(more) = goal.checked_sub(self.buffer.len()) {
            self.buffer.try_reserve_exact(more).map_err(|_| io::ErrorKind::OutOfMemory)?;
            self.buffer.resize(goal, 0);
        }
        while let Some(free) = self.buffer.get_mut(*filled..goal).filter(|free| !free.is_empty()) {
            match source.read(free) {
                Ok(0) => return Ok(true),
                Ok(count) => *filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

/// Opens without waiting: should a pipe have taken the file's place, opening it would wait for a writer.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        libc::O_NONBLOCK | libc::O_NOCTTY,
    );
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes in pieces and is interrupted between them.
    struct Slow<'b>(&'b [u8], bool);

    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let count = self.0.len().min(out.len()).min(777);
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn options(max_file_bytes: u64) -> WalkOptions {
        WalkOptions { max_file_bytes, ..WalkOptions::default() }
    }

    /// Sizes that lie: a file that grew, one that shrank, one that says nothing.
    #[test]
    fn the_bytes_count_and_not_the_size() {
        let mut reader = Reader::default();
        for length in [0, 1, 776, 777, 7999, 8000, 8001, 65_535, 65_536, 65_537, 200_000] {
            let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8 + 1).collect();
            for size in [0, 1, 100, length as u64, 8000, 70_000, 199_999] {
                for limit in [0, 100, length as u64, 199_999, 200_000, u64::MAX] {
                    let outcome = reader.take(Slow(&bytes, false), size, &options(limit)).unwrap();
                    if size.max(length as u64) > limit {
                        let Outcome::Skip(Skip::TooLarge(told)) = outcome else {
                            panic!("{length} bytes that said {size} were read, limit {limit}")
                        };
                        assert!(told > limit);
                    } else {
                        assert_eq!(outcome, Outcome::Bytes(&bytes));
                    }
                }
            }
        }
    }

    #[test]
    fn a_nul_counts_in_the_first_8000_bytes_only() {
        let mut reader = Reader::default();
        for (at, length, binary) in [
            (0, 1, true),
            (7999, 8000, true),
            (7999, 100_000, true),
            (8000, 8001, false),
            (8000, 100_000, false),
        ] {
            let mut bytes = vec![b'x'; length];
            bytes[at] = 0;
            let outcome = reader.take(&bytes[..], length as u64, &options(1 << 20)).unwrap();
            let expected =
                if binary { Outcome::Skip(Skip::Binary) } else { Outcome::Bytes(&bytes) };
            assert_eq!(outcome, expected);
            let all = WalkOptions { include_binary: true, ..WalkOptions::default() };
            let outcome = reader.take(&bytes[..], length as u64, &all).unwrap();
            assert_eq!(outcome, Outcome::Bytes(&bytes));
        }
    }

    /// Bytes of a longer file before must not show behind a shorter one.
    #[test]
    fn a_buffer_used_again_has_nothing_of_the_file_before() {
        let mut reader = Reader::default();
        let long = vec![b'l'; 50_000];
        assert_eq!(
            reader.take(&long[..], 50_000, &options(1 << 20)).unwrap(),
            Outcome::Bytes(&long)
        );
        assert_eq!(
            reader.take(&b"s"[..], 50_000, &options(1 << 20)).unwrap(),
            Outcome::Bytes(b"s")
        );
        let mut nul = vec![0; 9000];
        assert_eq!(
            reader.take(&nul[..], 9000, &options(1 << 20)).unwrap(),
            Outcome::Skip(Skip::Binary)
        );
        nul.clear();
        assert_eq!(reader.take(&nul[..], 9000, &options(1 << 20)).unwrap(), Outcome::Bytes(b""));
    }

    #[test]
    fn text_in_utf16_is_read_as_utf8() {
        let text = "key = \u{20ac}\u{1f511}\nnext";
        let units: Vec<u16> = std::iter::once(0xfeff).chain(text.encode_utf16()).collect();
        let mut reader = Reader::default();
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            let mut bytes: Vec<u8> = units.iter().flat_map(|&unit| order(unit)).collect();
            let outcome = reader.take(&bytes[..], bytes.len() as u64, &options(100)).unwrap();
            assert_eq!(outcome, Outcome::Bytes(text.as_bytes()));
            let raw = WalkOptions { include_binary: true, ..options(100) };
            let outcome = reader.take(&bytes[..], bytes.len() as u64, &raw).unwrap();
            assert_eq!(outcome, Outcome::Bytes(&bytes));
            // Half a surrogate pair and half a unit at the end.
            bytes.truncate(bytes.len() - 11);
            let outcome = reader.take(&bytes[..], 0, &options(100)).unwrap();
            assert_eq!(outcome, Outcome::Bytes("key = \u{20ac}\u{fffd}".as_bytes()));
        }
        let utf32 = [0xff, 0xfe, 0, 0, b'a', 0, 0, 0];
        let outcome = reader.take(&utf32[..], 8, &options(100)).unwrap();
        assert_eq!(outcome, Outcome::Skip(Skip::Binary));
        let plain = [0xff, 0xfe, b'a', b'b'];
        assert_eq!(reader.take(&plain[..], 4, &options(100)).unwrap(), Outcome::Bytes(&plain));
    }

    #[test]
    fn a_large_binary_file_is_binary_and_not_too_large() {
        let bytes = vec![0; 100_000];
        let mut reader = Reader::default();
        let outcome = reader.take(&bytes[..], 100_000, &options(10)).unwrap();
        assert_eq!(outcome, Outcome::Skip(Skip::Binary));
    }
}
