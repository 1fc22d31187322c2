//! Ways of writing a text so that nobody reads it at once, with where each byte of it went.
//!
//! Written from the formats, not from the decoders: what both get wrong would not be noticed.

/// An encoded text.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    /// What was written.
    pub text: Vec<u8>,
    /// For each byte of the payload the unit that holds it.
    pub units: Vec<(usize, usize)>,
}

/// A way of writing: its name, and the encodings that a finding in it must name.
#[derive(Clone, Copy)]
pub struct Way {
    /// Names the way in failures.
    pub name: &'static str,
    /// What a finding says, outermost first.
    pub decoded: &'static [&'static str],
    /// Whether it has no way of writing line ends and other control characters.
    pub printable: bool,
    /// Writes a payload of ASCII.
    pub write: fn(&[u8]) -> Encoded,
}

impl Encoded {
    fn unit(&mut self, text: &str, bytes: usize) {
        let start = self.text.len();
        self.text.extend_from_slice(text.as_bytes());
        self.units.extend(vec![(start, self.text.len()); bytes]);
    }

    /// The span of the payload's bytes `start..end`.
    pub fn span(&self, start: usize, end: usize) -> (usize, usize) {
        let units = &self.units[start..end];
        let from = units.iter().map(|unit| unit.0).min().unwrap_or(0);
        (from, units.iter().map(|unit| unit.1).max().unwrap_or(from))
    }

    /// This text written once more.
    pub fn again(&self, way: Way) -> Self {
        let outer = (way.write)(&self.text);
        let units = self.units.iter().map(|&(start, end)| outer.span(start, end)).collect();
        Self { text: outer.text, units }
    }
}

/// All ways.
pub const WAYS: [Way; 19] = [
    Way {
        name: "base64",
        printable: false,
        decoded: &["base64"],
        write: |it| base64(it, b"+/", true, None),
    },
    Way {
        name: "base64 of URLs",
        printable: false,
        decoded: &["base64"],
        write: |it| base64(it, b"-_", false, None),
    },
    Way {
        name: "base64 in lines",
        printable: false,
        decoded: &["base64"],
        write: |it| base64(it, b"+/", true, Some("\n")),
    },
    Way {
        name: "base64 in JSON",
        printable: false,
        decoded: &["base64"],
        write: |it| base64(it, b"+/", true, Some("\\n")),
    },
    Way { name: "UTF-16 in base64", printable: false, decoded: &["base64", "utf16"], write: utf16 },
    Way {
        name: "hex",
        printable: false,
        decoded: &["hex"],
        write: |it| bytes(it, |byte| format!("{byte:02x}"), ""),
    },
    Way {
        name: "pairs",
        printable: false,
        decoded: &["hex"],
        write: |it| bytes(it, |byte| format!("{byte:02X}"), " "),
    },
    Way {
        name: "bytes of C",
        printable: false,
        decoded: &["hex"],
        write: |it| bytes(it, |byte| format!("0x{byte:02x}"), ", "),
    },
    Way {
        name: "percent",
        printable: false,
        decoded: &["percent"],
        write: |it| bytes(it, |byte| format!("%{byte:02X}"), ""),
    },
    Way {
        name: "decimal entities",
        printable: false,
        decoded: &["entity"],
        write: |it| bytes(it, |byte| format!("&#{byte};"), ""),
    },
    Way {
        name: "hexadecimal entities",
        printable: false,
        decoded: &["entity"],
        write: |it| bytes(it, |byte| format!("&#x{byte:x};"), ""),
    },
    Way {
        name: "escapes of JSON",
        printable: false,
        decoded: &["escape"],
        write: |it| bytes(it, |byte| format!("\\u{byte:04x}"), ""),
    },
    Way {
        name: "escaped bytes",
        printable: false,
        decoded: &["escape"],
        write: |it| bytes(it, |byte| format!("\\x{byte:02x}"), ""),
    },
    Way {
        name: "octal",
        printable: true,
        decoded: &["escape"],
        write: |it| bytes(it, |byte| format!("\\{byte:03o}"), ""),
    },
    Way {
        name: "tags",
        printable: true,
        decoded: &["tag"],
        write: |it| bytes(it, |byte| shifted(byte, 0xe0000, 0), ""),
    },
    Way {
        name: "selectors",
        printable: true,
        decoded: &["selector"],
        write: |it| bytes(it, |byte| shifted(byte, 0xe0100, 16), ""),
    },
    Way {
        name: "full width",
        printable: false,
        decoded: &["styled"],
        write: |it| bytes(it, wide, ""),
    },
    Way {
        name: "zero width",
        printable: false,
        decoded: &["invisible"],
        write: |it| bytes(it, |byte| char::from(byte).to_string(), "\u{200b}"),
    },
    Way {
        name: "mathematical",
        printable: false,
        decoded: &["styled"],
        write: |it| bytes(it, mathematical, ""),
    },
];

fn bytes(payload: &[u8], write: impl Fn(u8) -> String, separator: &str) -> Encoded {
    let mut out = Encoded::default();
    for (at, &byte) in payload.iter().enumerate() {
        if at > 0 {
            out.text.extend_from_slice(separator.as_bytes());
        }
        out.unit(&write(byte), 1);
    }
    out
}

fn character(point: u32) -> String {
    char::from_u32(point).map(String::from).unwrap_or_default()
}

fn shifted(byte: u8, base: u32, less: u32) -> String {
    character(base + u32::from(byte) - less)
}

fn wide(byte: u8) -> String {
    match byte {
        b'!'..=b'~' => shifted(byte, 0xff00, 0x20),
        _ => char::from(byte).to_string(),
    }
}

/// Sans-serif letters and digits.
fn mathematical(byte: u8) -> String {
    match byte {
        b'A'..=b'Z' => shifted(byte, 0x1d5a0, 0x41),
        b'a'..=b'z' => shifted(byte, 0x1d5ba, 0x61),
        b'0'..=b'9' => shifted(byte, 0x1d7e2, 0x30),
        _ => char::from(byte).to_string(),
    }
}

/// Base64 of RFC 4648; in lines of 76 characters with `line` between them.
fn base64(payload: &[u8], last: &[u8; 2], pad: bool, line: Option<&str>) -> Encoded {
    let letters: Vec<u8> =
        (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*last).collect();
    let mut out = Encoded::default();
    for (at, group) in payload.chunks(3).enumerate() {
        if let Some(line) = line.filter(|_| at > 0 && at % 19 == 0) {
            out.text.extend_from_slice(line.as_bytes());
        }
        let bits = group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte));
        let bits = bits << (24 - 8 * group.len());
        let mut unit = String::new();
        for place in 0..4 {
            if place <= group.len() {
                unit.push(char::from(letters[(bits >> (18 - 6 * place) & 63) as usize]));
            } else if pad {
                unit.push('=');
            }
        }
        out.unit(&unit, group.len());
    }
    out
}

fn utf16(payload: &[u8]) -> Encoded {
    let wide: Vec<u8> = payload.iter().flat_map(|&byte| [byte, 0]).collect();
    let mut out = base64(&wide, b"+/", true, None);
    out.units = (0..payload.len()).map(|at| out.span(2 * at, 2 * at + 2)).collect();
    out
}
