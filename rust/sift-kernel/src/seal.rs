//! Sealing for one reader: bytes that only the holder of an approver's signing key opens.
//!
//! An approver has one key, for Ed25519. Its point has a twin on the Montgomery form of the curve, which X25519
//! works on (RFC 7748 section 4.1), so the same key can agree on a secret: a fresh key of the sender with the
//! approver's public one. The secret, with both public keys, gives the key of XChaCha20-Poly1305. Nobody, the
//! sender included, opens it afterwards without the approver's key.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use curve25519_dalek::montgomery::MontgomeryPoint;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::{KernelError, Result};
use crate::wire::{random, Preimage};

const POINT: usize = 32;

fn key(
    shared: &MontgomeryPoint,
    sender: &[u8; POINT],
    reader: &[u8; POINT],
) -> Result<Zeroizing<[u8; 32]>> {
    // A point of small order makes a secret that everybody knows.
    if shared.0 == [0; POINT] {
        return Err(KernelError::Invalid("the key cannot be sealed for".to_owned()));
    }
    let label = Preimage::new("sift-seal-v1").bytes(sender).bytes(reader).finish();
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(shared.as_bytes())
        .map_err(|_| KernelError::Invalid("the key cannot be sealed for".to_owned()))?;
    mac.update(&label);
    Ok(Zeroizing::new(mac.finalize().into_bytes().into()))
}

/// Seals bytes for a reader.
///
/// Args: the reader's Ed25519 public key; what the bytes belong to, which must be the same at opening; the bytes.
///
/// Errors: a key that is no point, or no randomness.
pub(crate) fn seal(reader: &[u8; 32], about: &[u8], text: &[u8]) -> Result<Vec<u8>> {
    let reader = curve25519_dalek::edwards::CompressedEdwardsY(*reader)
        .decompress()
        .ok_or_else(|| KernelError::Invalid("the key cannot be sealed for".to_owned()))?
        .to_montgomery();
    let secret = Zeroizing::new(random::<32>()?);
    let sender = MontgomeryPoint::mul_base_clamped(*secret).0;
    let key = key(&reader.mul_clamped(*secret), &sender, &reader.0)?;
    // The key is used once, so its nonce may be any.
    let sealed = XChaCha20Poly1305::new((&*key).into())
        .encrypt(&XNonce::default(), Payload { msg: text, aad: about })
        .map_err(|_| KernelError::Limit("too much to seal".to_owned()))?;
    Ok([sender.as_slice(), &sealed].concat())
}

/// Opens what was sealed for this reader.
///
/// Args: the scalar of the reader's private key (the lower half of SHA-512 of its seed); as for [`seal`].
///
/// Errors: sealed for another key, about something else, or changed.
pub(crate) fn open(scalar: &[u8; 32], about: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let wrong =
        || KernelError::Invalid("the sealed copy is not for this key, or was changed".to_owned());
    let (sender, text) = sealed.split_first_chunk::<POINT>().ok_or_else(wrong)?;
    let reader = MontgomeryPoint::mul_base_clamped(*scalar).0;
    let key = key(&MontgomeryPoint(*sender).mul_clamped(*scalar), sender, &reader)
        .map_err(|_| wrong())?;
    XChaCha20Poly1305::new((&*key).into())
        .decrypt(&XNonce::default(), Payload { msg: text, aad: about })
        .map(Zeroizing::new)
        .map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;

    fn pair(seed: u8) -> ([u8; 32], [u8; 32]) {
        let key = SigningKey::from_bytes(&[seed; 32]);
        (key.verifying_key().to_bytes(), key.to_scalar_bytes())
    }

    #[test]
    fn its_reader_opens_it() {
        for seed in 0..20 {
            let (public, scalar) = pair(seed);
            let sealed = seal(&public, b"a1", b"arguments").unwrap();
            assert_eq!(open(&scalar, b"a1", &sealed).unwrap().as_slice(), b"arguments");
        }
    }

    #[test]
    fn nobody_else_does() {
        let (public, scalar) = pair(1);
        let sealed = seal(&public, b"a1", b"arguments").unwrap();
        assert!(open(&pair(2).1, b"a1", &sealed).is_err());
        assert!(open(&scalar, b"a2", &sealed).is_err());
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            // The top bit of a coordinate is ignored by X25519, but it is in the key's label.
            assert!(open(&scalar, b"a1", &changed).is_err(), "byte {place}");
        }
        for length in 0..sealed.len() {
            assert!(open(&scalar, b"a1", &sealed[..length]).is_err());
        }
    }

    #[test]
    fn keys_that_everybody_knows_are_refused() {
        // The neutral element, and a point that is not on the curve.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert!(seal(&neutral, b"", b"x").is_err());
        assert!(seal(&[2; 32], b"", b"x").is_err());
    }
}
