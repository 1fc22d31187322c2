//! Placeholders back into values, and what keeps a text from forging them.
//!
//! Whatever a redaction gives out beside placeholders of its vault goes through [`Escape`]: where the tag
//! is followed by any number of `~` and a `>` or a backslash, one more `~` is put in. So no text but a vault's
//! own holds its tag followed by `>`, and [`Restorer`] takes exactly one `~` away again. A backslash is how
//! JSON begins to spell a `>`: who decodes the text afterwards finds the `~` before it all the same.

use std::collections::HashSet;
use std::io::Write;

use memchr::memmem::Finder;
use zeroize::Zeroizing;

use crate::key::{from_base64url, Key};
use crate::url::Address;
use crate::vault::{Vault, VaultError, MAX_ENTITY, TAG_BYTES};

const PAD: u8 = b'~';

/// Whether a placeholder may end with this byte: itself, or where JSON is decoded, what it stands for.
fn may_end(byte: u8) -> bool {
    matches!(byte, b'>' | b'\\')
}

/// Follows a text and knows whether it ends with the tag and nothing but `~` since.
#[derive(Clone, Debug)]
struct Tagged {
    tag: u64,
    last: u64,
    tagged: bool,
}

impl Tagged {
    fn new(tag: [u8; TAG_BYTES]) -> Self {
        Self { tag: word(&tag), last: 0, tagged: false }
    }

    fn read(&mut self, byte: u8) {
        self.last = (self.last << 8 | u64::from(byte)) & (u64::MAX >> (64 - 8 * TAG_BYTES));
        self.tagged = self.last == self.tag || (self.tagged && byte == PAD);
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Writes text so that nothing in it reads as a placeholder of one vault.
#[derive(Debug)]
pub struct Escape {
    tag: [u8; TAG_BYTES],
    /// Boxed: it holds vectors that want an alignment of 32 bytes, which Python does not give its objects.
    finder: Box<Finder<'static>>,
    state: Tagged,
}

impl Escape {
    /// For the placeholders of this vault.
    pub fn new(vault: &Vault) -> Self {
        let tag = vault.tag_bytes();
        Self { tag, finder: Box::new(Finder::new(&tag).into_owned()), state: Tagged::new(tag) }
    }

    /// Appends a piece of text to `out`.
    pub fn write(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        // Byte by byte where the tag may stand across the cut, and where it is, which is hardly ever.
        let (first, plain) = match self.finder.find(piece) {
            Some(_) => (piece, &[][..]),
            None => self.head(piece),
        };
        self.bytes(first, out);
        out.extend_from_slice(plain);
        // Six bytes are enough to go on from; what came before them holds no tag.
        let tail = plain.len().saturating_sub(TAG_BYTES);
        plain.get(tail..).unwrap_or_default().iter().for_each(|&byte| self.state.read(byte));
    }

    /// Splits a piece without a tag where a tag before it can no longer matter.
    fn head<'a>(&self, piece: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let mut state = self.state.clone();
        let open = |&(at, &byte): &(usize, &u8)| {
            let open = at < TAG_BYTES || state.tagged;
            state.read(byte);
            open
        };
        let first = piece.iter().enumerate().take_while(open).count();
        piece.split_at(first)
    }

    fn bytes(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            if may_end(byte) && self.state.tagged {
                out.push(PAD);
            }
            self.state.read(byte);
            out.push(byte);
        }
    }

    /// Appends the placeholder of a value to `out`.
    pub fn placeholder(&mut self, entity: &str, number: usize, out: &mut Vec<u8>) {
        // Writing to memory does not fail.
        let _ = write!(out, "<{entity}_{number}:");
        out.extend_from_slice(&self.tag);
        out.push(b'>');
        self.state = Tagged::new(self.tag);
    }
}

/// What may be restored.
#[derive(Clone, Debug, Default)]
pub struct Permission {
    /// These entity types only; none for all.
    pub entities: Option<HashSet<String>>,
    /// Inside web addresses too.
    pub urls: bool,
}

impl Permission {
    fn allows(&self, entity: &str) -> bool {
        self.entities.as_ref().is_none_or(|entities| entities.contains(entity))
    }
}

/// Puts values back into a text that arrives in pieces.
///
/// Holds back what could be the beginning of a placeholder: a hundred bytes at most.
#[derive(Debug)]
pub struct Restorer {
    permission: Permission,
    /// Whether values have to be characters.
    characters: bool,
    tag: [u8; TAG_BYTES],
    state: Tagged,
    address: Address,
    /// The beginning of a placeholder.
    held: Vec<u8>,
    /// A `~` behind the tag, which goes if a `>` or a backslash follows.
    pad: bool,
}

impl Restorer {
    /// For the placeholders of this vault. `characters`: values that are no text are left alone.
    pub fn new(vault: &Vault, permission: Permission, characters: bool) -> Self {
        let tag = vault.tag_bytes();
        Self {
            permission,
            characters,
            tag,
            state: Tagged::new(tag),
            address: Address::default(),
            held: Vec::new(),
            pad: false,
        }
    }

