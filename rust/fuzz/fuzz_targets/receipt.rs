//! Any bytes as an envelope: nothing panics, nothing verifies that a key of the ring did not sign, what is read
//! is written back as it was, and canonical bytes are a fixed point.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use sift_ledger::dsse::{Envelope, MAX_ENVELOPE};
use sift_ledger::jcs::{to_vec, Value};
use sift_ledger::keys::{Keyring, PrivateKey, PublicKey, Purpose};
use sift_ledger::receipt::verify_receipt;

fn ring() -> &'static Keyring {
    static RING: OnceLock<Keyring> = OnceLock::new();
    RING.get_or_init(|| {
        let mut ring = Keyring::new();
        // A random key: the fuzzer cannot have signed anything with it.
        let public = PrivateKey::generate().expect("randomness").public();
        ring.add(PublicKey::new("kernel", Purpose::Receipt, &public).expect("a key")).expect("an empty ring");
        ring
    })
}

fuzz_target!(|data: &[u8]| {
    if let Ok(envelope) = Envelope::parse(data) {
        let json = envelope.to_json();
        // Names that were left out are written, which may be too much.
        assert!(json.len() > MAX_ENVELOPE || Envelope::parse(&json).as_ref() == Ok(&envelope));
    }
    if let Ok(seen) = verify_receipt(data, None, ring(), i64::MAX) {
        assert!(!seen.signature.is_valid() && !seen.inclusion.is_valid() && !seen.witness.is_valid());
    }
    if let Some(bytes) = Value::parse(data).ok().and_then(|value| to_vec(&value).ok()) {
        let again = Value::parse(&bytes).expect("canonical bytes are JSON");
        assert_eq!(to_vec(&again).as_ref(), Ok(&bytes));
    }
});
