//! Serialized databases: what comes back, and all that must be refused with its reason.
#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod common;

use common::{ends, pattern, skip, Random};
use sha2::{Digest, Sha256};
use sift_hs::{Database, LoadError, Platform, ScratchPool};

const TEXT: &[u8] = b"key=abbbc 2024x; abc, 17x";

fn database(platform: Platform) -> Database {
    let patterns = [pattern(4, "ab+c"), pattern(9, r"\d{2,4}x"), pattern(2, r"key\s*=[^;]{3,40};")];
    Database::compile(&patterns, platform).unwrap()
}

/// Writes the digest anew, as somebody would who made the envelope elsewhere.
fn reseal(bytes: &mut [u8]) {
    let digest = Sha256::new().chain_update(&bytes[..96]).chain_update(&bytes[128..]).finalize();
    bytes[96..128].copy_from_slice(&digest);
}

#[test]
fn what_was_serialized_answers_the_same() {
    if skip("what_was_serialized_answers_the_same") {
        return;
    }
    for platform in [Platform::Generic, Platform::Native] {
        let made = database(platform);
        let bytes = made.serialize().unwrap();
        for shift in 0..9 {
            // At every alignment: a database may lie anywhere in a binary.
            let mut shifted = vec![0; shift];
            shifted.extend_from_slice(&bytes);
            let loaded = Database::deserialize(&shifted[shift..]).unwrap();
            let pool = ScratchPool::new(&[&made, &loaded]).unwrap();
            let mut scratch = pool.get().unwrap();
            let expected = ends(&made, &mut scratch, TEXT);
            assert_eq!(expected.len(), 5);
            assert_eq!(ends(&loaded, &mut scratch, TEXT), expected);
            assert_eq!(loaded.info(), made.info());
            assert_eq!(loaded.size(), made.size());
            assert_eq!(loaded.cpu_features(), made.cpu_features());
            assert_eq!(loaded.serialize().unwrap(), bytes);
        }
    }
    assert_eq!(database(Platform::Generic).cpu_features().to_string(), "baseline");
    assert_eq!(database(Platform::Native).cpu_features(), sift_hs::host_cpu().unwrap());
}

#[test]
fn a_cut_file_is_refused() {
    if skip("a_cut_file_is_refused") {
        return;
    }
    let bytes = database(Platform::Generic).serialize().unwrap();
    let mut random = Random::new(3);
    let cuts = (0..200).chain((0..200).map(|_| random.below(bytes.len()))).chain([bytes.len() - 1]);
    for cut in cuts {
        match Database::deserialize(&bytes[..cut]).unwrap_err() {
            LoadError::Length { found, expected } => {
                assert!(found == cut as u64 && expected > found)
            }
            LoadError::Foreign => assert_eq!(cut, 0),
            other => panic!("cut at {cut}: {other}"),
        }
    }
    let longer = [&bytes[..], b"\0"].concat();
    assert!(matches!(Database::deserialize(&longer), Err(LoadError::Length { .. })));
}

#[test]
fn a_flipped_bit_is_refused() {
    if skip("a_flipped_bit_is_refused") {
        return;
    }
    let bytes = database(Platform::Generic).serialize().unwrap();
    let mut random = Random::new(4);
    let header = 0..128 * 8;
    for bit in header.chain((0..2000).map(|_| random.below(bytes.len() * 8))) {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let why = Database::deserialize(&damaged).unwrap_err();
        if bit >= 32 * 8 {
            assert_eq!(why, LoadError::Damaged, "bit {bit}");
        }
    }
}

#[test]
fn a_foreign_file_says_what_it_is() {
    if skip("a_foreign_file_says_what_it_is") {
        return;
    }
    let bytes = database(Platform::Generic).serialize().unwrap();

    let mut other = bytes.clone();
    other[32..96].fill(0);
    other[32..48].copy_from_slice(b"5.4.2 2023-04-19");
    reseal(&mut other);
    let why = Database::deserialize(&other).unwrap_err();
    let expected = sift_hs::version().unwrap();
    assert_eq!(why, LoadError::EngineVersion { found: "5.4.2 2023-04-19".into(), expected });
    assert!(why.to_string().contains("compile it again"));

    let mut wide = bytes.clone();
    wide[23] = 0x80;
    reseal(&mut wide);
    let why = Database::deserialize(&wide).unwrap_err();
    assert!(matches!(why, LoadError::Processor { missing } if missing.bits() == 1 << 63), "{why}");

    let mut format = bytes.clone();
    format[8] = 9;
    reseal(&mut format);
    let why = Database::deserialize(&format).unwrap_err();
    assert!(matches!(why, LoadError::Format { found: 9, .. }), "{why}");

    assert_eq!(Database::deserialize(b"").unwrap_err(), LoadError::Foreign);
    assert_eq!(Database::deserialize(&bytes[128..]).unwrap_err(), LoadError::Foreign);
}

#[test]
fn the_engine_has_the_last_word_on_a_payload() {
    if skip("the_engine_has_the_last_word_on_a_payload") {
        return;
    }
    // A digest that fits does not make damaged content a database.
    let bytes = database(Platform::Generic).serialize().unwrap();
    let mut random = Random::new(5);
    for _ in 0..300 {
        let mut damaged = bytes.clone();
        // Behind the engine's own header of 32 bytes and before the unused ones at its end, all is
        // under the engine's CRC.
        let at = 128 + 32 + random.below(bytes.len() - 160 - 64);
        damaged[at] ^= 1 << random.below(8);
        reseal(&mut damaged);
        let why = Database::deserialize(&damaged).unwrap_err();
        assert!(matches!(why, LoadError::Engine(_)), "{why}");
    }
}
