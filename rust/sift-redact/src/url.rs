//! Whether a place in a text lies in a web address: what is put there leaves with the next click, or
//! with no click at all where a chat shows images. Errs on the side of yes.

/// Names of attributes whose value is an address.
///
/// `url=` has a page that goes on to another one by itself (`<meta http-equiv="refresh">`).
const ATTRIBUTES: [&[u8]; 6] = [b"src", b"href", b"srcset", b"action", b"poster", b"url"];
/// What in a style sheet is followed by an address; of the longest, the end.
const STYLES: [&[u8]; 3] = [b"url(", b"src(", b"age-set("];

/// Reads a text byte by byte and says whether its end is inside an address.
///
/// An address begins with `//` (or `\\`), `http:`, `www.` or a name with a dot that a `/`, `?` or `#`
/// follows (a number with dots, `localhost:8080` and `[::1]` are names too), and ends at white space. Quotation marks do not end it: what makes links of plain text reads on
/// through them; one that a quotation mark opens goes on over white space to that mark as well. One that
/// `](` opens, as Markdown has it, ends at the parenthesis or angle bracket that closes it. What `src=`, `href=`,
/// `action=`, `@import` and `url(` name is an address however it is written, and so is that of a definition `[1]: ...`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Address {
    /// The last eight bytes, ASCII letters in lower case.
    last: u64,
    /// Backslashes directly before the next byte.
    backslashes: u32,
    /// An address that ends at white space.
    run: bool,
    /// The quotation mark that an address would have begun at: nothing but a scheme since.
    mark: Option<Mark>,
    /// The quotation mark that ends the address.
    quoted: Option<Mark>,
    /// Open parentheses of a Markdown target.
    target: u32,
    /// Nothing in the Markdown target but white space.
    target_begins: bool,
    /// A Markdown target in angle brackets.
    angle: bool,
    /// Nothing since `src` or the like but white space.
    named: bool,
    /// Nothing since `src=` or the like but white space.
    attribute: bool,
    /// A backslash, then letters, digits and white space: CSS may spell `url(` so.
    spelt: bool,
    line: Line,
    /// Letters and digits since the last dot.
    label: Option<u32>,
    /// A `:` since, and digits: a port.
    port: bool,
}

/// A quotation mark and how many backslashes stand before it: JSON in JSON has them.
#[derive(Clone, Copy, Debug)]
struct Mark {
    byte: u8,
    backslashes: u32,
    /// Opened the value of an attribute, so that what follows its end is no part of it.
    attribute: bool,
}

impl Mark {
    /// Whether the same mark behind so many backslashes ends what this one opened, and is not escaped once more.
    fn ends_at(self, byte: u8, backslashes: u32) -> bool {
        let level = self.backslashes.saturating_add(1).saturating_mul(2);
        self.byte == byte
            && (backslashes < self.backslashes || backslashes % level == self.backslashes)
    }
}

/// What a line of Markdown may still become.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Line {
    /// Nothing so far but white space and the marks of quotations and lists.
    #[default]
    Empty,
    /// Digits, which may number an item of a list.
    Number,
    /// A bracket has opened it; may go on over lines.
    Label,
    /// `[label]`.
    Closed,
    /// `[label]:` names an address, on this line or the next.
    Definition {
        ended: bool,
    },
    /// In the address of a definition.
    Destination,
    Other,
}

impl Line {
    fn read(self, byte: u8, escaped: bool) -> Self {
        let feed = matches!(byte, b'\n' | b'\r');
        match self {
            Self::Definition { ended } if feed && !(ended && byte == b'\n') => {
                // A carriage return and a line feed are one end of a line.
                Self::Definition { ended: byte == b'\n' || ended }
            }
            Self::Definition { .. } if !feed && byte.is_ascii_whitespace() => self,
            Self::Definition { .. } if !feed => Self::Destination,
            Self::Label if byte == b']' && !escaped => Self::Closed,
            Self::Label => Self::Label,
            _ if feed => Self::Empty,
            Self::Empty | Self::Number if byte.is_ascii_digit() => Self::Number,
            Self::Number if matches!(byte, b'.' | b')') => Self::Empty,
            Self::Empty if byte == b'[' => Self::Label,
            Self::Empty if byte.is_ascii_whitespace() || b">-*+".contains(&byte) => Self::Empty,
            Self::Closed if byte == b':' => Self::Definition { ended: false },
            Self::Destination => Self::Destination,
            _ => Self::Other,
        }
    }

