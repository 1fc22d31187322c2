//! What the tests of several modules share: a seeded source of bytes and texts that are hard to fold.

/// Splitmix64: small, seeded, the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Pieces that fold in some special way, alone or beside one another.
const PIECES: &[&[u8]] = &[
    b" ",
    b"  ",
    b"\t",
    b"\n",
    b"\x0b",
    b"\x0c",
    b"\r",
    b"\r\n    ",
    b"\x08",
    b"\x0e",
    b"\x1f",
    b"!",
    b"A",
    b"Z",
    b"@",
    b"[",
    b"a",
    b"z",
    b"`",
    b"{",
    b"\0",
    b"\x7f",
    b"abcdefgh",
    b"ABCDEFGHIJKLMNOPQ",
    b"                                ",   // 32
    b"\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", // 17
    "\u{85}".as_bytes(),
    "\u{a0}".as_bytes(),
    "\u{1680}".as_bytes(),
    "\u{2003}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{202f}".as_bytes(),
    "\u{205f}".as_bytes(),
    "\u{3000}".as_bytes(),
    "\u{3000}\u{3000}".as_bytes(),
    "É".as_bytes(),
    "é".as_bytes(),
    "ß".as_bytes(),
    "ẞ".as_bytes(),
    "Σ".as_bytes(),
    "Ж".as_bytes(),
    "Ѐ".as_bytes(),
    "İ".as_bytes(),
    "\u{212a}".as_bytes(),
    "\u{212b}".as_bytes(),
    "Ⱥ".as_bytes(),
    "ȺȺȺȺȺȺȺȺȺȺȺȺȺȺȺȺȺȺȺȺȺ".as_bytes(),
    "中文".as_bytes(),
    "。".as_bytes(),
    "\u{200b}".as_bytes(),
    "“".as_bytes(),
    "\u{1f600}".as_bytes(),
    "𐐀".as_bytes(),
    "Ａ".as_bytes(),
    "한글".as_bytes(),
    "नमस्ते".as_bytes(),
    "שלום".as_bytes(),
    b"\x80",
    b"\xbf",
    b"\xc2",
    b"\xc3",
    b"\xe2",
    b"\xe2\x80",
    b"\xe3\x80",
    b"\xed\xa0\x80",
    b"\xf0\x90\x90",
    b"\xff",
    b"\xc0\x80",
    b"\xf4\x90\x80\x80",
];

/// A text of about `length` bytes; `flavour` chooses how hostile.
pub(crate) fn text(random: &mut Random, flavour: usize, length: usize) -> Vec<u8> {
    let mut text = Vec::new();
    while text.len() < length {
        match flavour % 6 {
            0 => text.push(random.next() as u8),
            1 => text.push(b" \t\n\x0b\x0c\r\x08\x0eaAzZ"[random.below(12)]),
            2 => text.extend_from_slice(PIECES[random.below(PIECES.len())]),
            3 => text.push(random.next() as u8 & 0x7f),
            4 => {
                let piece = PIECES[random.below(PIECES.len())];
                (0..=random.below(9)).for_each(|_| text.extend_from_slice(piece));
            }
            _ => {
                let letter = char::from_u32(random.below(0x3100) as u32);
                text.extend_from_slice(letter.unwrap_or('\u{3000}').to_string().as_bytes());
            }
        }
    }
    text.truncate(length);
    text
}
