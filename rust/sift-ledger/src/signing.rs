//! Ed25519 signatures (RFC 8032) by AWS-LC, in half of the time.
//!
//! What costs most of a durable permit is its signature. A signature of 1.3 KB takes `ed25519-dalek` 21.6 us and AWS-LC
//! 12.3, by the assembly of s2n-bignum, which is formally verified. Signatures are a function of key and message, so
//! both make the same one; verifying stays with `verify_strict`, which AWS-LC does not have.

#![allow(
    unsafe_code,
    reason = "one call of a C function, with lengths that are those of arrays and of a slice"
)]

/// The signature of a message.
///
/// Args: seed and public key of it, together; the message.
///
/// Returns nothing where the library makes none; it fails for want of memory alone.
pub(crate) fn sign(pair: &[u8; 64], message: &[u8]) -> Option<[u8; 64]> {
    let mut signature = [0; 64];
    // SAFETY: 64 bytes are read of 64 and written into 64, and of the message as many as it has.
    let made = unsafe {
        aws_lc_sys::ED25519_sign(
            signature.as_mut_ptr(),
            message.as_ptr(),
            message.len(),
            pair.as_ptr(),
        )
    };
    (made == 1).then_some(signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    #[test]
    fn both_libraries_make_the_same_signature() {
        for seed in 0..40_u8 {
            let key = SigningKey::from_bytes(&[seed; 32]);
            let message: Vec<u8> = (0..usize::from(seed) * 37).map(|n| (n % 251) as u8).collect();
            let made = sign(&key.to_keypair_bytes(), &message);
            assert_eq!(made, Some(key.sign(&message).to_bytes()), "{} bytes", message.len());
        }
    }
}
