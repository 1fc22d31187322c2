//! Openings: what makes a receipt's digests checkable for whoever is shown it, and unguessable for everybody else.
//!
//! All of an action but its arguments stands in its receipt, so that a plain digest would let anybody who reads the
//! ledger try arguments until one fits: an amount in cents is found in a second. The digests are made with 32 bytes
//! that are in no receipt. They are derived and not drawn, so that nothing has to be stored: the kernel hands them
//! out with the receipt, and whoever has the receipt key can make them again.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
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
        let own = mac(key.scalar().as_slice())?.chain_update(b"sift-openings-v1").finalize();
        Ok(Self { ready: mac(&own.into_bytes())? })
    }

    /// The opening of one receipt: HMAC-SHA256 over name and action.
    ///
    /// Args: the name of the receipt's subject (the request's id, of an approver's signature the approval's); the
    /// digest of the action. One that is given away opens receipts of this name and action, and no others.
    pub fn opening(&self, name: &str, action: &[u8; 32]) -> [u8; 32] {
        let bytes = Preimage::new("sift-opening-v1").text(name).bytes(action).finish();
        self.ready.clone().chain_update(bytes).finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_name_and_action_has_its_own() {
        let of = |seed: u8| Openings::new(&PrivateKey::from_seed(&[seed; 32])).unwrap();
        let base = of(1).opening("r1", &[1; 32]);
        assert_eq!(base, of(1).opening("r1", &[1; 32]));
        for other in [
            of(2).opening("r1", &[1; 32]),
            of(1).opening("r2", &[1; 32]),
            of(1).opening("r1", &[2; 32]),
        ] {
            assert_ne!(base, other);
        }
        assert_eq!(format!("{:?}", of(1)), "Openings");
    }

    /// Receipts are opened years later: computed with Python's `hashlib` and `hmac`.
    #[test]
    fn they_stay_what_they_are() {
        let openings = Openings::new(&PrivateKey::from_seed(&[1; 32])).unwrap();
        let opening = sift_ledger::hex(&openings.opening("r1", &[1; 32]));
        assert_eq!(opening, "9af616be6d0bae8e6ced9d4089c5f796822ea7133d34a1301eb150d58f254574");
    }
}
