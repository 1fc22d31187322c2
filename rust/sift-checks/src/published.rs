//! Keys that their vendor publishes as samples, so that nobody can leak them.
//!
//! They look like any other key, and only knowing them tells. What is kept is a part of a digest: the texts
//! themselves stay out of the source, where scanners would find them.

use sha2::{Digest, Sha256};

/// The first eight bytes, big endian, of the SHA-256 of each, ascending: the API keys in the samples and
/// tests of Google's Firebase SDK for Android (<https://github.com/firebase/firebase-android-sdk>).
const SAMPLES: [u64; 16] = [
    0x0b47_6bdf_9acf_2123,
    0x2037_abca_ffb2_b777,
    0x27a9_a429_31df_f7eb,
    0x37f8_f09b_df12_c2f2,
    0x3a8b_61d0_f636_b007,
    0x3f37_0c9d_d822_5c63,
    0x49f7_77db_995e_8260,
    0x4c98_242d_cadc_8b29,
    0x8731_261c_b72d_8626,
    0xa19f_89ab_3555_eac1,
    0xa6c8_14bc_555a_e62c,
    0xdc0f_cf04_6c61_640c,
    0xe4a5_542b_b7fd_7b67,
    0xea9b_b108_2cf9_5663,
    0xeb54_0d2b_6ee2_a0a4,
    0xf56e_3234_94a6_ffc2,
];

/// Whether `value` is one of them. Of other values one in 10^18 is taken for one.
pub(crate) fn is_sample(value: &[u8]) -> bool {
    let digest = Sha256::digest(value);
    let (head, _) = digest.split_at(8);
    let head = head.iter().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
    SAMPLES.binary_search(&head).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{is_sample, SAMPLES};

    #[test]
    fn samples_are_known_and_others_are_not() {
        assert!(SAMPLES.windows(2).all(|pair| pair[0] < pair[1]));
        // Put together here: the alphabet and seven digits behind the prefix.
        let alphabet: String = ('a'..='z').chain('1'..='7').collect();
        assert!(is_sample(format!("AIzaSy{alphabet}").as_bytes()));
        assert!(!is_sample(format!("AIzaSx{alphabet}").as_bytes()));
        assert!(!is_sample(b""));
    }
}
