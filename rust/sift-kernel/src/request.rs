//! An action request, its stamp, and the bytes that a credential proves.

use std::fmt;
use std::ops::Range;

use sift_ledger::hex;
use sift_ledger::jcs::write_text;
use sift_ledger::keys::PrivateKey;
use sift_policy::json::{JsonLimits, Value};
pub(crate) use sift_policy::names::{is_label, is_name};

use crate::approval::digest;
use crate::canonical;
use crate::error::{KernelError, Result};
use crate::nonce::NONCE_BYTES;
use crate::wire::{random, Preimage};

/// What an agent wants to do.
///
/// Nothing of it is believed before a credential proves who asks; what it says about risk is not asked at all.
#[derive(Clone, PartialEq)]
pub struct ActionRequest {
    /// For whom.
    pub tenant: String,
    /// Which agent.
    pub agent: String,
    /// In which of its roles.
    pub role: String,
    /// The tool that is to be called.
    pub tool: String,
    /// With which arguments.
    pub args: Value,
    /// In which session.
    pub session: Option<String>,
    /// In which conversation.
    pub conversation: Option<String>,
    /// Which model asked for it.
    pub model: Option<String>,
    /// Which version of it.
    pub model_version: Option<String>,
    /// What it belongs to: actions of one trace can be rolled back together.
    pub trace_id: Option<String>,
    /// What it is expected to cost, by unit.
    pub estimate: Vec<(String, i64)>,
}

impl fmt::Debug for ActionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments may hold anything.
        f.debug_struct("ActionRequest")
            .field("tenant", &self.tenant)
            .field("agent", &self.agent)
            .field("role", &self.role)
            .field("tool", &self.tool)
            .finish_non_exhaustive()
    }
}

/// What makes a request one of its kind: who it is for, when it was made, how long it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Unique name, 32 hexadecimal digits unless the caller has its own.
    pub request_id: String,
    /// Random; never used twice by an agent.
    pub nonce: [u8; NONCE_BYTES],
    /// Milliseconds since 1970.
    pub issued_at_ms: i64,
    /// Milliseconds since 1970.
    pub expires_at_ms: i64,
    /// The kernel it is for.
    pub audience: String,
}

impl Stamp {
    /// A new one.
    ///
    /// Errors: the system gives no randomness.
    pub fn new(audience: &str, now_ms: i64, lifetime_ms: i64) -> Result<Self> {
        let fresh = random::<32>()?;
        let (id, nonce) = fresh.split_at(NONCE_BYTES);
        Ok(Self {
            request_id: hex(id),
            nonce: nonce.try_into().unwrap_or_default(),
            issued_at_ms: now_ms,
            expires_at_ms: now_ms.saturating_add(lifetime_ms),
            audience: audience.to_owned(),
        })
    }
}

/// What proves who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// An Ed25519 signature of an agent's key.
    Signature {
        /// Id of the key in `keys.toml`.
        key_id: String,
        /// 64 bytes.
        signature: [u8; 64],
    },
    /// HMAC-SHA256 under the key of an open session.
    Mac {
        /// Id of the session.
        session: String,
        /// 32 bytes.
        tag: [u8; 32],
    },
    /// Nothing: the caller is trusted because it is in this process, if the configuration says so.
    Process,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature { key_id, .. } => write!(f, "Signature({key_id})"),
            Self::Mac { session, .. } => write!(f, "Mac({session})"),
            Self::Process => f.write_str("Process"),
        }
    }
}

/// A stamp and what proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// See there.
    pub stamp: Stamp,
    /// See there.
    pub proof: Proof,
}

impl ActionRequest {
    /// Checks names, limits and numbers.
    ///
    /// Errors: which field is wrong, never what is in it.
    pub fn check(&self, limits: &JsonLimits) -> Result<()> {
        let wrong = |field: &str, what: &str| {
            Err(KernelError::Invalid(format!("`{field}` of the request {what}")))
        };
        let optional =
            |name: &Option<String>, fits: fn(&str) -> bool| name.as_deref().is_none_or(fits);
        for (field, fits) in [
            ("tenant", is_name(&self.tenant)),
            ("agent", is_name(&self.agent)),
            ("role", is_name(&self.role)),
            ("tool", is_label(&self.tool)),
            ("session", optional(&self.session, is_name)),
            ("conversation", optional(&self.conversation, is_name)),
            ("model", optional(&self.model, is_label)),
            ("model_version", optional(&self.model_version, is_label)),
            ("trace_id", optional(&self.trace_id, is_name)),
        ] {
            if !fits {
                return wrong(
                    field,
                    "is no name: 1 to 256 bytes, nothing invisible, and no `/` in most",
                );
            }
        }
        if self.args.as_object().is_none() {
            return wrong("args", "must be an object");
        }
        if self.args.check_limits(limits).is_err() {
            return wrong("args", "is beyond the limits for size, depth or numbers");
        }
        if self.estimate.len() > 16 {
            return wrong("estimate", "names more than 16 units");
        }
        for (place, (unit, amount)) in self.estimate.iter().enumerate() {
            let twice = self.estimate.iter().skip(place + 1).any(|(other, _)| other == unit);
            if !is_name(unit) || *amount < 0 || twice {
                return wrong("estimate", "must name each unit once, with an amount of at least 0");
            }
        }
        Ok(())
    }

