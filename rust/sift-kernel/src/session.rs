//! Session grants: what the holder of a key allows one session to do, which is never more than the key may.
//!
//! A grant is checked by Ed25519 once, when the session is opened; each request of the session carries a MAC
//! under a key that the opening made (0.3 us instead of 35). An *elevation*, signed by a person, adds tools to a
//! session for a while; nothing else widens one, and it too stays within what the key may.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use sift_ledger::hex;
use sift_ledger::keys::PrivateKey;
use zeroize::Zeroizing;

use crate::error::{KernelError, Result};
use crate::request::{is_name, preimage, ActionRequest, Credential, Proof, Stamp};
use crate::wire::{random, Preimage};

/// Most roles or tools that one grant or elevation may name.
const MOST: usize = 1_024;

/// Most bytes of all names of a grant: sessions are kept in memory, many of them.
const MOST_BYTES: usize = 8 << 10;

/// What a session may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionGrant {
    /// Unique name of the session; made when it is signed, if empty.
    pub session: String,
    /// For whom.
    pub tenant: String,
    /// Which agent.
    pub agent: String,
    /// Roles it may act in.
    pub roles: BTreeSet<String>,
    /// Tools it may call; all that the policy allows, when absent.
    pub tools: Option<BTreeSet<String>>,
    /// The conversation it is for; any, when absent.
    pub conversation: Option<String>,
    /// First moment, milliseconds since 1970.
    pub not_before_ms: i64,
    /// Last moment, milliseconds since 1970.
    pub expires_at_ms: i64,
}

/// A grant with the signature of the key that makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedGrant {
    /// What is granted.
    pub grant: SessionGrant,
    /// The kernel it is for.
    pub audience: String,
    /// Id of the agent's key.
    pub key_id: String,
    /// 64 bytes of Ed25519.
    pub signature: [u8; 64],
}

impl SessionGrant {
    pub(crate) fn check(&self) -> Result<()> {
        let names = [&self.session, &self.tenant, &self.agent];
        let tools = self.tools.iter().flatten();
        let fits = names
            .into_iter()
            .chain(&self.roles)
            .chain(&self.conversation)
            .all(|name| is_name(name))
            && tools.into_iter().all(|tool| !tool.is_empty() && tool.len() <= 256)
            && !self.roles.is_empty()
            && self.roles.len() <= MOST
            && self.tools.as_ref().is_none_or(|tools| tools.len() <= MOST)
            && self.roles.iter().chain(self.tools.iter().flatten()).map(String::len).sum::<usize>()
                <= MOST_BYTES;
        if !fits {
            return Err(KernelError::Invalid(format!(
                "the grant has a name that is none, no role, more than {MOST} roles or tools, or more than \
                 {MOST_BYTES} bytes of them"
            )));
        }
        if self.not_before_ms >= self.expires_at_ms {
            return Err(KernelError::Invalid("the grant ends before it begins".to_owned()));
        }
        Ok(())
    }

    fn preimage(&self, audience: &str, key_id: &str) -> Vec<u8> {
        let preimage = Preimage::new("sift-grant-v1")
            .text(audience)
            .text(key_id)
            .text(&self.session)
            .text(&self.tenant)
            .text(&self.agent)
            .list(self.roles.iter().map(String::as_str))
            .optional(self.conversation.as_deref())
            .number(self.not_before_ms)
            .number(self.expires_at_ms);
        match &self.tools {
            None => preimage.bytes(&[0]),
            Some(tools) => preimage.bytes(&[1]).list(tools.iter().map(String::as_str)),
        }
        .finish()
    }

    /// Signs it; a session without a name gets one.
    ///
    /// Errors: a name that is none, no roles, an end before the beginning.
    pub fn sign(mut self, audience: &str, key_id: &str, key: &PrivateKey) -> Result<SignedGrant> {
        if self.session.is_empty() {
            self.session = hex(&random::<16>()?);
        }
        self.check()?;
        let signature = key.sign(&self.preimage(audience, key_id));
        Ok(SignedGrant {
            grant: self,
            audience: audience.to_owned(),
            key_id: key_id.to_owned(),
            signature,
        })
    }

