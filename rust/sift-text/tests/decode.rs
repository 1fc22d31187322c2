//! Decoders against slow ones: every encoding there and back with exact offsets, every cut of a stream, and
//! texts made to be hard.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a panic is the report")]

use sift_text::decode::{
    invisible, windows, Encoding, Finder, Form, InvisibleKind, Limits, Map, Nesting, Reading,
    Window, MIN_TEXT, REACH, STRIDE, WINDOW,
};

/// Splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

fn find(text: &[u8]) -> Vec<Window> {
    let mut found = Vec::new();
    windows(text, &Limits::default(), &mut found);
    found
}

fn decoded(text: &[u8], window: &Window) -> Vec<u8> {
    let mut out = Vec::new();
    window.decode(text, &Limits::default(), &mut out);
    out
}

/// An encoded text, and for each byte of the payload the unit that it is in.
#[derive(Default)]
struct Encoded {
    text: Vec<u8>,
    units: Vec<(usize, usize)>,
}

impl Encoded {
    /// A unit for the next `bytes` bytes of the payload.
    fn unit(&mut self, text: &str, bytes: usize) {
        let start = self.text.len();
        self.text.extend_from_slice(text.as_bytes());
        self.units.extend(vec![(start, self.text.len()); bytes]);
    }
}

/// Base64 by the book, in groups; `line` characters to a line.
fn base64(payload: &[u8], url: bool, pad: bool, line: Option<(usize, &str)>) -> Encoded {
    let mut alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').collect();
    alphabet.extend(if url { ['-', '_'] } else { ['+', '/'] });
    let mut out = Encoded::default();
    let mut column = 0;
    for group in payload.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, &b| bits << 8 | u32::from(b)) << (24 - 8 * group.len());
        let mut start = None;
        for place in 0..4 {
            if place > group.len() && !pad {
                break;
            }
            if let Some((width, separator)) = line {
                if column == width {
                    out.text.extend_from_slice(separator.as_bytes());
                    column = 0;
                }
            }
            start.get_or_insert(out.text.len());
            let letter = alphabet[(bits >> (18 - 6 * place) & 63) as usize];
            out.text.push(if place > group.len() { b'=' } else { letter as u8 });
            column += 1;
        }
        out.units.extend(vec![(start.unwrap(), out.text.len()); group.len()]);
    }
    out
}

fn by_byte(payload: &[u8], mut write: impl FnMut(u8, usize) -> String) -> Encoded {
    let mut out = Encoded::default();
    for (at, &byte) in payload.iter().enumerate() {
        out.unit(&write(byte, at), 1);
    }
    out
}

/// Each byte a unit with something between two of them.
fn by_pair(payload: &[u8], prefix: &str, separator: &str) -> Encoded {
    let mut out = Encoded::default();
    for (at, byte) in payload.iter().enumerate() {
        if at > 0 {
            out.text.extend_from_slice(separator.as_bytes());
        }
        out.unit(&format!("{prefix}{byte:02x}"), 1);
    }
    out
}

fn by_character(payload: &[u8], mut write: impl FnMut(char) -> String) -> Encoded {
    let mut out = Encoded::default();
    for letter in std::str::from_utf8(payload).unwrap().chars() {
        out.unit(&write(letter), letter.len_utf8());
    }
    out
}

fn utf16_escape(letter: char, slashes: &str) -> String {
    let mut pair = [0; 2];
    letter.encode_utf16(&mut pair).iter().map(|code| format!("{slashes}u{code:04X}")).collect()
}