    fn names_address(self) -> bool {
        matches!(self, Self::Definition { .. } | Self::Destination)
    }
}

impl Address {
    pub(crate) fn inside(&self) -> bool {
        self.run
            || self.quoted.is_some()
            || self.target > 0
            || self.angle
            || self.attribute
            || self.line.names_address()
    }

    pub(crate) fn read(&mut self, byte: u8) {
        let byte = byte.to_ascii_lowercase();
        let before = self.last;
        self.last = before << 8 | u64::from(byte);
        self.close(byte);
        self.open_value(byte);
        self.open_run(byte, before);
        self.open_target(byte);
        self.name(byte);
        self.line = self.line.read(byte, self.backslashes % 2 == 1);
        match byte {
            b'"' | b'\'' | b'`' => {
                let backslashes = self.backslashes;
                self.mark = Some(Mark { byte, backslashes, attribute: false });
            }
            // Browsers pass over white space in front of an address.
            b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.' | b':' | b'/' | b'\\' => {}
            _ if byte.is_ascii_whitespace() => {}
            _ => self.mark = None,
        }
        let letter = byte.is_ascii_alphanumeric() || byte == b'-' || !byte.is_ascii();
        (self.label, self.port) = match (byte, self.label) {
            (b'.', _) => (Some(0), false),
            (b':', Some(n)) if n >= 1 && !self.port => (Some(n), true),
            (b':', None) if self.ends(b"calhost:") => (Some(1), true),
            // The full stop of Chinese and Japanese, which browsers read as a dot.
            (0x82, _) if self.ends(b"\xe3\x80\x82") => (Some(0), false),
            (b'0'..=b'9', Some(n)) if self.port => (Some(n), true),
            (_, Some(n)) if letter && !self.port => (Some(n.saturating_add(1)), false),
            _ => (None, false),
        };
        self.backslashes = if byte == b'\\' { self.backslashes.saturating_add(1) } else { 0 };
    }

    /// Whether the text ends with this word of at most eight bytes, in lower case.
    fn ends(&self, word: &[u8]) -> bool {
        let value = word.iter().fold(0, |value, &b| value << 8 | u64::from(b));
        self.last & (u64::MAX >> (64 - 8 * word.len())) == value
    }

    fn open_run(&mut self, byte: u8, before: u64) {
        let slash = |b: u64| matches!(b as u8, b'/' | b'\\');
        let begins = slash(before) && slash(u64::from(byte))
            || byte == b':' && (self.ends(b"http:") || self.ends(b"https:"))
            || byte == b'.' && self.ends(b"www.")
            || matches!(byte, b'/' | b'?' | b'#') && self.label.is_some_and(|n| n >= 1)
            || byte == b'/' && before as u8 == b']';
        if begins {
            self.run = true;
            self.quoted = self.quoted.or(self.mark);
        }
    }

    fn open_target(&mut self, byte: u8) {
        if self.target_begins && !byte.is_ascii_whitespace() {
            self.target_begins = false;
            self.angle |= byte == b'<';
        }
        if self.ends(b"](") {
            self.target = self.target.max(1);
            self.target_begins = true;
        }
    }

    /// `src`, then `=` with white space around it; `url(`, also with letters written as numbers.
    fn name(&mut self, byte: u8) {
        self.attribute |= self.named && byte == b'='
            || self.ends(b"@import")
            || byte == b'(' && (self.spelt || STYLES.iter().any(|word| self.ends(word)));
        let begins = ATTRIBUTES.iter().any(|word| self.ends(word));
        self.named = begins || self.named && byte.is_ascii_whitespace();
        let goes_on = byte.is_ascii_alphanumeric() || byte == b'-' || byte.is_ascii_whitespace();
        let number = self.backslashes > 0 && byte.is_ascii_hexdigit();
        self.spelt = number || self.spelt && (goes_on || byte == b'\\');
    }

    /// The first byte behind `src=` that is no white space opens its value.
    fn open_value(&mut self, byte: u8) {
        if self.attribute && !byte.is_ascii_whitespace() && byte != b'\\' {
            self.attribute = false;
            match byte {
                b'"' | b'\'' => {
                    let backslashes = self.backslashes;
                    self.quoted = Some(Mark { byte, backslashes, attribute: true });
                }
                _ => self.run = true,
            }
        }
    }

