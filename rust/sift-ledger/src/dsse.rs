//! DSSE v1, the envelope of a signed statement (<https://github.com/secure-systems-lab/dsse>).
//!
//! What is signed is `PAE(type, payload)`: lengths before contents, so that no bytes can be read two ways.

use std::cell::RefCell;
use std::io::Write;

use serde::Deserialize;

use crate::jcs::{write_text, Value};
use crate::keys::PrivateKey;
use crate::text;

/// Largest envelope, in bytes: an entry of the log (16 bits of length in an entry bundle).
pub const MAX_ENVELOPE: usize = 65_535;

/// Most signatures an envelope may have.
pub const MAX_SIGNATURES: usize = 16;

/// Why an envelope cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no DSSE envelope: {0}")]
pub struct EnvelopeError(pub(crate) &'static str);

/// One signature of an envelope, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// A hint which key it is of. Not signed.
    pub keyid: String,
    /// Its bytes.
    pub sig: Vec<u8>,
}

/// A payload with its type and signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// The bytes that are signed.
    pub payload: Vec<u8>,
    /// Signatures; none for a receipt that is signed through its checkpoint.
    pub signatures: Vec<Signature>,
}

/// The JSON of an envelope, with one signature or none: as [`Envelope::signed`] or [`Envelope::unsigned`] with
/// [`Envelope::to_json`], without copies in between.
pub fn seal(payload_type: &str, payload: &[u8], signer: Option<(&str, &PrivateKey)>) -> Vec<u8> {
    let signed = signer.map(|(keyid, key)| (keyid, signature(payload_type, payload, key)));
    let signature = signed.as_ref().map(|(keyid, sig)| (*keyid, sig.as_slice()));
    write(payload_type, payload, signature.into_iter())
}

/// What [`seal`] makes with a signer, from what it made of the same payload without: the payload is not encoded again.
///
/// Args: the envelope without a signature; type and payload of it; who signs; room to leave behind it, in bytes.
pub fn sign_sealed(
    sealed: &[u8],
    payload_type: &str,
    payload: &[u8],
    (keyid, key): (&str, &PrivateKey),
    room: usize,
) -> Vec<u8> {
    let signature = signature(payload_type, payload, key);
    let mut out = Vec::with_capacity(sealed.len() + keyid.len() + SIGNATURE + room);
    out.extend_from_slice(sealed.strip_suffix(END).unwrap_or(sealed));
    write_signature(keyid, &signature, &mut out);
    out.extend_from_slice(END);
    out
}

/// Room for a signature in an envelope, without the name of its key.
const SIGNATURE: usize = 128;

thread_local! {
    /// What is signed, in the same memory each time: it is not needed afterwards.
    static SIGNED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// More of it is given back.
const KEPT: usize = 16 << 10;

fn signature(payload_type: &str, payload: &[u8], key: &PrivateKey) -> [u8; 64] {
    SIGNED.with_borrow_mut(|bytes| {
        bytes.clear();
        write_pae(payload_type, payload, bytes);
        let signature = key.sign(bytes);
        bytes.shrink_to(KEPT);
        signature
    })
}

/// How long the JSON of an envelope with one signature will be.
pub fn sealed_length(payload_type: &str, payload: &[u8], keyid: &str) -> usize {
    let signature: &[u8] = &[0; 64];
    let without = write(payload_type, b"", std::iter::once((keyid, signature))).len();
    without + payload.len().div_ceil(3) * 4
}

/// With standard base64 and in a fixed order.
fn write<'a>(
    payload_type: &str,
    payload: &[u8],
    signatures: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len().div_ceil(3) * 4 + 2 * SIGNATURE);
    out.extend_from_slice(b"{\"payload\":\"");
    text::push_base64(payload, &mut out);
    out.extend_from_slice(b"\",\"payloadType\":");
    write_text(payload_type, &mut out);
    out.extend_from_slice(b",\"signatures\":[");
    for (place, (keyid, sig)) in signatures.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_signature(keyid, sig, &mut out);
    }
    out.extend_from_slice(END);
    out
}

/// What stands behind the signatures of an envelope.
const END: &[u8] = b"]}";

fn write_signature(keyid: &str, sig: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"keyid\":");
    write_text(keyid, out);
    out.extend_from_slice(b",\"sig\":\"");
    text::push_base64(sig, out);
    out.extend_from_slice(b"\"}");
}

/// DSSE's pre-authentication encoding: what is signed.
///
/// ```
/// let bytes = sift_ledger::dsse::pae("http://example.com/HelloWorld", b"hello world");
/// assert_eq!(bytes, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
/// ```
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_pae(payload_type, payload, &mut out);
    out
}

fn write_pae(payload_type: &str, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(payload.len() + payload_type.len() + 64);
    // Writing into memory cannot fail.
    let _ = write!(out, "DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    out.extend_from_slice(payload);
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, rename = "payloadType")]
    payload_type: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    payload: std::borrow::Cow<'a, str>,
    signatures: Vec<WireSignature>,
}

#[derive(Deserialize)]
struct WireSignature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

impl Envelope {
    /// An envelope without a signature.
    pub fn unsigned(payload_type: &str, payload: Vec<u8>) -> Envelope {
        Envelope { payload_type: payload_type.to_owned(), payload, signatures: Vec::new() }
    }

