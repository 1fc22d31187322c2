//! JSON forms of what travels between processes and lies in files: requests with their credentials, grants,
//! elevations. Read strictly: an unknown or a missing member is an error, and nothing is believed before its
//! signature is checked.

use std::collections::BTreeSet;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use sift_policy::json::{parse, JsonLimits, Object, Value};

use crate::canonical;
use crate::error::{KernelError, Result};
use crate::request::{ActionRequest, Credential, Proof, Stamp};
use crate::session::{Elevation, SessionGrant, SignedElevation, SignedGrant};

fn wrong(what: &str, member: &str) -> KernelError {
    KernelError::Invalid(format!("the {what} has no valid `{member}`"))
}

/// The members of an object, each taken once.
struct Members {
    what: &'static str,
    left: Vec<(String, Value)>,
}

impl Members {
    fn new(what: &'static str, value: Value) -> Result<Self> {
        let Value::Object(object) = value else {
            return Err(KernelError::Invalid(format!("the {what} is no JSON object")));
        };
        let left = object.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
        Ok(Self { what, left })
    }

    fn read(what: &'static str, text: &[u8]) -> Result<Self> {
        let value = parse(text, &JsonLimits::default())
            .map_err(|error| KernelError::Invalid(format!("the {what} cannot be read: {error}")))?;
        Self::new(what, value)
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let place = self.left.iter().position(|(one, _)| one == name)?;
        Some(self.left.swap_remove(place).1).filter(|value| *value != Value::Null)
    }

    fn text(&mut self, name: &str) -> Result<String> {
        self.maybe(name)?.ok_or_else(|| wrong(self.what, name))
    }

    fn maybe(&mut self, name: &str) -> Result<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Str(text)) => Ok(Some(text.into())),
            Some(_) => Err(wrong(self.what, name)),
        }
    }

    fn number(&mut self, name: &str) -> Result<i64> {
        self.take(name).as_ref().and_then(Value::as_int).ok_or_else(|| wrong(self.what, name))
    }

    fn bytes<const N: usize>(&mut self, name: &str) -> Result<[u8; N]> {
        let text = self.text(name)?;
        STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| wrong(self.what, name))
    }

    fn names(&mut self, name: &str) -> Result<Option<BTreeSet<String>>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let Value::List(items) = value else { return Err(wrong(self.what, name)) };
        let names =
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>();
        names.map(Some).ok_or_else(|| wrong(self.what, name))
    }

    fn end(self) -> Result<()> {
        match self.left.first() {
            None => Ok(()),
            Some(_) => Err(KernelError::Invalid(format!(
                "the {} has a member that it should not have",
                self.what
            ))),
        }
    }
}

pub(crate) fn object(members: Vec<(&str, Option<Value>)>) -> Value {
    let members =
        members.into_iter().filter_map(|(name, value)| Some((Box::from(name), value?))).collect();
    // The names are ours and differ.
    Value::Object(Object::from_members(members).unwrap_or_default())
}

pub(crate) fn text(value: &str) -> Option<Value> {
    Some(Value::Str(value.into()))
}

pub(crate) fn number(value: i64) -> Option<Value> {
    Some(Value::Int(value))
}

pub(crate) fn list(items: impl Iterator<Item = Value>) -> Option<Value> {
    Some(Value::List(items.collect()))
}

fn maybe(value: &Option<String>) -> Option<Value> {
    value.as_deref().and_then(text)
}

fn bytes(value: &[u8]) -> Option<Value> {
    text(&STANDARD.encode(value))
}

fn names(value: &BTreeSet<String>) -> Option<Value> {
    Some(Value::List(value.iter().filter_map(|name| text(name)).collect()))
}

/// The bytes of a value.
///
/// Errors: a number that JSON does not hold exactly.
pub fn to_json(value: &Value) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(512);
    canonical::write(value, &mut out)?;
    Ok(out)
}