    /// Whether a request stays within the grant; else which part of it does not.
    ///
    /// Args: the request; tools that an elevation adds; the time, milliseconds since 1970.
    pub(crate) fn allows(
        &self,
        request: &ActionRequest,
        elevated: Option<&Elevation>,
        now_ms: i64,
    ) -> std::result::Result<(), &'static str> {
        if request.tenant != self.tenant || request.agent != self.agent {
            return Err("session_of_another_agent");
        }
        if now_ms < self.not_before_ms || now_ms >= self.expires_at_ms {
            return Err("session_expired");
        }
        if !self.roles.contains(&request.role) {
            return Err("session_role");
        }
        if self.conversation.is_some() && self.conversation != request.conversation {
            return Err("session_conversation");
        }
        let granted = self.tools.as_ref().is_none_or(|tools| tools.contains(&request.tool));
        let elevated = elevated.is_some_and(|elevation| elevation.tools.contains(&request.tool));
        if !granted && !elevated {
            return Err("session_tool");
        }
        Ok(())
    }
}

impl SignedGrant {
    /// What the signature is over.
    pub(crate) fn preimage(&self) -> Vec<u8> {
        self.grant.preimage(&self.audience, &self.key_id)
    }
}

/// More tools for one session, for a while, because a person said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elevation {
    /// Unique name; made when it is signed, if empty.
    pub id: String,
    /// For which session.
    pub session: String,
    /// Of which tenant.
    pub tenant: String,
    /// Tools that are added.
    pub tools: BTreeSet<String>,
    /// First moment, milliseconds since 1970.
    pub not_before_ms: i64,
    /// Last moment, milliseconds since 1970.
    pub expires_at_ms: i64,
}

/// An elevation with the signature of the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedElevation {
    /// What is added.
    pub elevation: Elevation,
    /// The kernel it is for.
    pub audience: String,
    /// Id of the approver's key.
    pub key_id: String,
    /// 64 bytes of Ed25519.
    pub signature: [u8; 64],
}

impl Elevation {
    fn preimage(&self, audience: &str, key_id: &str) -> Vec<u8> {
        Preimage::new("sift-elevation-v1")
            .text(audience)
            .text(key_id)
            .text(&self.id)
            .text(&self.session)
            .text(&self.tenant)
            .list(self.tools.iter().map(String::as_str))
            .number(self.not_before_ms)
            .number(self.expires_at_ms)
            .finish()
    }

    /// Signs it; one without a name gets one.
    ///
    /// Errors: no tool, a name that is none, an end before the beginning.
    pub fn sign(
        mut self,
        audience: &str,
        key_id: &str,
        key: &PrivateKey,
    ) -> Result<SignedElevation> {
        if self.id.is_empty() {
            self.id = hex(&random::<16>()?);
        }
        self.check()?;
        let signature = key.sign(&self.preimage(audience, key_id));
        Ok(SignedElevation {
            elevation: self,
            audience: audience.to_owned(),
            key_id: key_id.to_owned(),
            signature,
        })
    }

    pub(crate) fn check(&self) -> Result<()> {
        let fits = [&self.id, &self.session, &self.tenant].into_iter().all(|name| is_name(name))
            && !self.tools.is_empty()
            && self.tools.len() <= MOST
            && self.tools.iter().all(|tool| !tool.is_empty() && tool.len() <= 256)
            && self.not_before_ms < self.expires_at_ms;
        if fits {
            return Ok(());
        }
        Err(KernelError::Invalid(
            "the elevation names no tool or too many, has a name that is none, or ends before it begins"
                .to_owned(),
        ))
    }
}

impl SignedElevation {
    /// What the signature is over.
    pub(crate) fn preimage(&self) -> Vec<u8> {
        self.elevation.preimage(&self.audience, &self.key_id)
    }
}

type Hmac256 = Hmac<Sha256>;