/// Every way of writing `payload`, by name.
fn encodings(payload: &[u8], random: &mut Random) -> Vec<(&'static str, Encoded)> {
    let width = 16 + 4 * random.below(20);
    let utf16 = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        String::from_utf8(payload.to_vec()).unwrap().encode_utf16().flat_map(bytes).collect()
    };
    let mut all = vec![
        ("base64", base64(payload, false, true, None)),
        ("base64 of URLs", base64(payload, true, true, None)),
        ("base64 without padding", base64(payload, random.below(2) == 0, false, None)),
        ("base64 in lines", base64(payload, false, true, Some((width, "\n")))),
        ("base64 in short lines", base64(payload, false, true, Some((4 + width % 12, "\n")))),
        ("base64 in DOS lines", base64(payload, true, true, Some((width, "\r\n")))),
        ("base64 in JSON", base64(payload, false, true, Some((width, "\\n")))),
        (
            "base64 in DOS lines in JSON in JSON",
            base64(payload, false, true, Some((width, "\\\\r\\\\n"))),
        ),
        ("base64 in YAML", base64(payload, false, true, Some((width, "\n      ")))),
        ("hex", by_byte(payload, |byte, _| format!("{byte:02x}"))),
        ("HEX", by_byte(payload, |byte, _| format!("{byte:02X}"))),
        ("pairs", by_pair(payload, "", " ")),
        ("pairs with colons", by_pair(payload, "", ":")),
        ("bytes of C", by_pair(payload, "0x", ", ")),
        ("percent", by_byte(payload, |byte, _| format!("%{byte:02X}"))),
        ("escaped bytes", by_byte(payload, |byte, _| format!("\\x{byte:02x}"))),
        ("decimal entities", by_character(payload, |it| format!("&#{};", u32::from(it)))),
        ("hexadecimal entities", by_character(payload, |it| format!("&#x{:x};", u32::from(it)))),
        ("open entities", by_character(payload, |it| format!("&#{}", u32::from(it)))),
        ("escapes in braces", by_character(payload, |it| format!("\\u{{{:x}}}", u32::from(it)))),
        ("escapes of JSON", by_character(payload, |it| utf16_escape(it, "\\"))),
        ("escapes of JSON in JSON", by_character(payload, |it| utf16_escape(it, "\\\\"))),
        ("escapes of IIS", by_byte(payload, |byte, _| format!("%{byte:02x}"))),
        (
            "every third percent",
            by_byte(payload, |byte, at| match (at % 3, char::from(byte)) {
                (0, _) | (_, '\u{80}'.. | '%' | '&' | '\\') => format!("%{byte:02x}"),
                (_, it) => it.to_string(),
            }),
        ),
    ];
    if payload.is_ascii() {
        all.push(("octal", by_byte(payload, |byte, _| format!("\\{byte:03o}"))));
        all.push((
            "tags",
            by_byte(payload, |byte, _| {
                char::from_u32(0xe0000 + u32::from(byte)).unwrap().to_string()
            }),
        ));
        all.push((
            "full width",
            by_byte(payload, |byte, _| match byte {
                b'!'..=b'~' => char::from_u32(0xff00 + u32::from(byte) - 0x20).unwrap().to_string(),
                _ => char::from(byte).to_string(),
            }),
        ));
        for (name, bytes) in [
            ("UTF-16 LE in base64", utf16(u16::to_le_bytes)),
            ("UTF-16 BE in base64", utf16(u16::to_be_bytes)),
        ] {
            let mut encoded = base64(&bytes, false, true, None);
            encoded.units = (0..payload.len())
                .map(|at| (encoded.units[2 * at].0, encoded.units[2 * at + 1].1))
                .collect();
            all.push((name, encoded));
        }
        let mut encoded = by_byte(&utf16(u16::to_le_bytes), |byte, _| format!("{byte:02x}"));
        encoded.units = (0..payload.len()).map(|at| (4 * at, 4 * at + 4)).collect();
        all.push(("UTF-16 in hex", encoded));
    }
    all
}

