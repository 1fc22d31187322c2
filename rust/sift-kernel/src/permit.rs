//! Permits: the signed proof of an `allow` that a tool checks for itself, in another process or service.
//!
//! A permit is the receipt of an `allow` as the kernel signed it, with the secret that the receipt's digest is made
//! with (`opening`) and that the ledger does not have: one signature for both. It is bound to the action, so to tool,
//! arguments, tenant and agent, and expires. Checking it says that a kernel allowed exactly this call; that it is the
//! first call with it, a [`Register`] says.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;

use sift_ledger::dsse::Envelope;
use sift_ledger::jcs::Value;
use sift_ledger::keys::{Keyring, Purpose};
use sift_ledger::receipt::{blind_action, Statement};
use sift_ledger::{from_hex_32, hex};

use crate::config::check_place;
use crate::error::{file, KernelError, Result};
use crate::opening::opening_of;
use crate::request::ActionRequest;
use crate::sync::lock;

/// Longest time that a permit may be good for, milliseconds: a kernel gives none for longer.
const LONGEST_MS: i64 = 24 * 60 * 60 * 1_000;

/// What a permit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The kernel that gave it.
    pub audience: String,
    /// The request that was allowed.
    pub request_id: String,
    /// What the receipt says of the action, hexadecimal: [`blind_action`].
    pub action: String,
    /// The tool that may be called.
    pub tool: String,
    /// For whom.
    pub tenant: String,
    /// By which agent.
    pub agent: String,
    /// The lease that is settled afterwards.
    pub lease: String,
    /// Milliseconds since 1970.
    pub issued_at_ms: i64,
    /// Milliseconds since 1970.
    pub expires_at_ms: i64,
}

fn wrong(what: &str) -> KernelError {
    KernelError::Permit(format!("the permit {what}"))
}

/// By how many bytes a permit is longer than its receipt, at most.
pub(crate) const LONGER: usize = 80;

/// Makes a permit of a receipt: its envelope, with the receipt key's signature, and the secret of its opening.
///
/// Args: the envelope as JSON, as `sift_ledger` writes it, with [`LONGER`] bytes of room behind it at best.
pub(crate) fn of_receipt(mut envelope: Vec<u8>, secret: &[u8; 32]) -> Vec<u8> {
    if envelope.ends_with(b"}") {
        envelope.pop();
    }
    envelope.extend_from_slice(b",\"secret\":\"");
    envelope.extend_from_slice(hex(secret).as_bytes());
    envelope.extend_from_slice(b"\"}");
    envelope
}

impl Permit {
    /// Checks that an envelope is a permit for this action now. That it is used for the first time is for a
    /// [`Register`] to say.
    ///
    /// The key must be good now, not only when the permit says it was issued: whoever stole a key that is revoked,
    /// over or retired (`to_size`) can write any time into a permit.
    ///
    /// Args: the envelope as JSON; the action that is about to be done; keys; the time and how far clocks may
    /// be apart, milliseconds.
    ///
    /// Errors: `Permit` for anything that is not right, `Signature` for the signature.
    pub fn verify(
        permit: &[u8],
        request: &ActionRequest,
        keys: &Keyring,
        now_ms: i64,
        skew_ms: i64,
    ) -> Result<Self> {
        let envelope =
            Envelope::parse(permit).map_err(|error| wrong(&format!("is none: {error}")))?;
        let members = Value::parse(permit).map_err(|error| wrong(&format!("is none: {error}")))?;
        let secret = members.get("secret").and_then(Value::as_str).and_then(from_hex_32);
        let [signature] = envelope.signatures.as_slice() else {
            return Err(wrong("has not exactly one signature"));
        };
        let bad = |error: sift_ledger::keys::KeyError| KernelError::Signature(error.to_string());
        let key = keys.get(&signature.keyid, Purpose::Receipt).map_err(bad)?;
        key.verify(&envelope.pae(), &signature.sig).map_err(bad)?;
        let statement =
            Statement::read(&envelope).map_err(|error| wrong(&format!("is none: {error}")))?;
        let permit =
            Self::read(&statement).ok_or_else(|| wrong("is a receipt that allows nothing"))?;
        key.check_time(permit.issued_at_ms).map_err(bad)?;
        key.check_time(now_ms).map_err(bad)?;
        if key.to_size != u64::MAX {
            return Err(KernelError::Signature(format!(
                "key `{}` has a `to_size`: it was retired and permits nothing any more",
                key.id
            )));
        }
        if now_ms >= permit.expires_at_ms {
            return Err(wrong("has expired"));
        }
        if permit.expires_at_ms.saturating_sub(permit.issued_at_ms) > LONGEST_MS {
            return Err(wrong("is good for longer than a day"));
        }
        if permit.issued_at_ms > now_ms.saturating_add(skew_ms) {
            return Err(wrong("is from the future: the clocks differ"));
        }
        let secret =
            secret.ok_or_else(|| wrong("lacks the secret that a receipt does not have"))?;
        if statement.action_hash != blind_action(&opening_of(&secret), &request.digest()?) {
            return Err(wrong("is for another action"));
        }
        Ok(permit)
    }

