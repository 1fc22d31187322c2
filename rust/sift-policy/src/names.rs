//! What can be a name: of a tenant, an agent, a role, a session. Two that look the same must be the same, for people
//! read them in receipts, approvals and revocations.

/// Longest name, in bytes.
pub const MAX_NAME: usize = 256;

/// Whether a character shows nothing, or changes the order in which others are shown: controls, spaces beyond U+0020,
/// and what Unicode 16 calls `Default_Ignorable_Code_Point` or `Bidi_Control`.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || (c != ' ' && c.is_whitespace())
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a text has a character that does not show. Nearly every name is of ASCII, and looked through many bytes at
/// once.
fn hides(text: &str) -> bool {
    let odd = |byte: u8| !(b' '..=b'~').contains(&byte);
    text.bytes().fold(false, |any, byte| any | odd(byte)) && text.chars().any(is_hidden)
}

/// Whether a text can be a label: 1 to [`MAX_NAME`] bytes, nothing hidden, no space at an end.
pub fn is_label(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && !hides(text)
        && !text.starts_with(' ')
        && !text.ends_with(' ')
}

/// Whether a text can be a name: a label without `/`, which joins names in entities and accounts.
pub fn is_name(text: &str) -> bool {
    is_label(text) && !text.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_they_look_like() {
        for name in
            ["acme", "a b", "Zoë", "日本", "a.b-c_d", "r\u{65}\u{301}ne", &"x".repeat(MAX_NAME)]
        {
            assert!(is_name(name) && is_label(name), "{name}");
        }
        for name in [
            "",
            " acme",
            "acme ",
            "a\nb",
            "a\u{0}",
            "a\u{85}",
            "a\u{a0}b",
            "a\u{200b}",
            "a\u{200d}b",
            "\u{202e}emca",
            "a\u{2066}b",
            "\u{feff}acme",
            "ac\u{ad}me",
            "a\u{3164}",
            "a\u{e0041}",
            "a\u{2028}b",
            "a\u{fe0f}",
            &"x".repeat(MAX_NAME + 1),
        ] {
            assert!(!is_name(name) && !is_label(name), "{name:?}");
        }
        assert!(is_label("a/b") && !is_name("a/b"));
    }
}
