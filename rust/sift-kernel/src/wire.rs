//! Unambiguous bytes to sign: a domain, then fields that each carry their length.
//!
//! Two different lists of fields never give the same bytes, and bytes made for one purpose are never valid
//! for another, because the domain comes first and is a field like the others. Joining with a separator
//! (`a|b` + `c` = `a` + `b|c`) is the mistake this avoids.

/// A growing preimage.
#[derive(Debug)]
pub(crate) struct Preimage {
    bytes: Vec<u8>,
}

impl Preimage {
    /// Begins with the purpose of the bytes, which names its version: `sift-request-v1`.
    pub(crate) fn new(domain: &str) -> Self {
        Self { bytes: Vec::with_capacity(384) }.bytes(domain.as_bytes())
    }

    /// A field of bytes, behind its length as 8 bytes, big-endian.
    pub(crate) fn bytes(mut self, field: &[u8]) -> Self {
        self.bytes.extend_from_slice(&(field.len() as u64).to_be_bytes());
        self.bytes.extend_from_slice(field);
        self
    }

    /// A field of text.
    pub(crate) fn text(self, field: &str) -> Self {
        self.bytes(field.as_bytes())
    }

    /// A field that may be missing: missing and empty differ.
    pub(crate) fn optional(self, field: Option<&str>) -> Self {
        match field {
            None => self.bytes(&[0]),
            Some(text) => self.bytes(&[1]).text(text),
        }
    }

    /// A number.
    pub(crate) fn number(self, field: i64) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    /// A list, behind the number of its entries.
    pub(crate) fn list<'a>(mut self, fields: impl ExactSizeIterator<Item = &'a str>) -> Self {
        self.bytes.extend_from_slice(&(fields.len() as u64).to_be_bytes());
        for field in fields {
            self = self.text(field);
        }
        self
    }

    /// What is signed.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Bytes of the system's randomness.
///
/// Errors: the system has none to give; nothing can be made unique then.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_cannot_be_shifted() {
        let one = Preimage::new("d").text("ab").text("c").finish();
        let other = Preimage::new("d").text("a").text("bc").finish();
        assert_ne!(one, other);
        assert_ne!(
            Preimage::new("d").list(["a", "b"].into_iter()).finish(),
            Preimage::new("d").list(["a"].into_iter()).text("b").finish()
        );
    }

    #[test]
    fn missing_is_not_empty() {
        assert_ne!(
            Preimage::new("d").optional(None).finish(),
            Preimage::new("d").optional(Some("")).finish()
        );
    }

    #[test]
    fn domains_are_apart() {
        assert_ne!(Preimage::new("a").text("b").finish(), Preimage::new("ab").finish());
    }
}