fn payload(random: &mut Random, ascii: bool, length: usize) -> Vec<u8> {
    let mut out = String::new();
    while out.len() < length {
        let letter = match random.below(if ascii { 6 } else { 10 }) {
            0..=4 => (b'!' + random.below(94) as u8) as char,
            5 => ' ',
            6 => char::from_u32(0xc0 + random.below(0x500) as u32).unwrap(),
            7 | 8 => char::from_u32(0x4e00 + random.below(0x1000) as u32).unwrap(),
            _ => char::from_u32(0x1f600 + random.below(0x40) as u32).unwrap(),
        };
        // Marks and letters that a decoder reads as something else come back as that.
        if letter.is_alphanumeric() && !('\u{130}'..='\u{4dff}').contains(&letter)
            || letter.is_ascii()
        {
            out.push(letter);
        }
    }
    out.into_bytes()
}

#[test]
fn every_encoding_there_and_back_with_exact_offsets() {
    let mut random = Random(1);
    for round in 0..300 {
        let length = 24 + random.below(STRIDE / 16);
        // Letters first: signs alone do not open a window.
        let mut payload = payload(&mut random, round % 3 > 0, length);
        if payload.iter().take(2).all(u8::is_ascii) {
            payload.splice(0..2, *b"ab");
        }
        for (name, encoded) in encodings(&payload, &mut random) {
            let (before, after) = (
                random.one(&["", "key: ", "x=\"", "\n> "]),
                random.one(&["", "\" ", ".\n", " end"]),
            );
            let text = [before.as_bytes(), &encoded.text, after.as_bytes()].concat();
            let hit = find(&text).into_iter().find_map(|window| {
                let decoded = decoded(&text, &window);
                let at = memchr::memmem::find(&decoded, &payload)?;
                Some((window, at))
            });
            let Some((window, at)) = hit else { panic!("{name}, round {round}: not found") };
            assert!(window.end - window.start <= WINDOW + 64, "{name}");
            let mut map = Map::default();
            window.map(&text, &mut map);
            for _ in 0..20 {
                let start = random.below(payload.len());
                let end = start + 1 + random.below(payload.len() - start);
                let expected = (
                    encoded.units[start].0 + before.len(),
                    encoded.units[end - 1].1 + before.len(),
                );
                assert_eq!(map.span(at + start, at + end), expected, "{name}, round {round}");
                let touched = map.touched(at + start, at + end);
                assert!(!touched.is_empty() || end - start < 3 || name == "full width", "{name}");
            }
        }
    }
}

/// Whatever stands before a run moves it out of step; it must be read all the same.
#[test]
fn a_run_is_read_in_every_phase() {
    let mut random = Random(2);
    for round in 0..2000 {
        let ascii = round % 2 > 0;
        let payload = payload(&mut random, ascii, if ascii { 30 } else { 60 });
        let junk: String =
            (0..random.below(9)).map(|_| *random.one(&[&'a', &'/', &'0', &'-', &'Q'])).collect();
        let base64 = [junk.as_bytes(), &base64(&payload, false, true, None).text].concat();
        let digits: String = junk.chars().filter(char::is_ascii_hexdigit).collect();
        let hex =
            [digits.as_bytes(), &by_byte(&payload, |byte, _| format!("{byte:02x}")).text].concat();
        for text in [base64, hex] {
            let seen = find(&text)
                .iter()
                .any(|window| memchr::memmem::find(&decoded(&text, window), &payload).is_some());
            assert!(seen, "round {round}: {}", String::from_utf8_lossy(&text));
        }
    }
}

/// What takes at most a stride is whole in one window, wherever it stands in a long run.
#[test]
fn a_secret_is_whole_in_some_window_of_a_long_run() {
    let mut random = Random(3);
    for round in 0..200 {
        let filler = payload(&mut random, true, 3000);
        let secret = b"a-secret-of-some-length-0123456789".repeat(1 + random.below(3));
        let at = random.below(filler.len());
        let all = [&filler[..at], &secret, &filler[at..]].concat();
        for (name, encoded) in encodings(&all, &mut random) {
            let longest = encoded.units[at..at + secret.len()].iter();
            let size = longest.clone().map(|unit| unit.1).max().unwrap()
                - longest.map(|unit| unit.0).min().unwrap();
            if size > STRIDE - 16 {
                continue;
            }
            let seen = find(&encoded.text).iter().any(|window| {
                memchr::memmem::find(&decoded(&encoded.text, window), &secret).is_some()
            });
            assert!(seen, "{name}, round {round}");
        }
    }
}

