//! Openings: what makes a receipt's digests checkable for whoever is shown it, and unguessable for everybody else.
//!
//! All of an action but its arguments stands in its receipt, so that a plain digest would let anybody who reads the
//! ledger try arguments until one fits: an amount in cents is found in a second. The digests are made with 32 bytes
//! that are in no receipt. They are derived and not drawn, so that nothing has to be stored: the kernel hands them
//! out with the receipt, and whoever has the receipt key can make them again.
//!
//! An opening is the hash of a *secret*, which the kernel keeps. Of a receipt that allows something the secret is what
//! makes a permit of it: the receipt's signature holds the digest, the digest holds the opening, and that holds the
//! secret, so that a permit needs no signature of its own, and neither the receipt nor its opening makes one.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use sift_ledger::keys::PrivateKey;

use crate::error::{KernelError, Result};
use crate::wire::Preimage;

/// Makes the openings of the receipts of one key.
#[derive(Clone)]
pub struct Openings {
    ready: Hmac<Sha256>,
}

impl fmt::Debug for Openings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Openings")
    }
}

impl Openings {
    /// Those of a receipt key.
    ///
    /// Errors: none that can be met; HMAC takes keys of any length.
    pub fn new(key: &PrivateKey) -> Result<Self> {
        let mac = |key: &[u8]| {
            <Hmac<Sha256> as Mac>::new_from_slice(key)
                .map_err(|_| KernelError::Invalid("the key of openings has no use".to_owned()))
        };
        // A key of its own, so that no opening says anything about what the receipt key signs.
        let own = mac(key.scalar().as_slice())?.chain_update(b"sift-openings-v2").finalize();
        Ok(Self { ready: mac(&own.into_bytes())? })
    }

    /// The opening of one receipt.
    ///
    /// Args: the name of the receipt's subject (the request's id, of an approver's signature the approval's); the lease
    /// that the receipt names, if it does; the digest of the action. One that is given away opens receipts of these
    /// three, and no others.
    pub fn opening(&self, name: &str, lease: Option<&str>, action: &[u8; 32]) -> [u8; 32] {
        opening_of(&self.secret(name, lease, action))
    }

    /// What an opening is the hash of: HMAC-SHA256 over name, lease and action. The lease is in it since callers choose
    /// the names of requests: the permit of one must not be that of the next of the same name.
    pub(crate) fn secret(&self, name: &str, lease: Option<&str>, action: &[u8; 32]) -> [u8; 32] {
        let bytes =
            Preimage::new("sift-secret-v2").text(name).optional(lease).bytes(action).finish();
        self.ready.clone().chain_update(bytes).finalize().into_bytes().into()
    }
}

/// `SHA-256("sift-opening-v2" || 0x00 || secret)`.
pub(crate) fn opening_of(secret: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(b"sift-opening-v2\0").chain_update(secret).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_name_lease_and_action_has_its_own() {
        let of = |seed: u8| Openings::new(&PrivateKey::from_seed(&[seed; 32])).unwrap();
        let base = of(1).opening("r1", Some("l1"), &[1; 32]);
        assert_eq!(base, of(1).opening("r1", Some("l1"), &[1; 32]));
        for other in [
            of(2).opening("r1", Some("l1"), &[1; 32]),
            of(1).opening("r2", Some("l1"), &[1; 32]),
            of(1).opening("r1", Some("l2"), &[1; 32]),
            of(1).opening("r1", None, &[1; 32]),
            of(1).opening("r1", Some("l1"), &[2; 32]),
            of(1).secret("r1", Some("l1"), &[1; 32]),
        ] {
            assert_ne!(base, other);
        }
        assert_eq!(format!("{:?}", of(1)), "Openings");
    }

    /// Receipts are opened years later: computed with Python's `hashlib` and `hmac`.
    #[test]
    fn they_stay_what_they_are() {
        let openings = Openings::new(&PrivateKey::from_seed(&[1; 32])).unwrap();
        for (lease, known) in [
            (Some("l1"), "c11f22ac51ac3f817a92460536f36d40e508364a9f6995142a0fdf6d3cd0af73"),
            (None, "fec75bc58ff87cdbcc741f4c31a21f023dd4a5171e3abf2a432255648bb7fd7b"),
        ] {
            let opening = openings.opening("r1", lease, &[1; 32]);
            assert_eq!(sift_ledger::hex(&opening), known);
        }
    }
}