/// An open session: what its holder makes credentials with.
#[derive(Clone)]
pub struct Session {
    id: String,
    audience: String,
    key: Arc<Zeroizing<[u8; 32]>>,
    /// The state after the key, so that a MAC costs two blocks less.
    ready: Hmac256,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Session {
    /// Errors: no randomness.
    pub(crate) fn open(id: &str, audience: &str) -> Result<Self> {
        Self::with_key(id, audience, &Zeroizing::new(random::<32>()?))
    }

    /// A session whose key came from the kernel that opened it, in another process.
    ///
    /// Errors: none that can be caused.
    pub fn with_key(id: &str, audience: &str, key: &[u8; 32]) -> Result<Self> {
        let ready = <Hmac256 as Mac>::new_from_slice(key)
            .map_err(|_| KernelError::Invalid("a key of 32 bytes is wanted".to_owned()))?;
        Ok(Self {
            id: id.to_owned(),
            audience: audience.to_owned(),
            key: Arc::new(Zeroizing::new(*key)),
            ready,
        })
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The kernel it is for.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The key, for the way to the process of its holder.
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// A credential for a request.
    ///
    /// Args: the request, which must name this session; the time, milliseconds since 1970; how long it holds.
    ///
    /// Errors: another session, arguments that have no canonical form, no randomness.
    pub fn mac(
        &self,
        request: &ActionRequest,
        now_ms: i64,
        lifetime_ms: i64,
    ) -> Result<Credential> {
        if request.session.as_deref() != Some(&self.id) {
            return Err(KernelError::Invalid(
                "`session` of the request names another session".to_owned(),
            ));
        }
        let stamp = Stamp::new(&self.audience, now_ms, lifetime_ms)?;
        let bytes = preimage(request, &request.digest()?, &stamp, ("session", &self.id));
        let mut mac = self.ready.clone();
        mac.update(&bytes);
        let tag = mac.finalize().into_bytes().into();
        Ok(Credential { stamp, proof: Proof::Mac { session: self.id.clone(), tag } })
    }

    /// Whether a tag is right, in constant time.
    pub(crate) fn verify(&self, bytes: &[u8], tag: &[u8; 32]) -> bool {
        let mut mac = self.ready.clone();
        mac.update(bytes);
        mac.verify_slice(tag).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sift_policy::json::{Object, Value};

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn request(role: &str, tool: &str, conversation: Option<&str>) -> ActionRequest {
        ActionRequest {
            tenant: "acme".to_owned(),
            agent: "bot".to_owned(),
            role: role.to_owned(),
            tool: tool.to_owned(),
            args: Value::Object(Object::default()),
            session: Some("s1".to_owned()),
            conversation: conversation.map(str::to_owned),
            model: None,
            model_version: None,
            trace_id: None,
            estimate: Vec::new(),
        }
    }

    #[test]
    fn the_names_of_a_grant_are_bounded_together() {
        let key = PrivateKey::from_seed(&[1; 32]);
        let with = |tools: usize| SessionGrant {
            session: "s1".to_owned(),
            tenant: "acme".to_owned(),
            agent: "bot".to_owned(),
            roles: set(&["a"]),
            tools: Some((0..tools).map(|number| format!("{number:0>256}")).collect()),
            conversation: None,
            not_before_ms: 1,
            expires_at_ms: 2,
        };
        assert!(with(MOST_BYTES / 256 - 1).sign("k", "bot-1", &key).is_ok());
        assert!(with(MOST_BYTES / 256).sign("k", "bot-1", &key).is_err());
    }

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];

    fn some_of(bits: u64) -> BTreeSet<String> {
        NAMES
            .iter()
            .enumerate()
            .filter(|(place, _)| bits >> place & 1 == 1)
            .map(|(_, name)| (*name).to_owned())
            .collect()
    }

    /// Grants from bits, wider to narrower: every field of the second is within the first.
    fn narrowed(state: &mut u64) -> (SessionGrant, SessionGrant) {
        let mut next = || {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            *state
        };
        let roles = next();
        let tools = next();
        let wide = SessionGrant {
            session: "s1".to_owned(),
            tenant: "acme".to_owned(),
            agent: "bot".to_owned(),
            roles: some_of(roles),
            tools: (next() % 3 > 0).then(|| some_of(tools)),
            conversation: (next() % 3 == 0).then(|| "c1".to_owned()),
            not_before_ms: (next() % 50) as i64,
            expires_at_ms: 50 + (next() % 50) as i64,
        };
        let narrow = SessionGrant {
            roles: some_of(roles & next()),
            tools: match &wide.tools {
                None if next() % 2 == 0 => None,
                None => Some(some_of(next())),
                Some(_) => Some(some_of(tools & next())),
            },
            conversation: wide
                .conversation
                .clone()
                .or_else(|| (next() % 2 == 0).then(|| "c1".to_owned())),
            not_before_ms: wide.not_before_ms + (next() % 10) as i64,
            expires_at_ms: wide.expires_at_ms - (next() % 10) as i64,
            ..wide.clone()
        };
        (wide, narrow)
    }

    #[test]
    fn narrowing_never_widens() {
        let mut state = 0x5EED;
        let mut allowed = 0;
        for _ in 0..2_000 {
            let (wide, narrow) = narrowed(&mut state);
            for role in NAMES {
                for tool in NAMES {
                    for conversation in [None, Some("c1"), Some("c2")] {
                        for now in [0, 25, 49, 50, 75, 99] {
                            let request = request(role, tool, conversation);
                            if narrow.allows(&request, None, now).is_ok() {
                                allowed += 1;
                                assert_eq!(
                                    wide.allows(&request, None, now),
                                    Ok(()),
                                    "{wide:?} {narrow:?}"
                                );
                            }
                        }
                    }
                }
            }
        }
        assert!(allowed > 1_000, "{allowed}");
    }

    #[test]
    fn what_one_grant_names_is_bounded() {
        let many =
            |count: usize| -> BTreeSet<String> { (0..count).map(|n| format!("n{n}")).collect() };
        for (roles, tools, fits) in
            [(MOST, MOST, true), (MOST + 1, 1, false), (1, MOST + 1, false), (0, 1, false)]
        {
            let grant = SessionGrant {
                session: "s1".to_owned(),
                tenant: "acme".to_owned(),
                agent: "bot".to_owned(),
                roles: many(roles),
                tools: Some(many(tools)),
                conversation: None,
                not_before_ms: 0,
                expires_at_ms: 1,
            };
            assert_eq!(grant.check().is_ok(), fits, "{roles} {tools}");
        }
    }

    #[test]
    fn an_elevation_adds_its_tools_and_nothing_else() {
        let grant = SessionGrant {
            session: "s1".to_owned(),
            tenant: "acme".to_owned(),
            agent: "bot".to_owned(),
            roles: set(&["a"]),
            tools: Some(set(&["a"])),
            conversation: None,
            not_before_ms: 0,
            expires_at_ms: 100,
        };
        let elevation = Elevation {
            id: "e1".to_owned(),
            session: "s1".to_owned(),
            tenant: "acme".to_owned(),
            tools: set(&["b"]),
            not_before_ms: 0,
            expires_at_ms: 100,
        };
        let elevated = Some(&elevation);
        assert_eq!(grant.allows(&request("a", "b", None), None, 1), Err("session_tool"));
        assert_eq!(grant.allows(&request("a", "b", None), elevated, 1), Ok(()));
        assert_eq!(grant.allows(&request("a", "c", None), elevated, 1), Err("session_tool"));
        assert_eq!(grant.allows(&request("b", "b", None), elevated, 1), Err("session_role"));
        assert_eq!(grant.allows(&request("a", "b", None), elevated, 100), Err("session_expired"));
    }

    #[test]
    fn every_field_of_a_grant_is_signed() {
        let (grant, _) = narrowed(&mut 77);
        let base = grant.preimage("k", "key");
        let others = [
            SessionGrant { session: "x".to_owned(), ..grant.clone() },
            SessionGrant { tenant: "x".to_owned(), ..grant.clone() },
            SessionGrant { agent: "x".to_owned(), ..grant.clone() },
            SessionGrant { roles: set(&["x"]), ..grant.clone() },
            SessionGrant { tools: Some(set(&["x"])), ..grant.clone() },
            SessionGrant { conversation: Some("x".to_owned()), ..grant.clone() },
            SessionGrant { not_before_ms: -1, ..grant.clone() },
            SessionGrant { expires_at_ms: -1, ..grant.clone() },
        ];
        for other in others {
            assert_ne!(other.preimage("k", "key"), base, "{other:?}");
        }
        assert_ne!(grant.preimage("l", "key"), base);
        assert_ne!(grant.preimage("k", "other"), base);
    }

    #[test]
    fn a_mac_is_for_one_request_of_one_session() {
        let session = Session::open("s1", "k").unwrap();
        let request = request("a", "a", None);
        let credential = session.mac(&request, 1, 10).unwrap();
        let Proof::Mac { tag, .. } = &credential.proof else { panic!("no MAC") };
        let bytes =
            preimage(&request, &request.digest().unwrap(), &credential.stamp, ("session", "s1"));
        assert!(session.verify(&bytes, tag));
        assert!(!Session::open("s1", "k").unwrap().verify(&bytes, tag));
        let other = ActionRequest { tool: "b".to_owned(), ..request.clone() };
        let bytes =
            preimage(&other, &other.digest().unwrap(), &credential.stamp, ("session", "s1"));
        assert!(!session.verify(&bytes, tag));
        let elsewhere = ActionRequest { session: None, ..request };
        assert!(session.mac(&elsewhere, 1, 10).is_err());
    }
}
