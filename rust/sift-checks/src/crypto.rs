//! Addresses of Bitcoin: Base58Check (BIP 13), Bech32 and Bech32m (BIP 173, BIP 350).

use sha2::{Digest, Sha256};

use crate::Outcome;

/// An address that its checksum proves: four bytes of SHA-256, or the six characters of Bech32.
pub(crate) fn bitcoin(value: &[u8]) -> Outcome {
    let valid = match value {
        [b'1' | b'3', ..] => base58check(value),
        _ => bech32(value),
    };
    match valid {
        true => Outcome::Proven,
        false => Outcome::Drop("checksum"),
    }
}

fn base58check(value: &[u8]) -> bool {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    // Version, hash of 20 bytes, checksum of 4.
    let mut bytes = [0_u8; 25];
    for &character in value {
        let Some(digit) = ALPHABET.iter().position(|known| *known == character) else {
            return false;
        };
        let mut carry = digit as u32;
        for byte in bytes.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry > 0 {
            return false;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let ones = value.iter().take_while(|character| **character == b'1').count();
    let (body, checksum) = bytes.split_at(21);
    let hash = Sha256::digest(Sha256::digest(body));
    zeros == ones && matches!(body[0], 0 | 5) && hash[..4] == *checksum
}

fn bech32(value: &[u8]) -> bool {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATORS: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let lower = !value.iter().any(u8::is_ascii_uppercase);
    let upper = !value.iter().any(u8::is_ascii_lowercase);
    let Some(data) = value.get(3..).filter(|data| data.len() >= 7) else { return false };
    if !(lower || upper) || !value[..3].eq_ignore_ascii_case(b"bc1") || value.len() > 90 {
        return false;
    }
    let mut sum = 1_u32;
    let mut add = |digit: u32| {
        let top = sum >> 25;
        sum = (sum & 0x01ff_ffff) << 5 ^ digit;
        for (bit, generator) in GENERATORS.iter().enumerate() {
            if top >> bit & 1 == 1 {
                sum ^= generator;
            }
        }
    };
    // The human-readable part `bc`: high bits, zero, low bits.
    [3, 3, 0, 2, 3].into_iter().for_each(&mut add);
    for character in data {
        let found = ALPHABET.iter().position(|known| *known == character.to_ascii_lowercase());
        let Some(digit) = found else { return false };
        add(digit as u32);
    }
    // Witness version 0 has the constant of BIP 173, the others that of BIP 350.
    sum == if data[0].eq_ignore_ascii_case(&b'q') { 1 } else { 0x2bc8_30a3 }
}

#[cfg(test)]
mod tests {
    use crate::Check::Bitcoin;
    use crate::{Outcome, Subject};

    /// The vectors of BIP 173 and BIP 350, and the address of the first block.
    #[test]
    fn addresses_of_the_proposals() {
        let run = |value: &str| {
            Bitcoin.run(&Subject { value: value.as_bytes(), before: b"", after: b"" })
        };
        for value in [
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        ] {
            assert_eq!(run(value), Outcome::Proven, "{value}");
        }
        for value in [
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfN",
            "1A1zP0eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3T4",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
            "bc1",
            "",
        ] {
            assert_eq!(run(value), Outcome::Drop("checksum"), "{value}");
        }
    }
}