impl ActionRequest {
    /// Reads a request from the value of a JSON object with the names of its fields.
    ///
    /// Errors: `Invalid` for a member that is missing, wrong or not known.
    pub fn from_value(value: Value) -> Result<Self> {
        let mut members = Members::new("request", value)?;
        let estimate = match members.take("estimate") {
            None => Vec::new(),
            Some(Value::Object(units)) => units
                .iter()
                .map(|(unit, amount)| Some((unit.to_owned(), amount.as_int()?)))
                .collect::<Option<_>>()
                .ok_or_else(|| wrong("request", "estimate"))?,
            Some(_) => return Err(wrong("request", "estimate")),
        };
        let request = Self {
            tenant: members.text("tenant")?,
            agent: members.text("agent")?,
            role: members.text("role")?,
            tool: members.text("tool")?,
            args: members.take("args").ok_or_else(|| wrong("request", "args"))?,
            session: members.maybe("session")?,
            conversation: members.maybe("conversation")?,
            model: members.maybe("model")?,
            model_version: members.maybe("model_version")?,
            trace_id: members.maybe("trace_id")?,
            estimate,
        };
        members.end()?;
        Ok(request)
    }

    /// The other way round.
    pub fn to_value(&self) -> Value {
        let estimate = (!self.estimate.is_empty()).then(|| {
            let units = self
                .estimate
                .iter()
                .map(|(unit, amount)| (unit.as_str().into(), Value::Int(*amount)));
            Value::Object(Object::from_members(units.collect()).unwrap_or_default())
        });
        object(vec![
            ("tenant", text(&self.tenant)),
            ("agent", text(&self.agent)),
            ("role", text(&self.role)),
            ("tool", text(&self.tool)),
            ("args", Some(self.args.clone())),
            ("session", maybe(&self.session)),
            ("conversation", maybe(&self.conversation)),
            ("model", maybe(&self.model)),
            ("model_version", maybe(&self.model_version)),
            ("trace_id", maybe(&self.trace_id)),
            ("estimate", estimate),
        ])
    }
}

impl Credential {
    /// Reads a credential.
    ///
    /// Errors: `Invalid` for a member that is missing, wrong or not known.
    pub fn from_value(value: Value) -> Result<Self> {
        let mut members = Members::new("credential", value)?;
        let stamp = Stamp {
            request_id: members.text("request_id")?,
            nonce: members.bytes("nonce")?,
            issued_at_ms: members.number("issued_at_ms")?,
            expires_at_ms: members.number("expires_at_ms")?,
            audience: members.text("audience")?,
        };
        let proof = match members.text("kind")?.as_str() {
            "signature" => Proof::Signature {
                key_id: members.text("key_id")?,
                signature: members.bytes("signature")?,
            },
            "mac" => Proof::Mac { session: members.text("session")?, tag: members.bytes("tag")? },
            "process" => Proof::Process,
            _ => return Err(wrong("credential", "kind")),
        };
        members.end()?;
        Ok(Self { stamp, proof })
    }

    /// The other way round.
    pub fn to_value(&self) -> Value {
        let stamp = &self.stamp;
        let mut members = vec![
            ("request_id", text(&stamp.request_id)),
            ("nonce", bytes(&stamp.nonce)),
            ("issued_at_ms", Some(Value::Int(stamp.issued_at_ms))),
            ("expires_at_ms", Some(Value::Int(stamp.expires_at_ms))),
            ("audience", text(&stamp.audience)),
        ];
        match &self.proof {
            Proof::Signature { key_id, signature } => members.extend([
                ("kind", text("signature")),
                ("key_id", text(key_id)),
                ("signature", bytes(signature)),
            ]),
            Proof::Mac { session, tag } => {
                members.extend([
                    ("kind", text("mac")),
                    ("session", text(session)),
                    ("tag", bytes(tag)),
                ]);
            }
            Proof::Process => members.push(("kind", text("process"))),
        }
        object(members)
    }
}