    /// Appends to `out` what a piece makes certain.
    pub fn feed(
        &mut self,
        vault: &Vault,
        piece: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), VaultError> {
        vault.check_process()?;
        for &byte in piece {
            self.read(vault, byte, out)?;
        }
        Ok(())
    }

    /// Appends the rest: what looked like the beginning of a placeholder is text.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.give_up(out);
        if std::mem::take(&mut self.pad) {
            out.push(PAD);
        }
    }

    /// Bytes that were fed and not given out.
    pub fn held(&self) -> usize {
        self.held.len() + usize::from(self.pad)
    }

    fn read(&mut self, vault: &Vault, byte: u8, out: &mut Vec<u8>) -> Result<(), VaultError> {
        if byte == b'<' {
            self.give_up(out);
            self.held.push(byte);
            return Ok(());
        }
        if self.held.is_empty() {
            self.text(byte, out);
            return Ok(());
        }
        if byte == b'>' {
            if let Some(value) = self.value(vault)? {
                self.flush_pad(out);
                out.extend_from_slice(&value);
                // What follows an address that came back is part of it.
                value.iter().for_each(|&byte| self.address.read(byte));
                self.held.clear();
                self.state = Tagged::new(self.tag);
                return Ok(());
            }
        } else if self.continues(byte) {
            self.held.push(byte);
            return Ok(());
        }
        self.give_up(out);
        self.text(byte, out);
        Ok(())
    }

    /// Whether a placeholder may go on with this byte.
    fn continues(&self, byte: u8) -> bool {
        match memchr::memchr(b':', &self.held) {
            // Entity type, `_` and number.
            None if byte == b':' => self.held.len() > 3,
            None => {
                let letter = byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
                letter && self.held.len() < MAX_ENTITY + 22
            }
            Some(colon) => self.tag.get(self.held.len() - colon - 1) == Some(&byte),
        }
    }

    /// The value of the placeholder that is held, if it is one and may be restored here.
    fn value(&self, vault: &Vault) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let Some((entity, number)) = placeholder(&self.held, &self.tag) else { return Ok(None) };
        if !self.permission.allows(entity) || (self.address.inside() && !self.permission.urls) {
            return Ok(None);
        }
        let value = vault.value(entity, number)?;
        Ok(value.filter(|value| !self.characters || is_text(value)))
    }

    /// What is held is no placeholder.
    fn give_up(&mut self, out: &mut Vec<u8>) {
        let mut held = std::mem::take(&mut self.held);
        held.iter().for_each(|&byte| self.text(byte, out));
        held.clear();
        self.held = held;
    }

    fn text(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.address.read(byte);
        let tagged = self.state.tagged;
        self.state.read(byte);
        if tagged && byte == PAD && !self.pad {
            self.pad = true;
            return;
        }
        if may_end(byte) && tagged {
            self.pad = false;
        } else if byte != PAD || !tagged {
            self.flush_pad(out);
        }
        out.push(byte);
    }

    fn flush_pad(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.pad) {
            out.push(PAD);
        }
    }
}

/// Entity type and number of `<ENTITY_1:tag`.
fn placeholder<'a>(held: &'a [u8], tag: &[u8]) -> Option<(&'a str, usize)> {
    let name = held.strip_prefix(b"<")?.strip_suffix(tag)?.strip_suffix(b":")?;
    let name = std::str::from_utf8(name).ok()?;
    let (entity, number) = name.rsplit_once('_')?;
    // One spelling for each number.
    if number.starts_with('0') || number.len() > 18 {
        return None;
    }
    Some((entity, number.parse().ok()?))
}

/// Whether bytes are UTF-8 but for surrogates, which `str` may hold.
fn is_text(value: &[u8]) -> bool {
    let mut rest = value;
    loop {
        let Err(error) = std::str::from_utf8(rest) else { return true };
        let surrogate = rest.get(error.valid_up_to()..).and_then(<[u8]>::split_first_chunk::<3>);
        match surrogate {
            Some(([0xed, 0xa0..=0xbf, 0x80..=0xbf], next)) => rest = next,
            _ => return false,
        }
    }
}

/// A text with the values of `<ENTITY:e:KEY:...>` in it decrypted. What was not encrypted with this key
/// for this entity type stays as it is.
pub fn decrypt(key: &Key, text: &[u8], permission: &Permission, characters: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut address = Address::default();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte == b'<' {
            let rest = text.get(at + 1..).unwrap_or_default();
            let opened = encrypted(key, rest).filter(|(entity, _, value)| {
                let here = permission.urls || !address.inside();
                permission.allows(entity) && here && (!characters || is_text(value))
            });
            if let Some((_, length, value)) = opened {
                out.extend_from_slice(&value);
                value.iter().for_each(|&byte| address.read(byte));
                at += 1 + length;
                continue;
            }
        }
        address.read(byte);
        out.push(byte);
        at += 1;
    }
    out
}