    /// An envelope with one signature.
    pub fn signed(payload_type: &str, payload: Vec<u8>, keyid: &str, key: &PrivateKey) -> Envelope {
        let sig = key.sign(&pae(payload_type, &payload)).to_vec();
        let signatures = vec![Signature { keyid: keyid.to_owned(), sig }];
        Envelope { payload_type: payload_type.to_owned(), payload, signatures }
    }

    /// The bytes that its signatures are over.
    pub fn pae(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }

    /// Its JSON, with standard base64 and in a fixed order.
    pub fn to_json(&self) -> Vec<u8> {
        let signatures = self.signatures.iter().map(|one| (one.keyid.as_str(), one.sig.as_slice()));
        write(&self.payload_type, &self.payload, signatures)
    }

    /// Reads JSON of at most [`MAX_ENVELOPE`] bytes. Unknown members are ignored, as DSSE asks; duplicates of
    /// known ones are refused. The payload is not looked at before a signature is verified.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn parse(json: &[u8]) -> Result<Envelope, EnvelopeError> {
        if json.len() > MAX_ENVELOPE {
            return Err(EnvelopeError("it is longer than 65535 bytes"));
        }
        let wire: Wire<'_> = serde_json::from_slice(json)
            .map_err(|_| EnvelopeError("it is no JSON with payload, payloadType and signatures"))?;
        if wire.signatures.len() > MAX_SIGNATURES {
            return Err(EnvelopeError("it has more than 16 signatures"));
        }
        let payload = text::from_any_base64(&wire.payload)
            .ok_or(EnvelopeError("its payload is no base64 with padding"))?;
        let signatures = wire
            .signatures
            .into_iter()
            .map(|wire| {
                let sig = text::from_any_base64(&wire.sig)
                    .ok_or(EnvelopeError("a signature is no base64 with padding"))?;
                Ok(Signature { keyid: wire.keyid, sig })
            })
            .collect::<Result<_, _>>()?;
        Ok(Envelope { payload_type: wire.payload_type.into_owned(), payload, signatures })
    }

    /// The payload as JSON; only after its signature or its inclusion was verified.
    ///
    /// # Errors
    /// [`EnvelopeError`] when it is no I-JSON.
    pub fn payload_json(&self) -> Result<Value, EnvelopeError> {
        Value::parse(&self.payload).map_err(|_| EnvelopeError("its payload is no I-JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_bytes() {
        // The example of the specification's section on PAE, and what its definition says of empty fields.
        assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
        assert_eq!(pae("a b", "\u{20ac} 1".as_bytes()), "DSSEv1 3 a b 5 \u{20ac} 1".as_bytes());
        assert_ne!(pae("a", b"b 1 c"), pae("a 5 b", b"c"));
    }

    #[test]
    fn an_envelope_comes_back() {
        let key = PrivateKey::from_seed(&[7; 32]);
        for envelope in [
            Envelope::signed("application/vnd.in-toto+json", b"{}".to_vec(), "k\"1\n", &key),
            Envelope::unsigned("t", Vec::new()),
        ] {
            assert_eq!(Envelope::parse(&envelope.to_json()), Ok(envelope));
        }
        let signed = Envelope::signed("t", vec![0, 1, 255], "k", &key);
        assert_eq!(seal("t", &[0, 1, 255], Some(("k", &key))), signed.to_json());
        for (kind, length, keyid) in [("t", 0, "k"), ("t\"", 1, "k\n"), ("t", 2, ""), ("t", 3, "k")]
        {
            let payload = vec![7; length];
            let sealed = seal(kind, &payload, Some((keyid, &key)));
            assert_eq!(sealed_length(kind, &payload, keyid), sealed.len());
        }
        let unsigned = Envelope::unsigned("t", vec![0, 1]);
        let sealed = seal("t", &[0, 1], None);
        assert_eq!(sealed, unsigned.to_json());
        let signer = ("k\"", &key);
        let signed = sign_sealed(&sealed, "t", &[0, 1], signer, 0);
        assert_eq!(signed, seal("t", &[0, 1], Some(signer)));
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        let good =
            r#"{"payload":"e30=","payloadType":"t","signatures":[{"keyid":"k","sig":"AA=="}]}"#;
        assert!(Envelope::parse(good.as_bytes()).is_ok());
        let no_keyid = good.replace(r#""keyid":"k","#, "");
        assert_eq!(Envelope::parse(no_keyid.as_bytes()).unwrap().signatures[0].keyid, "");
        assert!(Envelope::parse(good.replace(r#""keyid""#, r#""more":[{}],"keyid""#).as_bytes())
            .is_ok());
        for (from, to) in [
            (r#""payload":"e30=""#, r#""payload":"e30=","payload":"e30=""#),
            (r#""payloadType":"t""#, r#""payloadType":"t","payloadType":"u""#),
            (r#""sig":"AA==""#, r#""sig":"AA==","sig":"AA==""#),
            ("e30=", "e30"),
            ("e30=", "e31="),
            ("e30=", "e3 0="),
            ("AA==", "AB=="),
            (r#""signatures""#, r#""signature""#),
            ("]}", "]}x"),
            (r#""sig""#, r#""sg""#),
        ] {
            assert!(Envelope::parse(good.replace(from, to).as_bytes()).is_err(), "{to}");
        }
        let many = format!("[{}]", vec![r#"{"sig":"AA=="}"#; 17].join(","));
        assert!(Envelope::parse(good.replace(r#"[{"keyid":"k","sig":"AA=="}]"#, &many).as_bytes())
            .is_err());
        assert!(Envelope::parse(&vec![b' '; MAX_ENVELOPE + 1]).is_err());
    }
}