/// A piece of text that decoders may take for theirs.
fn fragment(random: &mut Random) -> Vec<u8> {
    const PIECES: [&str; 55] = [
        "hello world ",
        "\n",
        "\r\n",
        "\\n",
        "\\r\\n",
        "    ",
        "=",
        "==",
        "%4",
        "%41",
        "%u0041",
        "&",
        "&#",
        "&#x41",
        "&#65;",
        "&amp;#65;",
        "&lt",
        "&ltx",
        "\\",
        "\\\\",
        "\\\\\\\\\\\\\\\\\\\\",
        "\\u0041",
        "\\u{41}",
        "\\ud83d",
        "\\ude00",
        "\\x41",
        "\\101",
        "https:\\/\\/",
        "0x41",
        "0x41, 0x42",
        "41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e ",
        "abcdef0123456789",
        "H4sIAAAAAAAA",
        "eJwr",
        "a\u{200b}b",
        "\u{200d}",
        "\u{fe0f}",
        "\u{fe0f}\u{fe01}",
        "\u{e0041}",
        "\u{1f3f4}\u{e0067}\u{e0062}\u{e007f}",
        "ign\u{43e}re",
        "\u{430}",
        "\u{ff21}\u{ff22}",
        "e\u{301}",
        "a\u{336}",
        "\u{1f1ee}\u{1f1ec}\u{1f1f3}",
        "4111\u{a0}",
        "219\u{2011}09",
        "\u{2013}",
        "\u{3000}\u{ff11}",
        "12\u{202f}3",
        "(4) ",
        "1&nbsp;2",
        "19\\u20112",
        "A\u{2212}1 ",
    ];
    let size = [8, 40, 300, 3000][random.below(4)];
    match random.below(8) {
        0 => {
            let length = 12 + random.below(size);
            let payload = payload(random, true, length);
            let mut all = encodings(&payload, random);
            all.swap_remove(random.below(all.len())).1.text
        }
        1 => (0..random.below(40)).map(|_| random.next() as u8).collect(),
        2 => {
            b"Aa0QgZ"[random.below(6)..].iter().cycle().take(random.below(size)).copied().collect()
        }
        3 => random.one(&PIECES).repeat(1 + random.below(60)).into_bytes(),
        _ => (0..random.below(12)).flat_map(|_| random.one(&PIECES).bytes()).collect(),
    }
}

fn hard_text(random: &mut Random) -> Vec<u8> {
    let mut text: Vec<u8> = (0..1 + random.below(8)).flat_map(|_| fragment(random)).collect();
    if random.below(3) == 0 {
        text = base64(&text, false, true, Some((76, "\n"))).text;
    }
    text
}

/// Feeds `text` in pieces, drops what need not be kept, and returns windows and what they say.
fn streamed(text: &[u8], random: &mut Random, most: usize) -> Vec<(Window, Vec<u8>)> {
    let mut finder = Finder::new(&Limits::default());
    let (mut buffer, mut dropped, mut at) = (Vec::new(), 0, 0);
    let (mut all, mut held) = (Vec::new(), finder.held(0));
    while at <= text.len() {
        let end = text.len().min(at + 1 + random.below(most));
        buffer.extend_from_slice(&text[at..end]);
        let finished = end == text.len();
        let mut found = Vec::new();
        finder.advance(&buffer, finished, &mut found);
        for mut window in found {
            assert!(window.end <= buffer.len());
            if window.is_sparse() {
                assert!(window.start + REACH >= held.sparse && window.end > held.sparse);
            } else {
                assert!(window.start >= held.dense, "{window:?} {held:?}");
            }
            let decoded = decoded(&buffer, &window);
            window.start += dropped;
            window.literal += dropped;
            window.end += dropped;
            all.push((window, decoded));
        }
        held = finder.held(buffer.len());
        assert!(
            finished
                || held.dense + (20 << 10) > buffer.len()
                    && held.sparse + 2 * WINDOW > buffer.len()
        );
        if random.below(2) == 0 {
            let count = held.buffer;
            finder.dropped(count);
            buffer.drain(..count);
            dropped += count;
            held = finder.held(buffer.len());
        }
        at = if finished { text.len() + 1 } else { end };
    }
    all.sort();
    all
}

