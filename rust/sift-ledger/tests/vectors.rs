//! Ed25519 held to published vectors: RFC 8032 §7.1 and Wycheproof, and to strictness beyond them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "helpers of tests: a panic there is the report"
)]

use sift_ledger::keys::{PrivateKey, PublicKey, Purpose};
use wycheproof::eddsa::{TestName, TestSet};
use wycheproof::TestResult;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn rfc_8032() {
    for (seed, public, message, signature) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ] {
        let key = PrivateKey::from_seed(&hex(seed).try_into().unwrap());
        assert_eq!(key.public().to_vec(), hex(public));
        assert_eq!(key.sign(&hex(message)).to_vec(), hex(signature));
        let public = PublicKey::new("k", Purpose::Receipt, &key.public()).unwrap();
        assert!(public.verify(&hex(message), &hex(signature)).is_ok());
        assert!(public.verify(b"other", &hex(signature)).is_err());
    }
}

#[test]
fn wycheproof_ed25519() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        let bytes: [u8; 32] = group.key.pk.as_slice().try_into().unwrap();
        let key = PublicKey::new("k", Purpose::Receipt, &bytes).unwrap();
        for test in &group.tests {
            let verified = key.verify(&test.msg, &test.sig).is_ok();
            assert_eq!(
                verified,
                test.result == TestResult::Valid,
                "case {}: {}",
                test.tc_id,
                test.comment
            );
            if verified {
                valid += 1;
            } else {
                invalid += 1;
            }
        }
    }
    assert!(valid >= 80 && invalid >= 60, "{valid} valid, {invalid} invalid");
}

/// Points of small order, in every encoding: whoever uses one as a key lets anybody sign.
#[test]
fn weak_and_ambiguous_keys_are_refused() {
    let p_minus_1 = "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
    for text in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        p_minus_1,
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        // y = p + 3, and y = 2^255 - 1: encodings beyond the field, not all of small order.
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ] {
        let bytes: [u8; 32] = hex(text).try_into().unwrap();
        assert!(PublicKey::new("k", Purpose::Agent, &bytes).is_err(), "{text}");
    }
}

#[test]
fn a_signature_has_one_form() {
    let key = PrivateKey::from_seed(&[3; 32]);
    let public = PublicKey::new("k", Purpose::Receipt, &key.public()).unwrap();
    let signature = key.sign(b"message");
    for length in [0, 1, 63] {
        assert!(public.verify(b"message", &signature[..length]).is_err());
    }
    assert!(public.verify(b"message", &[&signature[..], &[0]].concat()).is_err());
    // S + L is the same scalar, written in another way.
    let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut bent = signature;
    let mut carry = 0;
    for (place, byte) in order.iter().enumerate() {
        let sum = u16::from(bent[32 + place]) + u16::from(*byte) + carry;
        bent[32 + place] = sum as u8;
        carry = sum >> 8;
    }
    assert!(public.verify(b"message", &bent).is_err());
    for bit in 0..512 {
        let mut bent = signature;
        bent[bit / 8] ^= 1 << (bit % 8);
        assert!(public.verify(b"message", &bent).is_err(), "bit {bit}");
    }
}