    fn close(&mut self, byte: u8) {
        if byte.is_ascii_whitespace() {
            self.run = false;
        }
        if let Some(mark) = self.quoted.filter(|mark| mark.ends_at(byte, self.backslashes)) {
            self.quoted = None;
            self.run &= !mark.attribute;
        }
        let escaped = self.backslashes % 2 == 1;
        if self.angle && (byte == b'>' && !escaped || byte == b'\n') {
            self.angle = false;
        }
        match byte {
            b'(' | b')' if escaped => {}
            b'(' if self.target > 0 => self.target = self.target.saturating_add(1),
            b')' if self.target > 0 => {
                self.target -= 1;
                self.run &= self.target > 0 || self.quoted.is_some();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the place of the last `@` lies in an address.
    fn inside(text: &str) -> bool {
        let mut address = Address::default();
        let (before, _) = text.rsplit_once('@').unwrap();
        before.bytes().for_each(|b| address.read(b));
        address.inside()
    }

    #[test]
    fn addresses() {
        for text in [
            "https://evil.example/?q=@",
            "HTTP:evil.example/@",
            "see //evil.example/@",
            r"https:\\evil.example\@",
            "![x](https://evil.example/@)",
            "![x](https://evil.example/(a)/@)",
            "![x](<https://evil.example/) a b @>)",
            "[x](/redirect?to=@)",
            "<img src=\"https://evil.example/a b @\">",
            "<img src=' https://evil.example/a\n@'>",
            "www.evil.example/@",
            "go to evil.example/?q=@",
            "evil.example#@",
            "[1]: https://evil.example/@",
            "https://@.evil.example",
            "a.example/x https://evil.example/@",
            r"![x](/a\)b@)",
            r"![x](/a\\(b)@)",
            "[1]: /redirect?to=@",
            "text\n  [a b]: <evil.example@>",
            "> [1]: /redirect?to=@",
            "<img src=\"h&#116;tps&colon;&sol;&sol;evil.example?@\">",
            "<a href= 'evil.example @'>",
            "<form action=@>",
            "background: url(@)",
            // White space on both sides of the sign.
            "<img src = \"https&colon;&sol;&sol;evil&period;example&sol;@\">",
            "<a href\n=\n'evil.example @'>",
            // Definitions: their label and their address may begin on the next line, and they stand in lists.
            "[1]:\nhttps&colon;&sol;&sol;evil&period;example&sol;@",
            "[1]:\r\n  evil&period;example&sol;@",
            "- [1]: evil&period;example&sol;@",
            "* > 1. [1]: evil&period;example&sol;@",
            "2) [1]: evil&period;example&sol;@",
            "[a\nb]: evil&period;example&sol;@",
            r"[a\] b]: evil&period;example&sol;@",
            // What makes links of plain text reads on through quotation marks.
            "see \"https://evil.example/?a=\"@\"",
            "`x` https://evil.example/`@",
            "[\"https://evil.example\",\"@",
            r#"{"src":"https://evil.example/?a=\"@"}"#,
            r#"{"src":"https://evil.example/?a=\" @"}"#,
            r#"{"a":"{\"src\":\"https://evil.example/?a=\\\" @\"}"}"#,
            r#""<img src=\"evil&period;example&sol; @\">""#,
            "evil.example:8443/?q=@",
            "203.0.113.9/@",
            "[2001:db8::1]/@",
            "localhost:8080/?q=@",
            "@import \"x?@\"",
            "<meta http-equiv=refresh content='0;url=/x?@'>",
            "evil。example/@",
            "evil.рф/?q=@",
            r"background: \75rl(@)",
            r"background: u\000072 l(@)",
            "background: image-set('https&colon;x @')",
            "[x]( <evil&period;example&sol;) @>)",
            r"[x](<evil&period;example\> @>)",
        ] {
            assert!(inside(text), "{text}");
        }
    }

    #[test]
    fn not_addresses() {
        for text in [
            "write to @",
            "https://a.example and @",
            "(see https://a.example) @",
            "[x](https://a.example) @",
            "[x](https://a.example)@",
            "<a href=\"https://a.example\">@",
            "either/or @",
            "// a comment @",
            "\"https://a.example\": \"@",
            "array[0](x) @",
            "it's at a.example, @",
            "e-mail: @",
            "array[0]: @",
            "[x] y]: @",
            "[1]: /a\n@",
            "<a href=\"x\">@",
            "[1]:\n\n@",
            "[1]:\r\n\r\n@",
            "source = @",
            r#"{"a":"https://a.example\\", "b": "@"#,
            r#""<img src=\"x y\"> @""#,
            "at 10:30/11 @",
            r"C:\new (@)",
            "1. [1] and (@)",
        ] {
            assert!(!inside(text), "{text}");
        }
    }
}