#[test]
fn every_cut_gives_the_windows_of_the_whole() {
    let mut random = Random(4);
    for round in 0..4000 {
        let text = hard_text(&mut random);
        let mut whole: Vec<_> =
            find(&text).into_iter().map(|it| (it, decoded(&text, &it))).collect();
        whole.sort();
        for most in [1, 7, 64, 700] {
            if most == 1 && text.len() > 2000 {
                continue;
            }
            let pieces = streamed(&text, &mut random, most);
            if pieces != whole {
                let cut: Vec<_> = pieces.iter().map(|it| it.0).collect();
                let all: Vec<_> = whole.iter().map(|it| it.0).collect();
                assert_eq!(cut, all, "round {round}, pieces of at most {most}");
                panic!("round {round}: the windows agree, what they say does not");
            }
        }
    }
}

#[test]
fn spans_lie_in_their_windows_and_work_is_bounded() {
    let mut random = Random(5);
    let (limits, mut nesting) = (Limits::default(), Nesting::default());
    for _ in 0..2000 {
        let text = hard_text(&mut random);
        let found = find(&text);
        for window in &found {
            assert!(window.start < window.end && window.end <= text.len());
            let out = decoded(&text, window);
            let mut map = Map::default();
            window.map(&text, &mut map);
            for _ in 0..10 {
                let start = random.below(out.len() + 2);
                let end = random.below(out.len() + 2);
                let (from, to) = map.span(start, end);
                assert!(window.start <= from && from <= to && to <= window.end);
                assert!(start >= end || start >= out.len() || from < to);
            }
            let size = (window.end - window.start).max(out.len());
            let mut depth = 0;
            let outcome = nesting.visit(&text, *window, &limits, &mut |level, decoded| {
                depth = depth.max(level.depth());
                let (from, to) = level.span(0, decoded.len());
                assert!(window.start <= from && to <= window.end);
            });
            assert!(depth <= limits.depth);
            assert!(outcome.decoded <= out.len() + limits.work * size);
        }
        // Four phases of base64, each byte in two windows, is six; both sparse decoders are four.
        let unpacked =
            |window: &&Window| !matches!(window.reading, Reading::Base64(Form::Gzip | Form::Zlib));
        let total: usize = found.iter().filter(unpacked).map(|it| decoded(&text, it).len()).sum();
        assert!(total <= 10 * text.len(), "{total} of {}", text.len());
    }
}

#[test]
fn nested_encodings_are_undone_to_the_depth_and_told_beyond() {
    let secret = b"the secret is behind three doors";
    let mut text = secret.to_vec();
    for _ in 0..3 {
        text = base64(&text, false, true, None).text;
    }
    let (mut nesting, mut limits) = (Nesting::default(), Limits::default());
    for (depth, seen) in [(3, true), (2, false)] {
        limits.depth = depth;
        let (mut hit, mut skipped) = (false, 0);
        for window in find(&text) {
            let outcome = nesting.visit(&text, window, &limits, &mut |level, decoded| {
                if let Some(at) = memchr::memmem::find(decoded, secret) {
                    hit = true;
                    assert_eq!(level.span(at, at + secret.len()), (0, text.len()));
                    let touched = level.touched(at, at + secret.len());
                    assert!(touched.iter().eq([Encoding::Base64]));
                }
            });
            skipped += outcome.skipped;
        }
        assert_eq!(hit, seen);
        assert_eq!(skipped > 0, !seen);
    }
}