    /// The canonical action (RFC 8785): all that matters about it, without nonce, times and trace. Two requests
    /// for the same action have the same bytes.
    ///
    /// Errors: arguments that have no canonical form.
    pub fn canonical(&self) -> Result<Vec<u8>> {
        Ok(self.canonical_parts()?.0)
    }

    /// As [`Self::canonical`], and where in it the arguments are.
    pub(crate) fn canonical_parts(&self) -> Result<(Vec<u8>, Range<usize>)> {
        let mut out = Vec::with_capacity(512);
        let text = |out: &mut Vec<u8>, name: &str, value: &str| {
            out.extend_from_slice(name.as_bytes());
            write_text(value, out);
        };
        // In the order of the names, and only those that are there.
        text(&mut out, "{\"agent\":", &self.agent);
        out.extend_from_slice(b",\"args\":");
        let from = out.len();
        canonical::write(&self.args, &mut out)?;
        let args = from..out.len();
        if let Some(conversation) = &self.conversation {
            text(&mut out, ",\"conversation\":", conversation);
        }
        if !self.estimate.is_empty() {
            let mut sorted: Vec<_> = self.estimate.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.extend_from_slice(b",\"estimate\":{");
            for (place, (unit, amount)) in sorted.into_iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_text(unit, &mut out);
                out.push(b':');
                canonical::integer(*amount, &mut out)?;
            }
            out.push(b'}');
        }
        if let Some(model) = &self.model {
            text(&mut out, ",\"model\":", model);
        }
        if let Some(version) = &self.model_version {
            text(&mut out, ",\"model_version\":", version);
        }
        text(&mut out, ",\"role\":", &self.role);
        if let Some(session) = &self.session {
            text(&mut out, ",\"session\":", session);
        }
        text(&mut out, ",\"tenant\":", &self.tenant);
        text(&mut out, ",\"tool\":", &self.tool);
        out.push(b'}');
        Ok((out, args))
    }

    /// What the action is known by: SHA-256 of the canonical bytes.
    ///
    /// Errors: as for [`Self::canonical`].
    pub fn digest(&self) -> Result<[u8; 32]> {
        Ok(digest(&self.canonical()?))
    }
}

/// The bytes that a credential proves.
///
/// Args: the request, the digest of its action, its stamp, who proves: `key:ID` or `session:ID`.
pub(crate) fn preimage(
    request: &ActionRequest,
    action: &[u8; 32],
    stamp: &Stamp,
    prover: (&str, &str),
) -> Vec<u8> {
    Preimage::new("sift-request-v1")
        .text(&stamp.audience)
        .text(prover.0)
        .text(prover.1)
        .text(&request.tenant)
        .text(&request.agent)
        .text(&stamp.request_id)
        .bytes(&stamp.nonce)
        .number(stamp.issued_at_ms)
        .number(stamp.expires_at_ms)
        .optional(request.trace_id.as_deref())
        .bytes(action)
        .finish()
}

