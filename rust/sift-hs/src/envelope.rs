//! The wrapping of a serialized database on disk or inside a binary.
//!
//! The engine checks a version number, a platform word and a CRC-32 of its own; that tells neither
//! which build made the file nor protects the header. The envelope adds both, and every refusal says
//! why. All numbers are little-endian:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 8 | `SIFTHSDB` |
//! | 8 | 4 | format, 1 |
//! | 12 | 4 | tuning family the database was compiled for |
//! | 16 | 8 | CPU features it needs |
//! | 24 | 8 | length of the payload |
//! | 32 | 64 | engine version string, padded with NUL |
//! | 96 | 32 | SHA-256 of bytes 0 to 96 and the payload |
//! | 128 | | payload, as `hs_serialize_database` made it |
//!
//! The digest finds damage, not forgery: a database is a program for the engine's C code, so bytes
//! that somebody else could have written must not be loaded, whatever they hash to.

use sha2::{Digest, Sha256};

use crate::error::LoadError;
use crate::pattern::CpuFeatures;

const MAGIC: &[u8; 8] = b"SIFTHSDB";
const FORMAT: u32 = 1;
const ENGINE: std::ops::Range<usize> = 32..96;
const DIGEST: std::ops::Range<usize> = 96..128;
/// A multiple of 8: the payload of an aligned buffer is aligned.
const HEADER: usize = 128;

/// What the header says beside lengths and digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) engine: String,
    pub(crate) tune: u32,
    pub(crate) cpu_features: CpuFeatures,
}

/// Wraps a payload. An engine version longer than its field is cut, here and in [`open`] alike.
pub(crate) fn seal(origin: &Origin, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&origin.tune.to_le_bytes());
    bytes.extend_from_slice(&origin.cpu_features.bits().to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&engine_field(&origin.engine));
    let digest = digest(&bytes, payload);
    bytes.extend_from_slice(&digest);
    bytes.extend_from_slice(payload);
    bytes
}

/// Unwraps an envelope that was made by `engine` for a processor that `host` can stand in for.
pub(crate) fn open<'b>(
    bytes: &'b [u8],
    engine: &str,
    host: CpuFeatures,
) -> Result<(Origin, &'b [u8]), LoadError> {
    let found = bytes.len() as u64;
    if bytes.len() < HEADER {
        // A file cut inside its header is still told from a foreign one.
        let begins = bytes.len().min(MAGIC.len());
        if bytes.is_empty() || bytes[..begins] != MAGIC[..begins] {
            return Err(LoadError::Foreign);
        }
        return Err(LoadError::Length { found, expected: HEADER as u64 });
    }
    let (header, payload) = bytes.split_at(HEADER);
    if header[..8] != *MAGIC {
        return Err(LoadError::Foreign);
    }
    let format = u32_at(header, 8);
    if format != FORMAT {
        return Err(LoadError::Format { found: format, expected: FORMAT });
    }
    let expected = (HEADER as u64).saturating_add(u64_at(header, 24));
    if found != expected {
        return Err(LoadError::Length { found, expected });
    }
    if header[DIGEST] != digest(&header[..DIGEST.start], payload) {
        return Err(LoadError::Damaged);
    }
    if header[ENGINE] != engine_field(engine) {
        let field = &header[ENGINE];
        let text = &field[..field.iter().position(|&b| b == 0).unwrap_or(field.len())];
        return Err(LoadError::EngineVersion {
            found: String::from_utf8_lossy(text).into_owned(),
            expected: engine.to_owned(),
        });
    }
    let cpu_features = CpuFeatures::from_bits(u64_at(header, 16));
    let missing = cpu_features.missing_on(host);
    if !missing.is_empty() {
        return Err(LoadError::Processor { missing });
    }
    let origin = Origin { engine: engine.to_owned(), tune: u32_at(header, 12), cpu_features };
    Ok((origin, payload))
}

fn engine_field(engine: &str) -> [u8; 64] {
    let mut field = [0; 64];
    let length = engine.len().min(field.len());
    field[..length].copy_from_slice(&engine.as_bytes()[..length]);
    field
}

fn digest(header: &[u8], payload: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize().into()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut buffer = [0; 4];
    buffer.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(buffer)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut buffer = [0; 8];
    buffer.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: CpuFeatures = CpuFeatures::from_bits(0b1100);

    fn origin(engine: &str, features: u64) -> Origin {
        let cpu_features = CpuFeatures::from_bits(features);
        Origin { engine: engine.to_owned(), tune: 3, cpu_features }
    }

    #[test]
    fn round_trip() {
        let made = origin("5.4.0 2021-01-26", 0b100);
        for length in [0, 1, 7, 300] {
            let payload: Vec<u8> = (0..length).map(|i: u32| i as u8).collect();
            let bytes = seal(&made, &payload);
            assert_eq!(open(&bytes, &made.engine, HOST), Ok((made.clone(), &payload[..])));
        }
        let long = "x".repeat(200);
        let bytes = seal(&origin(&long, 0), b"payload");
        assert!(open(&bytes, &long, HOST).is_ok());
    }

    #[test]
    fn every_cut_and_every_extension_is_refused() {
        let bytes = seal(&origin("5.4.0", 0), b"a payload of some bytes");
        for cut in 0..bytes.len() {
            let why = open(&bytes[..cut], "5.4.0", HOST);
            let foreign = matches!(why, Err(LoadError::Foreign));
            assert!(foreign || matches!(why, Err(LoadError::Length { .. })), "cut at {cut}");
            assert_eq!(foreign, cut == 0);
        }
        let longer = [&bytes[..], b"x"].concat();
        assert!(matches!(open(&longer, "5.4.0", HOST), Err(LoadError::Length { .. })));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let bytes = seal(&origin("5.4.0", 0b100), b"a payload of some bytes");
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&damaged, "5.4.0", HOST).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn foreign_envelopes_say_why() {
        let bytes = seal(&origin("5.4.2 other", 0), b"payload");
        let why = open(&bytes, "5.4.0", HOST).unwrap_err();
        assert_eq!(
            why,
            LoadError::EngineVersion { found: "5.4.2 other".into(), expected: "5.4.0".into() }
        );
        let bytes = seal(&origin("5.4.0", 0b10100), b"payload");
        let why = open(&bytes, "5.4.0", HOST).unwrap_err();
        assert_eq!(why, LoadError::Processor { missing: CpuFeatures::from_bits(0b10000) });
        let mut bytes = seal(&origin("5.4.0", 0), b"payload");
        bytes[8] = 2;
        let why = open(&bytes, "5.4.0", HOST).unwrap_err();
        assert_eq!(why, LoadError::Format { found: 2, expected: FORMAT });
        assert_eq!(open(b"{\"json\": true}", "5.4.0", HOST), Err(LoadError::Foreign));
    }

    #[test]
    fn a_hostile_length_does_not_overflow() {
        let mut bytes = seal(&origin("5.4.0", 0), b"payload");
        bytes[24..32].fill(0xff);
        assert!(matches!(open(&bytes, "5.4.0", HOST), Err(LoadError::Length { .. })));
    }
}