#[test]
fn alternating_encodings_are_undone() {
    let secret = "the secret is behind some doors";
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = hex.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let text = base64(percent.as_bytes(), true, false, None).text;
    let mut path = Vec::new();
    for window in find(&text) {
        Nesting::default().visit(&text, window, &Limits::default(), &mut |level, decoded| {
            if let Some(at) = memchr::memmem::find(decoded, secret.as_bytes()) {
                path = level.touched(at, at + secret.len()).iter().collect();
                assert_eq!(level.span(at, at + secret.len()), (0, text.len()));
                let (start, end) = level.span(at + 4, at + 10);
                // A byte is two digits, so six characters, so two groups of four.
                assert_eq!((start, end), (4 * 8, 10 * 8));
            }
        });
    }
    assert_eq!(path, [Encoding::Base64, Encoding::Hex, Encoding::Percent]);
}

#[test]
fn compressed_data_is_unpacked_behind_a_cap() {
    let secret = b"a secret that was packed, packed, packed".to_vec();
    let packed = miniz_oxide::deflate::compress_to_vec(&secret, 6);
    let gzip = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3][..], b"name\0", &packed, &[0; 8]].concat();
    let zlib = miniz_oxide::deflate::compress_to_vec_zlib(&secret, 6);
    for (bytes, form) in [(gzip, Form::Gzip), (zlib, Form::Zlib)] {
        let hex: Vec<u8> =
            bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
        let text = base64(&bytes, false, true, None).text;
        for (text, reading) in [(text, Reading::Base64(form)), (hex, Reading::Hex(form))] {
            let window = find(&text).into_iter().find(|window| window.reading == reading).unwrap();
            assert_eq!(decoded(&text, &window), secret);
            let mut map = Map::default();
            window.map(&text, &mut map);
            assert_eq!(map.span(2, 8), (0, text.len()));
        }
    }
    let bomb = miniz_oxide::deflate::compress_to_vec_zlib(&vec![b'a'; 8 << 20], 9);
    let text = base64(&bomb, false, true, None).text;
    let limits = Limits::default();
    let window = find(&text)
        .into_iter()
        .find(|window| window.reading == Reading::Base64(Form::Zlib))
        .unwrap();
    let outcome = Nesting::default().visit(&text, window, &limits, &mut |_, _| {});
    assert!(decoded(&text, &window).len() <= limits.unpacked_bytes);
    assert!(outcome.decoded <= (1 + limits.work) * limits.unpacked_bytes);
}

/// Runs that never end are read in windows, and little of them is held.
#[test]
fn an_endless_run_is_held_in_part() {
    for unit in [
        "QUFB",
        "41",
        "41 ",
        "%41",
        "\\u0041",
        "\u{e0041}",
        "a\u{200b}",
        "&#65;",
        "eJwAAAA",
        "\\\\",
    ] {
        let mut finder = Finder::new(&Limits::default());
        let (mut buffer, mut found) = (Vec::new(), Vec::new());
        for _ in 0..3000 {
            buffer.extend_from_slice(unit.repeat(40).as_bytes());
            finder.advance(&buffer, false, &mut found);
            found.clear();
            let keep = finder.held(buffer.len()).buffer;
            finder.dropped(keep);
            buffer.drain(..keep);
            assert!(buffer.len() < 20 << 10, "{unit}");
        }
    }
}