/// Signs a request with an agent's key.
///
/// Args: the request; the id of the key in `keys.toml`; the key; the stamp that makes it unique.
///
/// Errors: arguments that have no canonical form.
pub fn sign(
    request: &ActionRequest,
    key_id: &str,
    key: &PrivateKey,
    stamp: Stamp,
) -> Result<Credential> {
    let bytes = preimage(request, &request.digest()?, &stamp, ("key", key_id));
    let signature = key.sign(&bytes);
    Ok(Credential { stamp, proof: Proof::Signature { key_id: key_id.to_owned(), signature } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sift_ledger::jcs;
    use sift_policy::json::parse;

    fn request() -> ActionRequest {
        ActionRequest {
            tenant: "acme".to_owned(),
            agent: "support-bot".to_owned(),
            role: "support".to_owned(),
            tool: "refund".to_owned(),
            args: parse(br#"{"order":"o-1","amount":5}"#, &JsonLimits::default()).unwrap(),
            session: None,
            conversation: None,
            model: None,
            model_version: None,
            trace_id: None,
            estimate: Vec::new(),
        }
    }

    /// Each field changed by itself.
    fn others() -> Vec<(&'static str, ActionRequest)> {
        let some = || Some("x".to_owned());
        let base = request();
        vec![
            ("tenant", ActionRequest { tenant: "x".to_owned(), ..base.clone() }),
            ("agent", ActionRequest { agent: "x".to_owned(), ..base.clone() }),
            ("role", ActionRequest { role: "x".to_owned(), ..base.clone() }),
            ("tool", ActionRequest { tool: "x".to_owned(), ..base.clone() }),
            (
                "args",
                ActionRequest {
                    args: parse(br#"{"order":"o-1","amount":6}"#, &JsonLimits::default()).unwrap(),
                    ..base.clone()
                },
            ),
            ("session", ActionRequest { session: some(), ..base.clone() }),
            ("conversation", ActionRequest { conversation: some(), ..base.clone() }),
            ("model", ActionRequest { model: some(), ..base.clone() }),
            ("model_version", ActionRequest { model_version: some(), ..base.clone() }),
            ("estimate", ActionRequest { estimate: vec![("usd".to_owned(), 1)], ..base }),
        ]
    }

    #[test]
    fn every_field_is_in_the_digest() {
        let base = request().digest().unwrap();
        let mut digests: Vec<_> = others().iter().map(|(_, one)| one.digest().unwrap()).collect();
        digests.push(base);
        let count = digests.len();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }

    #[test]
    fn the_action_is_canonical_json() {
        for (field, one) in others() {
            let (bytes, args) = one.canonical_parts().unwrap();
            let action = jcs::Value::parse(&bytes).unwrap();
            assert_eq!(bytes, jcs::to_vec(&action).unwrap(), "{field}");
            assert_eq!(bytes[args], jcs::to_vec(action.get("args").unwrap()).unwrap(), "{field}");
        }
    }

    #[test]
    fn every_field_of_the_stamp_is_signed() {
        let request = request();
        let action = request.digest().unwrap();
        let stamp = Stamp::new("kernel.acme", 1_000, 60_000).unwrap();
        let base = preimage(&request, &action, &stamp, ("key", "k1"));
        for other in [
            Stamp { request_id: "r".to_owned(), ..stamp.clone() },
            Stamp { nonce: [0; NONCE_BYTES], ..stamp.clone() },
            Stamp { issued_at_ms: 1_001, ..stamp.clone() },
            Stamp { expires_at_ms: 1_001, ..stamp.clone() },
            Stamp { audience: "kernel.other".to_owned(), ..stamp.clone() },
        ] {
            assert_ne!(preimage(&request, &action, &other, ("key", "k1")), base);
        }
        assert_ne!(preimage(&request, &action, &stamp, ("key", "k2")), base);
        assert_ne!(preimage(&request, &action, &stamp, ("session", "k1")), base);
        let traced = ActionRequest { trace_id: Some("t".to_owned()), ..request };
        assert_ne!(preimage(&traced, &action, &stamp, ("key", "k1")), base);
    }

    #[test]
    fn wrong_fields_are_named_and_not_shown() {
        let limits = JsonLimits::default();
        request().check(&limits).unwrap();
        let base = request();
        for (field, one) in [
            ("tenant", ActionRequest { tenant: String::new(), ..base.clone() }),
            ("agent", ActionRequest { agent: "s3cret/1".to_owned(), ..base.clone() }),
            ("role", ActionRequest { role: "s3cret\n".to_owned(), ..base.clone() }),
            ("tool", ActionRequest { tool: "s3cret".repeat(50), ..base.clone() }),
            ("session", ActionRequest { session: Some("s3cret/".to_owned()), ..base.clone() }),
            ("args", ActionRequest { args: Value::Str("s3cret".into()), ..base.clone() }),
            (
                "estimate",
                ActionRequest { estimate: vec![("s3cret".to_owned(), -1)], ..base.clone() },
            ),
            (
                "estimate",
                ActionRequest {
                    estimate: vec![("s3cret".to_owned(), 1), ("s3cret".to_owned(), 2)],
                    ..base.clone()
                },
            ),
        ] {
            let error = one.check(&limits).unwrap_err().to_string();
            assert!(error.contains(&format!("`{field}`")) && !error.contains("s3cret"), "{error}");
        }
        let tight = JsonLimits { bytes: 3, ..limits };
        assert!(base.check(&tight).is_err());
        assert!(!format!("{base:?}").contains("o-1"));
    }
}