    fn read(statement: &Statement) -> Option<Self> {
        let text = |name: &str| statement.text(name).map(str::to_owned);
        let said = (statement.text("event"), statement.text("decision"));
        if said != (Some("authorization"), Some("allow")) {
            return None;
        }
        Some(Self {
            audience: text("audience")?,
            request_id: statement.request_id.clone(),
            action: hex(&statement.action_hash),
            tool: text("tool")?,
            tenant: text("tenant")?,
            agent: text("agent")?,
            lease: text("lease")?,
            issued_at_ms: statement.decided_at,
            expires_at_ms: statement.predicate.get("expires_at")?.as_int()?,
        })
    }
}

/// Which permits were used. One for each tool that must not do the same thing twice.
pub struct Register {
    kept: Kept,
    most: usize,
    /// A forked child has a copy of what was used, and parent and child would both take the next permit; of a
    /// connection to `SQLite` it may not use a copy at all.
    process: u32,
}

enum Kept {
    /// Begun at this moment: what was issued before may have been used before.
    Memory {
        begun_ms: i64,
        used: Mutex<Used>,
    },
    File(Mutex<rusqlite::Connection>),
}

#[derive(Default)]
struct Used {
    /// The latest time a permit was used at.
    latest_ms: i64,
    /// When each expires.
    permits: HashMap<String, i64>,
}

/// How long used permits are kept after they expired, milliseconds: clocks of the processes that share a file may
/// differ by so much.
const KEPT_MS: i64 = 60_000;

impl Register {
    /// One in memory, for the life of the process. It refuses permits from before it began, since it does not
    /// know what was used then.
    ///
    /// Args: the time, milliseconds since 1970; most permits at once.
    pub fn in_memory(begun_ms: i64, most: usize) -> Self {
        let kept = Kept::Memory { begun_ms, used: Mutex::default() };
        Self { kept, most, process: std::process::id() }
    }