#[test]
fn text_of_people_is_left_alone() {
    let plain = [
        "A list: one, two, three; see https://example.org/path/to/some/long/directory/index.html#top",
        "async def test_compute_the_average_of_all_values_in_list(self) -> None:",
        "SOME_VERY_LONG_CONSTANT_NAME = OTHER_LONG_CONSTANT_NAME_IN_MODULE",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "123e4567-e89b-12d3-a456-426614174000 and 10, 20, 30, 40, 50, 60, 70",
        "if a < b && c > d { printf(\"%d items\\n\", n); }",
        "Donaudampfschiff, déjà vu, naïve, Ångström, ½ m², 10–20, “quoted”, l’été",
        "10\u{a0}kg, 12\u{202f}000\u{a0}€, p.\u{a0}20–25, § 3\u{a0}II, 10–12\u{a0}Uhr; word—word, 3\u{a0}: 1",
        "a&nbsp;b, 10&nbsp;kg; \\u2013 \\u2014 it\\u2019s",
        "Съешь же ещё этих мягких французских булок",
        "שלום עולם, مرحبا بالعالم, नमस्ते दुनिया, 你好，世界（Python）",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{2764}\u{fe0f} \u{1f1e9}\u{1f1ea} \u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} 1\u{fe0f}\u{20e3}",
        "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
        "Tiếng Việt, Türkçe ışık, Łódź",
        "{\"text\": \"it\\u2019s here\\u2026 \\ud83d\\ude00\\n\\tand \\\"there\\\"\"}",
    ];
    for text in plain {
        assert_eq!(find(text.as_bytes()), [], "{text}");
    }
}

