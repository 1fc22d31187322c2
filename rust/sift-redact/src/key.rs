//! Keys of operators and vaults: one secret of 32 bytes, from which a key for each purpose is derived.

use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 24;

/// A key and what is derived from it; overwritten with zeros when the last copy is dropped.
///
/// Shown, compared and told apart by its id: the first 32 bits of a keyed hash of a constant.
#[derive(Clone)]
pub struct Key(Arc<Derived>);

struct Derived {
    /// Of values that are hashed.
    hash: Zeroizing<[u8; 32]>,
    /// Of values that are encrypted.
    encrypt: Zeroizing<[u8; 32]>,
    /// Of their nonces.
    nonce: Zeroizing<[u8; 32]>,
    /// Of vault files.
    vault: Zeroizing<[u8; 32]>,
    fingerprint: [u8; 32],
    id: String,
}

impl Key {
    /// Derives everything; the caller's copy is the caller's to wipe.
    pub fn new(secret: &[u8; KEY_BYTES]) -> Self {
        let derive = |purpose: &[u8]| Zeroizing::new(mac(secret, &[b"sift-fast key v1 ", purpose]));
        let fingerprint = *derive(b"id");
        let id = fingerprint.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Self(Arc::new(Derived {
            hash: derive(b"hash"),
            encrypt: derive(b"encrypt"),
            nonce: derive(b"nonce"),
            vault: derive(b"vault"),
            fingerprint,
            id,
        }))
    }

    /// Eight hexadecimal digits that tell keys apart and say nothing about them.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Keyed hash of a value, different for each entity type: 128 bits in hexadecimal digits.
    pub(crate) fn hash(&self, entity: &str, value: &[u8]) -> String {
        let digest = mac(&self.0.hash, &[entity.as_bytes(), b"\0", value]);
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Nonce, ciphertext and authenticator of a value.
    ///
    /// The nonce is a keyed hash of entity type and value, a synthetic initialisation vector: equal
    /// values give equal ciphertexts, which a redaction must, since a stream has to give what the whole
    /// text gives; and different ones never share a nonce, but by a collision in 192 bits.
    pub(crate) fn encrypt(&self, entity: &str, value: &[u8]) -> Option<Vec<u8>> {
        let digest = mac(&self.0.nonce, &[entity.as_bytes(), b"\0", value]);
        let nonce = digest.get(..NONCE_BYTES)?;
        let sealed = seal(&self.0.encrypt, nonce, entity.as_bytes(), value)?;
        Some([nonce, &sealed].concat())
    }

    /// The value, if it was encrypted with this key for this entity type.
    pub(crate) fn decrypt(&self, entity: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
        open(&self.0.encrypt, nonce, entity.as_bytes(), sealed)
    }

    pub(crate) fn seal_vault(&self, nonce: &[u8], header: &[u8], text: &[u8]) -> Option<Vec<u8>> {
        seal(&self.0.vault, nonce, header, text)
    }

    pub(crate) fn open_vault(
        &self,
        nonce: &[u8],
        header: &[u8],
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        open(&self.0.vault, nonce, header, sealed)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.fingerprint == other.0.fingerprint
    }
}

impl Eq for Key {}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // A key of the block's length or less is taken as it is: `new` and `new_from_slice` agree.
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key);
    let mut mac = <Hmac<Sha256> as Mac>::new((&*block).into());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn seal(key: &[u8; 32], nonce: &[u8], bound: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let cipher = XChaCha20Poly1305::new(key.into());
    let nonce: &[u8; NONCE_BYTES] = nonce.try_into().ok()?;
    cipher.encrypt(XNonce::from_slice(nonce), Payload { msg: text, aad: bound }).ok()
}

fn open(key: &[u8; 32], nonce: &[u8], bound: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = XChaCha20Poly1305::new(key.into());
    let nonce: &[u8; NONCE_BYTES] = nonce.try_into().ok()?;
    let payload = Payload { msg: sealed, aad: bound };
    cipher.decrypt(XNonce::from_slice(nonce), payload).ok().map(Zeroizing::new)
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 of RFC 4648 section 5 without padding.
pub(crate) fn to_base64url(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, &byte| word << 8 | u32::from(byte));
        let word = word << (8 * (3 - chunk.len()));
        let digits = (0..=chunk.len()).map(|i| DIGITS[(word >> (18 - 6 * i)) as usize & 63]);
        out.extend(digits);
    }
}

/// The bytes of a text that [`to_base64url`] wrote; none for any other.
pub(crate) fn from_base64url(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.chunks(4) {
        let mut word = 0_u32;
        for &digit in chunk {
            word = word << 6 | DIGITS.iter().position(|&known| known == digit)? as u32;
        }
        let unused = 6 * (4 - chunk.len());
        let bytes = (word << unused).to_be_bytes();
        let count = chunk.len().checked_sub(1).filter(|&count| count > 0)?;
        // Bits behind the last byte would be a second spelling of the same value.
        if bytes[1 + count..].iter().any(|&byte| byte != 0) {
            return None;
        }
        out.extend_from_slice(&bytes[1..=count]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_its_own_inverse() {
        for length in 0..40_u8 {
            let bytes: Vec<u8> =
                (0..length).map(|i| i.wrapping_mul(151).wrapping_add(length)).collect();
            let mut text = Vec::new();
            to_base64url(&bytes, &mut text);
            assert_eq!(from_base64url(&text), Some(bytes));
        }
        let mut text = Vec::new();
        to_base64url(b"\xfb\xef\xff\x00", &mut text);
        assert_eq!(text, b"--__AA");
        for wrong in [&b"A"[..], b"AAAAA", b"A=", b"AB", b"AAB", b"A A"] {
            assert_eq!(from_base64url(wrong), None);
        }
    }

    #[test]
    fn values_come_back_with_the_same_key_and_entity_only() {
        let (key, other) = (Key::new(&[1; 32]), Key::new(&[2; 32]));
        let mut sealed = key.encrypt("A", b"value").unwrap();
        assert_eq!(key.encrypt("A", b"value").unwrap(), sealed);
        assert_ne!(key.encrypt("B", b"value").unwrap(), sealed);
        assert_eq!(*key.decrypt("A", &sealed).unwrap(), b"value");
        assert!(key.decrypt("B", &sealed).is_none());
        assert!(other.decrypt("A", &sealed).is_none());
        assert!(key.decrypt("A", &sealed[..20]).is_none());
        sealed[30] ^= 1;
        assert!(key.decrypt("A", &sealed).is_none());
    }

    #[test]
    fn keys_show_their_id() {
        let key = Key::new(&[7; 32]);
        assert_eq!(format!("{key:?}"), format!("Key({})", key.id()));
        assert_eq!(key.id().len(), 8);
        assert_eq!(key, Key::new(&[7; 32]));
        assert_ne!(key, Key::new(&[8; 32]));
        assert_ne!(key.hash("A", b"x"), key.hash("B", b"x"));
        assert_eq!(key.hash("A", b"x").len(), 32);
    }
}