    /// One in a file, for tools that are started for one call, or restarted. Several processes may share it, each
    /// with a register that it opened itself.
    ///
    /// A register keeps the latest time that it was used at: what was forgotten then is not taken again when the
    /// clock is put back.
    ///
    /// Args: the file; most permits at once.
    ///
    /// Errors: `Config` for a file that everybody may write to, or that is another user's: they could use a permit
    /// again; `Unavailable` for one that cannot be opened.
    pub fn open(path: &Path, most: usize) -> Result<Self> {
        // Made here, since SQLite makes one for everybody where the process has no mask.
        let made =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o660).open(path);
        made.map_err(|error| file(path, "open", &error))?;
        check_place(path)?;
        let failed = |error: rusqlite::Error| {
            KernelError::Unavailable(format!(
                "cannot open the register `{}`: {error}",
                path.display()
            ))
        };
        let connection = rusqlite::Connection::open(path).map_err(failed)?;
        connection
            .execute_batch(
                "pragma busy_timeout = 5000; pragma journal_mode = wal; pragma synchronous = full;
                 create table if not exists permit (
                     id text primary key, expires_ms integer not null) strict, without rowid;
                 create table if not exists latest (
                     only_row integer primary key check (only_row = 1), now_ms integer not null) strict;",
            )
            .map_err(failed)?;
        let kept = Kept::File(Mutex::new(connection));
        Ok(Self { kept, most, process: std::process::id() })
    }

    /// Notes that a permit is used now.
    ///
    /// Errors: `Permit` when it was used before, or may have been; `Unavailable` when it cannot be noted.
    pub fn redeem(&self, permit: &Permit, now_ms: i64) -> Result<()> {
        if std::process::id() != self.process {
            return Err(KernelError::Unavailable(
                "the register of permits belongs to the process this one was forked from: make one after the fork"
                    .to_owned(),
            ));
        }
        let id = format!("{}/{}", permit.audience, permit.lease);
        match &self.kept {
            Kept::Memory { begun_ms, used } => {
                if permit.issued_at_ms < *begun_ms {
                    return Err(wrong(
                        "is older than this process's memory of permits: use a register in a file",
                    ));
                }
                let used = &mut *lock(used);
                used.latest_ms = used.latest_ms.max(now_ms);
                let forgotten_ms = used.latest_ms.saturating_sub(KEPT_MS);
                if permit.expires_at_ms <= forgotten_ms {
                    return Err(forgotten());
                }
                if used.permits.contains_key(&id) {
                    return Err(used_before());
                }
                if used.permits.len() >= self.most {
                    used.permits.retain(|_, expires_ms| *expires_ms > forgotten_ms);
                }
                if used.permits.len() >= self.most {
                    return Err(full());
                }
                used.permits.insert(id, permit.expires_at_ms);
                Ok(())
            }
            Kept::File(connection) => self.redeem_in(&mut lock(connection), &id, permit, now_ms),
        }
    }

    fn redeem_in(
        &self,
        connection: &mut rusqlite::Connection,
        id: &str,
        permit: &Permit,
        now_ms: i64,
    ) -> Result<()> {
        let failed = |error: rusqlite::Error| {
            KernelError::Unavailable(format!("the register of permits failed: {error}"))
        };
        // Begun as a writer: two processes must not both find a permit unused.
        let change = connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(failed)?;
        let latest_ms: i64 = change
            .query_row("select coalesce(max(now_ms), ?) from latest", [now_ms], |row| row.get(0))
            .map_err(failed)?;
        let latest_ms = latest_ms.max(now_ms);
        let forgotten_ms = latest_ms.saturating_sub(KEPT_MS);
        if permit.expires_at_ms <= forgotten_ms {
            return Err(forgotten());
        }
        change
            .execute("insert or replace into latest values (1, ?)", [latest_ms])
            .and_then(|_| {
                change.execute("delete from permit where expires_ms <= ?", [forgotten_ms])
            })
            .map_err(failed)?;
        let held: i64 = change
            .query_row("select count(*) from permit", [], |row| row.get(0))
            .map_err(failed)?;
        let added = change
            .execute("insert or ignore into permit values (?, ?)", (id, permit.expires_at_ms))
            .map_err(failed)?;
        if added == 0 {
            return Err(used_before());
        }
        if usize::try_from(held).is_ok_and(|held| held >= self.most) {
            return Err(full());
        }
        change.commit().map_err(failed)
    }
}

fn used_before() -> KernelError {
    wrong("was used before")
}

fn forgotten() -> KernelError {
    wrong("expired before the latest time its register was used at: the clock went back, so put it right")
}