/// Words in disguise, and what they say.
#[test]
fn characters_in_disguise_are_read() {
    let cases = [
        ("ign\u{43e}re previous", "ignore previous"),
        ("pass\u{200b}word", "password"),
        ("pass\u{ad}word", "password"),
        ("\u{202e}pass\u{202c}word", "password"),
        ("\u{ff49}\u{ff47}\u{ff4e}\u{ff4f}\u{ff52}\u{ff45}", "ignore"),
        ("\u{1d422}\u{1d420}\u{1d427}\u{1d428}\u{1d42b}\u{1d41e}", "ignore"),
        ("\u{24d8}\u{24d6}\u{24dd}\u{24de}\u{24e1}\u{24d4}", "ignore"),
        ("\u{1f1ee}\u{1f1ec}\u{1f1f3}\u{1f1f4}", "IGNO"),
        ("\u{26a}\u{262}\u{274}\u{1d0f}\u{280}\u{1d07}", "ignore"),
        ("\u{2071}\u{1d4d}\u{207f}\u{1d52}\u{2b3}\u{1d49}", "ignore"),
        ("i\u{336}g\u{336}n\u{336}o\u{336}re", "ignore"),
        ("\u{3b9}gn\u{3bf}r\u{435}", "ignore"),
        ("\u{406}GNORE", "IGNORE"),
        ("x\u{e0069}\u{e0067}\u{e006e}\u{e006f}\u{e0072}\u{e0065}", "xignore"),
        ("\u{1f600}\u{e0159}\u{e0157}\u{e015e}\u{e015f}\u{e0162}\u{e0155}", "\u{1f600}ignore"),
        ("a\u{200d}b\u{2060}c\u{feff}d", "abcd"),
        // Between the groups of numbers: every space and dash that is not the keyboard's.
        ("4111\u{a0}1111\u{2007}1111\u{202f}1111", "4111 1111 1111 1111"),
        ("219\u{2010}09\u{2011}99\u{2012}9\u{2013}8", "219-09-99-9-8"),
        ("219\u{2014}09\u{2015}99\u{2212}9998", "219-09-99-9998"),
        ("(415)\u{2009}555\u{2011}0132", "(415) 555-0132"),
        ("+\u{a0}44\u{a0}(0)20\u{a0}7946 0958", "+ 44 (0)20 7946 0958"),
        ("FR14\u{a0}2004\u{a0}1010\u{a0}05X3", "FR14 2004 1010 05X3"),
        ("AB\u{a0}12\u{a0}34\u{a0}56\u{a0}C", "AB 12 34 56 C"),
        ("MT84\u{a0}MALT\u{a0}0110\u{a0}MTLC\u{a0}AST0", "MT84 MALT 0110 MTLC AST0"),
        ("\u{ff10}\u{ff19}\u{ff10}\u{3000}\u{ff11}\u{ff12}\u{ff13}", "090 123"),
        ("219&nbsp;09&nbsp;9998", "219\u{a0}09\u{a0}9998"),
        ("219\\u201109\\u20119998", "219\u{2011}09\u{2011}9998"),
    ];
    for (text, expected) in cases {
        let found = find(text.as_bytes());
        assert_eq!(found.len(), 1, "{expected}");
        let out = decoded(text.as_bytes(), &found[0]);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}

#[test]
fn broken_escapes_stand_for_themselves() {
    for text in [
        "%",
        "%4",
        "%4g",
        "%u00",
        "%u004g",
        "&#;",
        "&#x;",
        "&#xg",
        "&#1234567890123;",
        "&#xd800;",
        "&#1114112;",
        "&unknown;",
        "\\u",
        "\\u004",
        "\\u{}",
        "\\u{110000}",
        "\\u{41",
        "\\ud83d",
        "\\ud83d\\u00",
        "\\ude00",
        "\\x",
        "\\x4",
        "\\8",
        "\\12",
        "\\1234",
        "\\U0011ffff",
        "\\",
    ] {
        assert_eq!(find(text.as_bytes()), [], "{text}");
        // Beside a whole one they stay as they are.
        let beside = format!("%41 {text}");
        let found = find(beside.as_bytes());
        let out = decoded(beside.as_bytes(), &found[0]);
        assert_eq!(String::from_utf8_lossy(&out), format!("A {text}"));
    }
}

#[test]
fn shorter_than_the_least_is_no_text() {
    let text = |bytes: usize| base64(&b"secret words in here"[..bytes], false, true, None).text;
    assert_eq!(find(&text(MIN_TEXT - 1)), []);
    assert_eq!(find(&text(MIN_TEXT)).len(), 1);
}

/// What stands for itself and what hides, and why.
#[test]
fn invisible_characters_are_told_with_their_excuse() {
    use InvisibleKind::{Bidi, Filler, Joiner, Override, Selector, SoftHyphen, Tag};
    let cases: [(&str, &[(InvisibleKind, bool)]); 18] = [
        ("plain, déjà vu, \u{4f60}\u{597d}", &[]),
        ("\u{feff}text", &[(Filler, true)]),
        ("te\u{feff}xt", &[(Filler, false)]),
        ("pass\u{200b}word", &[(Filler, false)]),
        ("\u{e01}\u{200b}\u{e02}", &[(Filler, true)]),
        ("Donau\u{ad}dampf", &[(SoftHyphen, true)]),
        ("12\u{ad}34", &[(SoftHyphen, false)]),
        ("\u{1f468}\u{200d}\u{1f469}", &[(Joiner, true)]),
        ("\u{645}\u{6cc}\u{200c}\u{62e}", &[(Joiner, true)]),
        ("a\u{200d}b", &[(Joiner, false)]),
        ("abc\u{200e} \u{5e9}\u{5dc}", &[(Bidi, true)]),
        ("abc\u{200e} def", &[(Bidi, false)]),
        ("\u{5e9}\u{202e}abc", &[(Override, false)]),
        ("\u{2764}\u{fe0f} 1\u{fe0f}\u{20e3}", &[(Selector, true), (Selector, true)]),
        ("a\u{fe0f}", &[(Selector, false)]),
        ("\u{1f600}\u{fe01}\u{e0101}", &[(Selector, false), (Selector, false)]),
        ("x\u{e0041}", &[(Tag, false)]),
        ("\u{1f3f4}\u{e0067}\u{e0062}\u{e007f}", &[(Tag, true), (Tag, true), (Tag, true)]),
    ];
    for (text, expected) in cases {
        let mut seen = Vec::new();
        invisible(text.as_bytes(), |it| {
            assert!(text.get(it.start..it.end).is_some());
            seen.push((it.kind, it.legitimate));
        });
        assert_eq!(seen, expected, "{text:?}");
    }
    let mut random = Random(6);
    for _ in 0..300 {
        let mut last = 0;
        invisible(&hard_text(&mut random), |it| {
            assert!(last <= it.start && it.start < it.end);
            last = it.end;
        });
    }
}
