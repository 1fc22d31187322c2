//! Whether a place in a text lies in a web address: what is put there leaves with the next click, or
//! with no click at all where a chat shows images. Errs on the side of yes.

/// Reads a text byte by byte and says whether its end is inside an address.
///
/// An address begins with `//` (or `\\`), `http:`, `www.` or a name with a dot that a `/`, `?` or `#`
/// follows, and ends at white space; one that a quotation mark opens ends at that mark, and one that
/// `](` opens, as Markdown has it, at the parenthesis or angle bracket that closes it. What `src=`, `href=`,
/// `action=` and `url(` name is an address however it is written, and so is the line of a definition `[1]: ...`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Address {
    /// The last eight bytes, ASCII letters in lower case.
    last: u64,
    /// An address that ends at white space.
    run: bool,
    /// The quotation mark that an address would have begun at: nothing but a scheme since.
    mark: Option<u8>,
    /// The quotation mark that ends the address.
    quoted: Option<u8>,
    /// Open parentheses of a Markdown target.
    target: u32,
    /// A Markdown target in angle brackets.
    angle: bool,
    /// A backslash takes the meaning of the next byte away.
    escaped: bool,
    /// Nothing since `src=` or the like but white space.
    attribute: bool,
    line: Line,
    /// Letters and digits since the last dot.
    label: Option<u32>,
}

/// What a line of Markdown may still become.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Line {
    /// Nothing but white space so far.
    #[default]
    Empty,
    /// A bracket has opened it.
    Label,
    /// `[label]:` names an address.
    Definition,
    Other,
}

impl Address {
    pub(crate) fn inside(&self) -> bool {
        self.run
            || self.quoted.is_some()
            || self.target > 0
            || self.angle
            || self.attribute
            || self.line == Line::Definition
    }

    pub(crate) fn read(&mut self, byte: u8) {
        let byte = byte.to_ascii_lowercase();
        let before = self.last;
        self.last = before << 8 | u64::from(byte);
        self.close(byte);
        self.open_attribute(byte);
        let ends = |word: &[u8]| {
            let value = word.iter().fold(0, |value, &b| value << 8 | u64::from(b));
            self.last & (u64::MAX >> (64 - 8 * word.len())) == value
        };
        let slash = |b: u64| matches!(b as u8, b'/' | b'\\');
        let begins = slash(before) && slash(u64::from(byte))
            || byte == b':' && (ends(b"http:") || ends(b"https:"))
            || byte == b'.' && ends(b"www.")
            || matches!(byte, b'/' | b'?' | b'#') && self.label.is_some_and(|n| n >= 2);
        if begins {
            self.run = true;
            self.quoted = self.quoted.or(self.mark);
        }
        if ends(b"](") {
            self.target = self.target.max(1);
        } else if ends(b"](<") {
            self.angle = true;
        }
        self.attribute |= matches!(byte, b'=' | b'(')
            && [&b"src="[..], b"href=", b"srcset=", b"action=", b"poster=", b"url("]
                .iter()
                .any(|w| ends(w));
        self.line = match (byte, self.line) {
            (b'\n' | b'\r', _) => Line::Empty,
            (b'[', Line::Empty) => Line::Label,
            (_, Line::Empty) if !byte.is_ascii_whitespace() && byte != b'>' => Line::Other,
            (b':', Line::Label) if ends(b"]:") => Line::Definition,
            (b']', Line::Label) => Line::Label,
            (_, Line::Label) if before as u8 == b']' => Line::Other,
            (_, line) => line,
        };
        match byte {
            b'"' | b'\'' | b'`' => self.mark = Some(byte),
            // Browsers pass over white space in front of an address.
            b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.' | b':' | b'/' | b'\\' => {}
            _ if byte.is_ascii_whitespace() => {}
            _ => self.mark = None,
        }
        self.label = match (byte, self.label) {
            (b'.', _) => Some(0),
            (b'a'..=b'z' | b'0'..=b'9' | b'-', Some(n)) => Some(n.saturating_add(1)),
            _ => None,
        };
    }

    /// The first byte behind `src=` that is no white space opens its value.
    fn open_attribute(&mut self, byte: u8) {
        if self.attribute && !byte.is_ascii_whitespace() {
            self.attribute = false;
            match byte {
                b'"' | b'\'' => self.quoted = Some(byte),
                _ => self.run = true,
            }
        }
    }

    fn close(&mut self, byte: u8) {
        if byte.is_ascii_whitespace() {
            self.run = false;
        }
        if self.quoted == Some(byte) {
            (self.quoted, self.run) = (None, false);
        }
        if self.angle && matches!(byte, b'>' | b'\n') {
            self.angle = false;
        }
        let escaped = self.escaped;
        self.escaped = byte == b'\\' && !escaped;
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

    /// Whether the place of the `@` lies in an address.
    fn inside(text: &str) -> bool {
        let mut address = Address::default();
        text.bytes().take_while(|&b| b != b'@').for_each(|b| address.read(b));
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
        ] {
            assert!(!inside(text), "{text}");
        }
    }
}