fn full() -> KernelError {
    KernelError::Unavailable("the register of permits is full".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sift_ledger::keys::{PrivateKey, PublicKey};
    use sift_ledger::receipt::{self, Class, Fields};
    use sift_policy::json::{Object, Value as Json};

    fn request() -> ActionRequest {
        ActionRequest {
            tenant: "acme".to_owned(),
            agent: "bot".to_owned(),
            role: "support".to_owned(),
            tool: "refund".to_owned(),
            args: Json::Object(
                Object::from_members(vec![("amount".into(), Json::Int(5))]).unwrap(),
            ),
            session: None,
            conversation: None,
            model: None,
            model_version: None,
            trace_id: None,
            estimate: Vec::new(),
        }
    }

    fn permit() -> Permit {
        Permit {
            audience: "kernel.acme".to_owned(),
            request_id: "r1".to_owned(),
            action: hex(&blind_action(&opening_of(&SECRET), &request().digest().unwrap())),
            tool: "refund".to_owned(),
            tenant: "acme".to_owned(),
            agent: "bot".to_owned(),
            lease: "l1".to_owned(),
            issued_at_ms: 1_000,
            expires_at_ms: 61_000,
        }
    }

    const SECRET: [u8; 32] = [9; 32];

    impl Permit {
        /// Its receipt, with what a test changes of it.
        fn receipt(&self, key: &PrivateKey, change: fn(&mut Fields<'_>)) -> Vec<u8> {
            let mut fields = Fields {
                event: "authorization",
                decision: "allow",
                request_id: &self.request_id,
                action_hash: from_hex_32(&self.action).unwrap(),
                audience: Some(&self.audience),
                tool: &self.tool,
                tenant: &self.tenant,
                agent: &self.agent,
                lease: Some(&self.lease),
                decided_at: self.issued_at_ms,
                expires_at: Some(self.expires_at_ms),
                ..Fields::default()
            };
            change(&mut fields);
            receipt::seal(&fields, ("k1", key)).unwrap()
        }

        fn sign(&self, key: &PrivateKey) -> Vec<u8> {
            of_receipt(self.receipt(key, |_| {}), &SECRET)
        }
    }

    fn keys(purpose: Purpose) -> (PrivateKey, Keyring) {
        let key = PrivateKey::from_seed(&[7; 32]);
        let mut ring = Keyring::new();
        ring.add(PublicKey::new("k1", purpose, &key.public()).unwrap()).unwrap();
        (key, ring)
    }

    #[test]
    fn it_allows_this_call_now_and_no_other() {
        let (key, ring) = keys(Purpose::Receipt);
        let bytes = permit().sign(&key);
        let check =
            |request: &ActionRequest, now| Permit::verify(&bytes, request, &ring, now, 5_000);
        assert_eq!(check(&request(), 2_000).unwrap(), permit());
        assert!(check(&request(), 61_000).unwrap_err().to_string().contains("expired"));
        assert!(check(&request(), -4_001).unwrap_err().to_string().contains("future"));
        for other in [
            ActionRequest { tool: "payout".to_owned(), ..request() },
            ActionRequest { tenant: "other".to_owned(), ..request() },
            ActionRequest { args: Json::Object(Object::default()), ..request() },
        ] {
            assert!(check(&other, 2_000).unwrap_err().to_string().contains("another action"));
        }
    }

    #[test]
    fn a_key_that_is_not_good_now_permits_nothing_that_it_dates_back() {
        let (key, _) = keys(Purpose::Receipt);
        let bytes = permit().sign(&key);
        let check = |change: fn(&mut PublicKey)| {
            let mut public = PublicKey::new("k1", Purpose::Receipt, &key.public()).unwrap();
            change(&mut public);
            let mut ring = Keyring::new();
            ring.add(public).unwrap();
            Permit::verify(&bytes, &request(), &ring, 2_000, 5_000)
        };
        check(|_| {}).unwrap();
        // Good when the permit says it was issued (1,000), and not when it is used (2,000).
        check(|key| key.revoked = Some(2_001)).unwrap();
        for (change, what) in [
            ((|key| key.revoked = Some(1_500)) as fn(&mut PublicKey), "revoked"),
            (|key| key.not_after = Some(1_500), "valid"),
            (|key| key.to_size = 1_000, "retired"),
        ] {
            let error = check(change).unwrap_err();
            assert!(matches!(error, KernelError::Signature(_)), "{error}");
            assert!(error.to_string().contains(what), "{error}");
        }
    }

    #[test]
    fn it_is_good_for_a_day_at_most() {
        let (key, ring) = keys(Purpose::Receipt);
        let check = |expires_at_ms| {
            let bytes = Permit { expires_at_ms, ..permit() }.sign(&key);
            Permit::verify(&bytes, &request(), &ring, 2_000, 5_000)
        };
        check(1_000 + LONGEST_MS).unwrap();
        for expires_at_ms in [1_001 + LONGEST_MS, (1 << 53) - 1] {
            assert!(check(expires_at_ms).unwrap_err().to_string().contains("longer than a day"));
        }
    }

    #[test]
    fn no_byte_of_it_can_be_changed() {
        let (key, ring) = keys(Purpose::Receipt);
        let bytes = permit().sign(&key);
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            if let Ok(read) = Permit::verify(&changed, &request(), &ring, 2_000, 5_000) {
                panic!("byte {place} says nothing: {read:?}");
            }
        }
        let other = PrivateKey::from_seed(&[8; 32]);
        let forged = permit().sign(&other);
        assert!(matches!(
            Permit::verify(&forged, &request(), &ring, 2_000, 5_000),
            Err(KernelError::Signature(_))
        ));
        let (_, wrong_purpose) = keys(Purpose::Log);
        assert!(Permit::verify(&bytes, &request(), &wrong_purpose, 2_000, 5_000).is_err());
    }

    #[test]
    fn no_receipt_makes_a_permit_without_its_secret() {
        let (key, ring) = keys(Purpose::Receipt);
        let check = |bytes: &[u8]| Permit::verify(bytes, &request(), &ring, 2_000, 5_000);
        let receipt = permit().receipt(&key, |_| {});
        check(&of_receipt(receipt.clone(), &SECRET)).unwrap();
        let error = check(&receipt).unwrap_err().to_string();
        assert!(error.contains("secret"), "{error}");
        // What opens the receipt is shown to auditors, and is none.
        for wrong in [opening_of(&SECRET), [0; 32]] {
            let error = check(&of_receipt(receipt.clone(), &wrong)).unwrap_err().to_string();
            assert!(error.contains("another action"), "{error}");
        }
        let two = of_receipt(of_receipt(receipt, &[0; 32]), &SECRET);
        assert!(check(&two).is_err(), "one secret, not two");
    }

    #[test]
    fn a_receipt_of_anything_else_allows_nothing() {
        let (key, ring) = keys(Purpose::Receipt);
        for change in [
            (|fields| fields.decision = "deny") as fn(&mut Fields<'_>),
            |fields| fields.decision = "escalate",
            |fields| fields.event = "settlement",
            |fields| fields.lease = None,
            |fields| fields.audience = None,
            |fields| fields.expires_at = None,
        ] {
            let bytes = of_receipt(permit().receipt(&key, change), &SECRET);
            let error = Permit::verify(&bytes, &request(), &ring, 2_000, 5_000).unwrap_err();
            assert!(error.to_string().contains("allows nothing"), "{error}");
        }
        // One that only the log signs has no signature to look at.
        let bytes = permit().receipt(&key, |fields| fields.class = Class::Batched);
        let error = Permit::verify(&of_receipt(bytes, &SECRET), &request(), &ring, 2_000, 5_000)
            .unwrap_err();
        assert!(error.to_string().contains("exactly one signature"), "{error}");
    }

    #[test]
    fn it_is_used_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("permits.sqlite");
        for register in [Register::in_memory(500, 10), Register::open(&path, 10).unwrap()] {
            register.redeem(&permit(), 2_000).unwrap();
            assert!(register
                .redeem(&permit(), 2_001)
                .unwrap_err()
                .to_string()
                .contains("used before"));
            register.redeem(&Permit { lease: "l2".to_owned(), ..permit() }, 2_002).unwrap();
        }
        // The file remembers; memory refuses what is older than itself.
        assert!(Register::open(&path, 10).unwrap().redeem(&permit(), 2_003).is_err());
        assert!(Register::in_memory(1_001, 10).redeem(&permit(), 2_003).is_err());
    }

    #[test]
    fn a_full_register_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let file = Register::open(&folder.path().join("permits.sqlite"), 3).unwrap();
        for register in [Register::in_memory(0, 3), file] {
            let numbered = |number: usize| Permit { lease: format!("l{number}"), ..permit() };
            for number in 0..3 {
                register.redeem(&numbered(number), 2_000).unwrap();
            }
            assert!(matches!(
                register.redeem(&numbered(3), 2_000),
                Err(KernelError::Unavailable(_))
            ));
            assert!(register.redeem(&numbered(0), 2_000).is_err());
            // Room again, once the others are forgotten.
            let now_ms = 61_000 + KEPT_MS;
            let later = Permit { expires_at_ms: now_ms + 1, ..numbered(3) };
            register.redeem(&later, now_ms).unwrap();
        }
    }

    #[test]
    fn a_clock_that_is_put_back_uses_nothing_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("permits.sqlite");
        for register in [Register::in_memory(0, 1), Register::open(&path, 1).unwrap()] {
            register.redeem(&permit(), 2_000).unwrap();
            let later = Permit { lease: "l2".to_owned(), expires_at_ms: 1 << 40, ..permit() };
            register.redeem(&later, 1 << 39).unwrap();
            let error = register.redeem(&permit(), 2_000).unwrap_err();
            assert!(error.to_string().contains("clock went back"), "{error}");
        }
        // So does the next process.
        assert!(Register::open(&path, 10).unwrap().redeem(&permit(), 2_000).is_err());
    }

    #[test]
    fn a_forked_childs_register_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("permits.sqlite");
        for mut register in [Register::in_memory(0, 3), Register::open(&path, 3).unwrap()] {
            // As a child has it: made by another process.
            register.process += 1;
            let error = register.redeem(&permit(), 2_000).unwrap_err();
            assert!(matches!(&error, KernelError::Unavailable(_)), "{error}");
            assert!(error.to_string().contains("forked"), "{error}");
        }
    }
}