/// Entity type, length and value of `ENTITY:e:KEY:...>` at the beginning of a text.
fn encrypted<'a>(key: &Key, text: &'a [u8]) -> Option<(&'a str, usize, Zeroizing<Vec<u8>>)> {
    let name = text.get(..MAX_ENTITY.min(text.len()))?;
    let name = name.get(..memchr::memchr(b':', name)?)?;
    let rest = text.get(name.len()..)?;
    let rest = rest.strip_prefix(b":e:")?.strip_prefix(key.id().as_bytes())?.strip_prefix(b":")?;
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let digits = rest.iter().take_while(|byte| digit(byte)).count();
    let (sealed, rest) = rest.split_at(digits);
    let length = text.len() - rest.strip_prefix(b">")?.len();
    let name = std::str::from_utf8(name).ok()?;
    Some((name, length, key.decrypt(name, &from_base64url(sealed)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::Capacity;

    fn vault() -> Vault {
        let vault = Vault::new(Key::new(&[5; 32]), Capacity { entries: 9, bytes: 99 }).unwrap();
        vault.number(&[("MAIL", b"a@b.example"), ("MAIL", b"\xff"), ("US_SSN", b"12")]).unwrap();
        vault
    }

    fn restored(vault: &Vault, text: &str, permission: Permission) -> String {
        let text = text.replace('@', &format!(":{}>", vault.tag()));
        let mut whole = Vec::new();
        let mut restorer = Restorer::new(vault, permission.clone(), true);
        restorer.feed(vault, text.as_bytes(), &mut whole).unwrap();
        restorer.finish(&mut whole);
        let mut pieces = Vec::new();
        let mut restorer = Restorer::new(vault, permission, true);
        for byte in text.bytes() {
            restorer.feed(vault, &[byte], &mut pieces).unwrap();
            assert!(restorer.held() < 100);
        }
        restorer.finish(&mut pieces);
        assert_eq!(pieces, whole);
        String::from_utf8(whole).unwrap().replace(&format!(":{}>", vault.tag()), "@")
    }

    #[test]
    fn restores_what_is_a_placeholder() {
        let vault = vault();
        for (text, wanted) in [
            ("<MAIL_1@", "a@b.example"),
            ("<<MAIL_1@>", "<a@b.example>"),
            ("x<US_SSN_1@<MAIL_1@", "x12a@b.example"),
            ("<MAIL_3@", "<MAIL_3@"),
            ("<MAIL_01@", "<MAIL_01@"),
            ("<MAIL_@", "<MAIL_@"),
            ("<_1@", "<_1@"),
            ("<MAIL_1 @", "<MAIL_1 @"),
            ("<MAIL_99999999999999999999999@", "<MAIL_99999999999999999999999@"),
            ("<MAIL_1:xxxxxx>", "<MAIL_1:xxxxxx>"),
            ("<MAIL_1", "<MAIL_1"),
            ("https://e.example/<MAIL_1@ <MAIL_1@", "https://e.example/<MAIL_1@ a@b.example"),
            // Not characters.
            ("<MAIL_2@", "<MAIL_2@"),
        ] {
            assert_eq!(restored(&vault, text, Permission::default()), wanted);
        }
        let mail = Permission { entities: Some(HashSet::from(["MAIL".to_owned()])), urls: true };
        let text = "https://e.example/<MAIL_1@<US_SSN_1@";
        assert_eq!(restored(&vault, text, mail), "https://e.example/a@b.example<US_SSN_1@");
    }

    /// Whatever the text: escaped in any pieces it is the same, holds no placeholder, and comes back.
    #[test]
    fn escapes() {
        let vault = vault();
        let tag = vault.tag();
        let mut texts = Vec::new();
        let parts = [tag, "~", ">", "<MAIL_1:", &tag[..3], &tag[3..], "\\", "\\u003e"];
        for i in 0..parts.len().pow(5) {
            let text: String =
                (0..5).map(|at| parts[i / parts.len().pow(at) % parts.len()]).collect();
            texts.push(text);
        }
        for text in texts {
            let mut whole = Vec::new();
            Escape::new(&vault).write(text.as_bytes(), &mut whole);
            let mut escape = Escape::new(&vault);
            let mut pieces = Vec::new();
            for piece in text.as_bytes().chunks(2) {
                escape.write(piece, &mut pieces);
            }
            assert_eq!(whole, pieces);
            let decoded = String::from_utf8_lossy(&whole).replace("\\u003e", ">");
            assert!(!decoded.contains(&format!("{tag}>")));
            let mut back = Vec::new();
            let mut restorer = Restorer::new(&vault, Permission::default(), true);
            for piece in whole.chunks(3) {
                restorer.feed(&vault, piece, &mut back).unwrap();
            }
            restorer.finish(&mut back);
            assert_eq!(String::from_utf8(back).unwrap(), text);
        }
    }

    #[test]
    fn surrogates_are_text_for_str() {
        assert!(is_text("é€😀".as_bytes()));
        assert!(is_text(b"a\xed\xa0\x80b\xed\xbf\xbf"));
        assert!(!is_text(b"\xed\xa0"));
        assert!(!is_text(b"a\xff"));
        assert!(!is_text(b"\xed\xa0\x80\xff"));
    }
}