impl SignedGrant {
    /// Reads a signed grant.
    ///
    /// Errors: `Invalid` for a member that is missing, wrong or not known.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let mut members = Members::read("grant", json)?;
        let grant = SessionGrant {
            session: members.text("session")?,
            tenant: members.text("tenant")?,
            agent: members.text("agent")?,
            roles: members.names("roles")?.ok_or_else(|| wrong("grant", "roles"))?,
            tools: members.names("tools")?,
            conversation: members.maybe("conversation")?,
            not_before_ms: members.number("not_before_ms")?,
            expires_at_ms: members.number("expires_at_ms")?,
        };
        let signed = Self {
            grant,
            audience: members.text("audience")?,
            key_id: members.text("key_id")?,
            signature: members.bytes("signature")?,
        };
        members.end()?;
        Ok(signed)
    }

    /// The other way round.
    ///
    /// Errors: times that JSON does not hold exactly.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let grant = &self.grant;
        to_json(&object(vec![
            ("session", text(&grant.session)),
            ("tenant", text(&grant.tenant)),
            ("agent", text(&grant.agent)),
            ("roles", names(&grant.roles)),
            ("tools", grant.tools.as_ref().and_then(names)),
            ("conversation", maybe(&grant.conversation)),
            ("not_before_ms", Some(Value::Int(grant.not_before_ms))),
            ("expires_at_ms", Some(Value::Int(grant.expires_at_ms))),
            ("audience", text(&self.audience)),
            ("key_id", text(&self.key_id)),
            ("signature", bytes(&self.signature)),
        ]))
    }
}

impl SignedElevation {
    /// Reads a signed elevation.
    ///
    /// Errors: `Invalid` for a member that is missing, wrong or not known.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let mut members = Members::read("elevation", json)?;
        let elevation = Elevation {
            id: members.text("id")?,
            session: members.text("session")?,
            tenant: members.text("tenant")?,
            tools: members.names("tools")?.ok_or_else(|| wrong("elevation", "tools"))?,
            not_before_ms: members.number("not_before_ms")?,
            expires_at_ms: members.number("expires_at_ms")?,
        };
        let signed = Self {
            elevation,
            audience: members.text("audience")?,
            key_id: members.text("key_id")?,
            signature: members.bytes("signature")?,
        };
        members.end()?;
        Ok(signed)
    }

    /// The other way round.
    ///
    /// Errors: times that JSON does not hold exactly.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let elevation = &self.elevation;
        to_json(&object(vec![
            ("id", text(&elevation.id)),
            ("session", text(&elevation.session)),
            ("tenant", text(&elevation.tenant)),
            ("tools", names(&elevation.tools)),
            ("not_before_ms", Some(Value::Int(elevation.not_before_ms))),
            ("expires_at_ms", Some(Value::Int(elevation.expires_at_ms))),
            ("audience", text(&self.audience)),
            ("key_id", text(&self.key_id)),
            ("signature", bytes(&self.signature)),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_credentials_come_back() {
        let text =
            br#"{"tenant":"t","agent":"a","role":"r","tool":"x","args":{"n":1},"session":"s",
            "trace_id":"q","estimate":{"usd_micros":5}}"#;
        let request =
            ActionRequest::from_value(parse(text, &JsonLimits::default()).unwrap()).unwrap();
        assert_eq!(ActionRequest::from_value(request.to_value()).unwrap(), request);
        let stamp = Stamp::new("k", 5, 10).unwrap();
        for proof in [
            Proof::Signature { key_id: "k".to_owned(), signature: [1; 64] },
            Proof::Mac { session: "s".to_owned(), tag: [2; 32] },
            Proof::Process,
        ] {
            let credential = Credential { stamp: stamp.clone(), proof };
            assert_eq!(Credential::from_value(credential.to_value()).unwrap(), credential);
        }
    }

    #[test]
    fn members_that_are_missing_wrong_or_too_many_are_refused() {
        let base = r#"{"tenant":"t","agent":"a","role":"r","tool":"x","args":{}"#;
        for more in [
            r#","risk":"low"}"#,
            r#","session":5}"#,
            r#","estimate":[1]}"#,
            r#","estimate":{"u":1.5}}"#,
        ] {
            let value = parse(format!("{base}{more}").as_bytes(), &JsonLimits::default()).unwrap();
            assert!(ActionRequest::from_value(value).is_err(), "{more}");
        }
        let value = parse(br#"{"tenant":"t"}"#, &JsonLimits::default()).unwrap();
        assert!(ActionRequest::from_value(value).is_err());
        assert!(SignedGrant::from_json(b"{}").is_err());
        assert!(SignedElevation::from_json(b"[]").is_err());
    }
}
