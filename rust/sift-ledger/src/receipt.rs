//! Receipts: an in-toto Statement of one authorization in a DSSE envelope, and what a third party checks of it.
//!
//! A receipt has two classes. A *signed* one carries the kernel's signature; a *batched* one carries none, and
//! is signed through the checkpoint of the log that includes it. Three questions are answered separately and
//! never folded into one: is the signature the kernel's, is the receipt in the log, did witnesses see the log.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::dsse::{self, Envelope, EnvelopeError, MAX_ENVELOPE};
use crate::jcs::{self, write_text, JcsError, Value};
use crate::keys::{KeyError, Keyring, PrivateKey, Purpose};
use crate::merkle::{leaf_hash, verify_inclusion, Hash, ProofError};
use crate::note::{verify_checkpoint, NoteError, VerifiedCheckpoint};
use crate::text;
use crate::tiles::{TileError, TlogProof};

/// Media type of the payload, from in-toto.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Type of the statement, from in-toto.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// Type of the predicate: `docs/receipts.md` says what its members mean.
pub const PREDICATE_TYPE: &str = "https://github.com/sift-fast/sift-fast/receipt/v1";

/// How far in the future a receipt may be dated, in milliseconds: clocks differ.
const SKEW: i64 = 300_000;

/// How a receipt is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// By itself.
    #[default]
    Signed,
    /// Through the checkpoint of its batch.
    Batched,
}

impl Class {
    /// As it is written in the predicate.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Signed => "signed",
            Class::Batched => "batched",
        }
    }
}

/// One draw on a budget.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// Name of the budget.
    pub budget: &'a str,
    /// Unit of the amount.
    pub unit: &'a str,
    /// How much, in the budget's integer unit.
    pub amount: i64,
}

/// What a receipt says. Texts are names and codes, never arguments or findings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'a> {
    /// What happened: `authorization`, `settlement`, `cancellation`, `approval`, `revocation`, ...
    pub event: &'a str,
    /// Identity of the request: the subject's name.
    pub request_id: &'a str,
    /// The subject's digest: of an action, [`blind_action`]; of what stands in the receipt whole, [`action_hash`].
    pub action_hash: Hash,
    /// Salted commitment to the arguments alone ([`commit_arguments`]).
    pub args_commitment: Option<Hash>,
    /// The kernel that decided, by what requests to it are addressed to.
    pub audience: Option<&'a str>,
    /// Who asked.
    pub tenant: &'a str,
    /// Which agent.
    pub agent: &'a str,
    /// In which role.
    pub role: &'a str,
    /// For which tool.
    pub tool: &'a str,
    /// In which session.
    pub session: Option<&'a str>,
    /// In which conversation.
    pub conversation: Option<&'a str>,
    /// Which model asked for it.
    pub model: Option<&'a str>,
    /// In which version.
    pub model_version: Option<&'a str>,
    /// `allow`, `escalate` or `deny`; for other events their outcome.
    pub decision: &'a str,
    /// The stable code of the reason.
    pub reason: &'a str,
    /// Rules that decided.
    pub rule_ids: &'a [&'a str],
    /// Hash of policies and manifest.
    pub policy_hash: Option<Hash>,
    /// Their version.
    pub policy_version: Option<&'a str>,
    /// Version of the software that decided.
    pub engine: &'a str,
    /// Sources that reached the arguments.
    pub taint: &'a [&'a str],
    /// The lease.
    pub lease: Option<&'a str>,
    /// What was reserved or settled.
    pub charges: &'a [Charge<'a>],
    /// The approval that was used or asked for.
    pub approval: Option<&'a str>,
    /// Who approved.
    pub approvers: &'a [&'a str],
    /// The elevation that was used.
    pub elevation: Option<&'a str>,
    /// When the request was made, milliseconds since 1970.
    pub issued_at: Option<i64>,
    /// When it was decided, milliseconds since 1970.
    pub decided_at: i64,
    /// When the permit ends, milliseconds since 1970.
    pub expires_at: Option<i64>,
    /// Which store the kernel worked with, and how often it had been changed: `id:generation`.
    pub store: Option<&'a str>,
    /// How the receipt is signed.
    pub class: Class,
    /// More of an event, under `details`.
    pub details: &'a [(&'a str, Value)],
}

/// Why a receipt cannot be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// A number or detail has no canonical form.
    #[error("receipt: {0}")]
    Value(#[from] JcsError),
    /// The envelope would not fit into the log.
    #[error("receipt: longer than 65535 bytes: shorten names or details")]
    TooLong,
    /// The envelope cannot be read.
    #[error("receipt: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The proof cannot be read.
    #[error("receipt: {0}")]
    Proof(#[from] TileError),
    /// The payload is not a receipt's statement.
    #[error("receipt: {0}")]
    Statement(&'static str),
}

/// The identity of an action or event: SHA-256 of its canonical bytes. In a receipt only of what the receipt shows
/// anyway: whoever knows all but a few bits of an action finds those by trying.
///
/// # Errors
/// [`JcsError`] when it has none.
pub fn action_hash(action: &Value) -> Result<Hash, JcsError> {
    Ok(Sha256::digest(jcs::to_vec(action)?).into())
}

/// What a receipt says of an action: whoever is shown opening and action can check it, nobody can guess the action.
///
/// `SHA-256("sift-action-v1" || 0x00 || opening || action)`, all but the end of fixed length. `opening`: 32 bytes that
/// are not in the ledger, of their own for each receipt and action. `action`: its identity, [`action_hash`].
pub fn blind_action(opening: &[u8; 32], action: &Hash) -> Hash {
    blind(b"sift-action-v1\0", opening, action)
}

/// A commitment to arguments, for whoever is shown them and not the rest of the action.
///
/// `SHA-256("sift-args-v1" || 0x00 || opening || canonical)`. `opening`: as for [`blind_action`]. `canonical`: the
/// arguments in the form of RFC 8785.
pub fn commit_arguments(opening: &[u8; 32], canonical: &[u8]) -> Hash {
    blind(b"sift-args-v1\0", opening, canonical)
}

fn blind(purpose: &[u8], opening: &[u8; 32], what: &[u8]) -> Hash {
    Sha256::new().chain_update(purpose).chain_update(opening).chain_update(what).finalize().into()
}

/// Writes members of one object in the order they come; callers keep to that of RFC 8785.
struct Members<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Members<'a> {
    fn open(out: &'a mut Vec<u8>) -> Members<'a> {
        out.push(b'{');
        Members { out, first: true }
    }

    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        // Names are ours: nothing in them is escaped.
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    fn text(&mut self, name: &str, value: &str) {
        write_text(value, self.name(name));
    }

    fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    fn hash(&mut self, name: &str, value: Option<&Hash>) {
        if let Some(hash) = value {
            let out = self.name(name);
            out.push(b'"');
            text::push_hex(hash, out);
            out.push(b'"');
        }
    }

    fn number(&mut self, name: &str, value: i64) -> Result<(), JcsError> {
        jcs::write_integer(value, self.name(name))
    }

    fn texts(&mut self, name: &str, values: &[&str]) {
        let out = self.name(name);
        out.push(b'[');
        for (place, value) in values.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            write_text(value, out);
        }
        out.push(b']');
    }

    fn close(self) {
        self.out.push(b'}');
    }
}

/// The in-toto Statement, in canonical form.
///
/// # Errors
/// [`ReceiptError::Value`] for a number or detail that JSON cannot hold exactly.
pub fn statement(fields: &Fields<'_>) -> Result<Vec<u8>, ReceiptError> {
    let mut out = Vec::with_capacity(2048);
    out.extend_from_slice(b"{\"_type\":\"");
    out.extend_from_slice(STATEMENT_TYPE.as_bytes());
    out.extend_from_slice(b"\",\"predicate\":");
    let mut members = Members::open(&mut out);
    members.text("agent", fields.agent);
    members.maybe("approval", fields.approval);
    members.texts("approvers", fields.approvers);
    members.hash("args_commitment", fields.args_commitment.as_ref());
    members.maybe("audience", fields.audience);
    let charges = members.name("charges");
    charges.push(b'[');
    for (place, charge) in fields.charges.iter().enumerate() {
        if place > 0 {
            charges.push(b',');
        }
        let mut one = Members::open(charges);
        one.number("amount", charge.amount)?;
        one.text("budget", charge.budget);
        one.text("unit", charge.unit);
        one.close();
    }
    charges.push(b']');
    members.text("class", fields.class.as_str());
    members.maybe("conversation", fields.conversation);
    members.number("decided_at", fields.decided_at)?;
    members.text("decision", fields.decision);
    if !fields.details.is_empty() {
        let details =
            fields.details.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let bytes = jcs::to_vec(&Value::Object(details.collect()))?;
        members.name("details").extend_from_slice(&bytes);
    }
    members.maybe("elevation", fields.elevation);
    members.text("engine", fields.engine);
    members.text("event", fields.event);
    if let Some(when) = fields.expires_at {
        members.number("expires_at", when)?;
    }
    if let Some(when) = fields.issued_at {
        members.number("issued_at", when)?;
    }
    members.maybe("lease", fields.lease);
    members.maybe("model", fields.model);
    members.maybe("model_version", fields.model_version);
    members.hash("policy_hash", fields.policy_hash.as_ref());
    members.maybe("policy_version", fields.policy_version);
    members.text("reason", fields.reason);
    members.text("role", fields.role);
    members.texts("rule_ids", fields.rule_ids);
    members.maybe("session", fields.session);
    members.maybe("store", fields.store);
    members.texts("taint", fields.taint);
    members.text("tenant", fields.tenant);
    members.text("tool", fields.tool);
    members.close();
    out.extend_from_slice(b",\"predicateType\":\"");
    out.extend_from_slice(PREDICATE_TYPE.as_bytes());
    out.extend_from_slice(b"\",\"subject\":[{\"digest\":{\"sha256\":\"");
    text::push_hex(&fields.action_hash, &mut out);
    out.extend_from_slice(b"\"},\"name\":");
    write_text(fields.request_id, &mut out);
    out.extend_from_slice(b"}]}");
    Ok(out)
}

/// The envelope of a receipt, as it goes into the log. `signer`: id and key; not used for class *batched*.
///
/// # Errors
/// [`ReceiptError::Value`] or [`ReceiptError::TooLong`]: such an action has no receipt and must be denied.
pub fn seal(fields: &Fields<'_>, signer: (&str, &PrivateKey)) -> Result<Vec<u8>, ReceiptError> {
    let payload = statement(fields)?;
    let signer = (fields.class == Class::Signed).then_some(signer);
    let json = dsse::seal(PAYLOAD_TYPE, &payload, signer);
    if json.len() > MAX_ENVELOPE {
        return Err(ReceiptError::TooLong);
    }
    Ok(json)
}

/// A statement that was read out of an envelope.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Identity of the request.
    pub request_id: String,
    /// The subject's digest: of an action, [`blind_action`].
    pub action_hash: Hash,
    /// How the receipt says it is signed.
    pub class: Class,
    /// When it was decided, milliseconds since 1970.
    pub decided_at: i64,
    /// All members; `docs/receipts.md` says what they mean.
    pub predicate: Value,
}

impl Statement {
    /// A member of the predicate that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.predicate.get(name)?.as_str()
    }

    /// Reads one out of the bytes of an envelope, without a look at who signed it.
    ///
    /// # Errors
    /// [`ReceiptError`]: it is no receipt.
    pub fn of(entry: &[u8]) -> Result<Statement, ReceiptError> {
        Statement::read(&Envelope::parse(entry)?)
    }

    /// Reads one out of an envelope, without a look at who signed it.
    ///
    /// # Errors
    /// [`ReceiptError`]: it is no receipt.
    pub fn read(envelope: &Envelope) -> Result<Statement, ReceiptError> {
        let wrong = ReceiptError::Statement;
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(wrong("its payload is no in-toto statement"));
        }
        let Value::Object(members) = envelope.payload_json()? else {
            return Err(wrong("its payload is no in-toto statement"));
        };
        let (mut kind, mut predicate_type, mut subject, mut predicate) = (None, None, None, None);
        for (name, value) in members {
            match name.as_str() {
                "_type" => kind = Some(value),
                "predicateType" => predicate_type = Some(value),
                "subject" => subject = Some(value),
                "predicate" => predicate = Some(value),
                _ => return Err(wrong("its statement has a member that no receipt has")),
            }
        }
        if kind.as_ref().and_then(Value::as_str) != Some(STATEMENT_TYPE) {
            return Err(wrong("its statement is of another type"));
        }
        if predicate_type.as_ref().and_then(Value::as_str) != Some(PREDICATE_TYPE) {
            return Err(wrong("its predicate is of another type"));
        }
        let subject = match subject.as_ref().and_then(Value::as_list) {
            Some([one]) => one,
            _ => return Err(wrong("it has not exactly one subject")),
        };
        let request_id =
            subject.get("name").and_then(Value::as_str).ok_or(wrong("its subject has no name"))?;
        let action_hash = subject
            .get("digest")
            .and_then(|digest| digest.get("sha256"))
            .and_then(Value::as_str)
            .and_then(text::from_hex_32)
            .ok_or(wrong("its subject has no sha256 digest"))?;
        let predicate = predicate.ok_or(wrong("it has no predicate"))?;
        let class = match predicate.get("class").and_then(Value::as_str) {
            Some("signed") => Class::Signed,
            Some("batched") => Class::Batched,
            _ => return Err(wrong("its class is neither `signed` nor `batched`")),
        };
        let decided_at =
            predicate.get("decided_at").and_then(Value::as_int).ok_or(wrong("it has no time"))?;
        let request_id = request_id.to_owned();
        Ok(Statement { request_id, action_hash, class, decided_at, predicate })
    }
}

/// The answer to one of the three questions about a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Yes; by whom or what.
    Valid(String),
    /// It cannot be told, because nothing was given to tell it from.
    Missing(String),
    /// No; why.
    Invalid(String),
}

impl Check {
    /// Whether the answer is yes.
    pub fn is_valid(&self) -> bool {
        matches!(self, Check::Valid(_))
    }

    /// Whether the answer is no.
    pub fn is_invalid(&self) -> bool {
        matches!(self, Check::Invalid(_))
    }

    /// `valid`, `missing` or `invalid`.
    pub fn word(&self) -> &'static str {
        match self {
            Check::Valid(_) => "valid",
            Check::Missing(_) => "missing",
            Check::Invalid(_) => "invalid",
        }
    }

    /// By whom, or why not.
    pub fn detail(&self) -> &str {
        let (Check::Valid(detail) | Check::Missing(detail) | Check::Invalid(detail)) = self;
        detail
    }
}

/// A receipt and the three answers about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// What the receipt says. Believe it only as far as the answers go.
    pub statement: Statement,
    /// Whether the kernel signed it (or, of class *batched*, the log's checkpoint covers it).
    pub signature: Check,
    /// Whether it is in the log.
    pub inclusion: Check,
    /// Whether enough witnesses saw the log at that size.
    pub witness: Check,
    /// Its place in the log, when inclusion is valid.
    pub index: Option<u64>,
}

/// Verifies receipts with public keys alone; keeps what it verified of checkpoints, so that many receipts of one
/// checkpoint cost one signature.
pub struct Verifier {
    keys: Keyring,
    origin: Option<String>,
    witnesses: usize,
    // With the time for which it was verified.
    checkpoints: HashMap<String, (i64, VerifiedCheckpoint)>,
}

/// How many verified checkpoints are kept.
const KEPT_CHECKPOINTS: usize = 256;

impl Verifier {
    /// A verifier that accepts each log with a key in the ring, and asks for one witness to call a receipt
    /// witnessed.
    pub fn new(keys: Keyring) -> Verifier {
        Verifier { keys, origin: None, witnesses: 1, checkpoints: HashMap::new() }
    }

    /// Accepts this log only.
    #[must_use]
    pub fn origin(mut self, origin: &str) -> Verifier {
        self.origin = Some(origin.to_owned());
        self
    }

    /// How many witnesses must have seen the log; at least 1.
    #[must_use]
    pub fn witnesses(mut self, count: usize) -> Verifier {
        self.witnesses = count.max(1);
        self
    }

    /// Verifies one receipt.
    ///
    /// `envelope`: its bytes, exactly as they are in the log. `proof`: its `.tlog-proof`, if there is one.
    /// `now`: milliseconds since 1970.
    ///
    /// # Errors
    /// [`ReceiptError`] when envelope or proof cannot be read at all; everything else is an answer.
    pub fn verify(
        &mut self,
        envelope: &[u8],
        proof: Option<&str>,
        now: i64,
    ) -> Result<Verified, ReceiptError> {
        let proof = proof.map(TlogProof::parse).transpose()?;
        self.verify_parts(envelope, proof.as_ref(), now)
    }

    /// Verifies a receipt that is one file: a `.tlog-proof` with the envelope as its extra data.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub fn verify_file(&mut self, file: &str, now: i64) -> Result<Verified, ReceiptError> {
        let proof = TlogProof::parse(file)?;
        let extra = proof.extra.as_deref();
        let envelope =
            extra.ok_or(ReceiptError::Statement("the proof carries no envelope as extra data"))?;
        self.verify_parts(envelope, Some(&proof), now)
    }

    /// Verifies a receipt whose proof was read.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub fn verify_parts(
        &mut self,
        envelope_bytes: &[u8],
        proof: Option<&TlogProof>,
        now: i64,
    ) -> Result<Verified, ReceiptError> {
        let envelope = Envelope::parse(envelope_bytes)?;
        let statement = Statement::read(&envelope)?;
        let mut index = None;
        let (inclusion, witness) = match proof {
            None => (
                Check::Missing("no proof of inclusion was given".to_owned()),
                Check::Missing("no checkpoint was given".to_owned()),
            ),
            Some(proof) => {
                let needed = self.witnesses;
                match self.checkpoint(&proof.checkpoint, now) {
                    Err(error) => (
                        Check::Invalid(error.to_string()),
                        Check::Missing("the checkpoint is not the log's".to_owned()),
                    ),
                    Ok(seen) => {
                        let inclusion = check_inclusion(envelope_bytes, proof, seen);
                        let witness = if inclusion.is_valid() {
                            index = Some(proof.index);
                            check_witnesses(seen, needed)
                        } else {
                            Check::Missing("the receipt is not in that checkpoint".to_owned())
                        };
                        (inclusion, witness)
                    }
                }
            }
        };
        let signature = self.signature(&envelope, &statement, index, now);
        Ok(Verified { statement, signature, inclusion, witness, index })
    }

    /// Verifies a receipt that stands at `index` of a ledger that is being audited: its place is known, and the
    /// audit answers for it.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub fn verify_entry(
        &self,
        envelope_bytes: &[u8],
        index: u64,
        now: i64,
    ) -> Result<Verified, ReceiptError> {
        let envelope = Envelope::parse(envelope_bytes)?;
        let statement = Statement::read(&envelope)?;
        let signature = self.signature(&envelope, &statement, Some(index), now);
        let inclusion = Check::Valid(format!("entry {index} of the ledger"));
        let witness = Check::Missing("the ledger's checkpoint has the witnesses".to_owned());
        Ok(Verified { statement, signature, inclusion, witness, index: Some(index) })
    }

    fn signature(
        &self,
        envelope: &Envelope,
        statement: &Statement,
        index: Option<u64>,
        now: i64,
    ) -> Check {
        if statement.decided_at > now.saturating_add(SKEW) {
            return Check::Invalid("it is dated in the future: check the clocks".to_owned());
        }
        check_signature(envelope, statement, &self.keys, index, now)
    }

    fn checkpoint(&mut self, note: &str, now: i64) -> Result<&VerifiedCheckpoint, NoteError> {
        if !self.checkpoints.contains_key(note) {
            if self.checkpoints.len() >= KEPT_CHECKPOINTS {
                self.checkpoints.clear();
            }
            let seen = verify_checkpoint(note, self.origin.as_deref(), &self.keys, now)?;
            self.checkpoints.insert(note.to_owned(), (now, seen));
        }
        let kept = self.checkpoints.get_mut(note).ok_or(NoteError::Note("it was not kept"))?;
        // A witness that was ahead of the clock then may not be now; nothing else depends on the time.
        if kept.0 != now && !kept.1.bad_witnesses.is_empty() {
            *kept = (now, verify_checkpoint(note, self.origin.as_deref(), &self.keys, now)?);
        }
        Ok(&kept.1)
    }
}

/// Verifies one receipt with public keys alone; see [`Verifier`] for many.
///
/// # Errors
/// As [`Verifier::verify`].
pub fn verify_receipt(
    envelope: &[u8],
    proof: Option<&str>,
    keys: &Keyring,
    now: i64,
) -> Result<Verified, ReceiptError> {
    Verifier::new(keys.clone()).verify(envelope, proof, now)
}

fn check_inclusion(envelope: &[u8], proof: &TlogProof, seen: &VerifiedCheckpoint) -> Check {
    let (size, root) = (seen.checkpoint.size, &seen.checkpoint.root);
    match verify_inclusion(&leaf_hash(envelope), proof.index, size, &proof.hashes, root) {
        Ok(()) => Check::Valid(format!(
            "entry {} of {size} in `{}`, signed by `{}`",
            proof.index,
            seen.checkpoint.origin,
            seen.log_keys.join("`, `")
        )),
        Err(ProofError::Root) => Check::Invalid(format!(
            "the proof does not lead to the root of `{}` at size {size}: the receipt was changed, or the \
             proof is of another receipt or another log",
            seen.checkpoint.origin
        )),
        Err(error) => Check::Invalid(error.to_string()),
    }
}

fn check_witnesses(seen: &VerifiedCheckpoint, needed: usize) -> Check {
    if let Some(error) = seen.bad_witnesses.first() {
        return Check::Invalid(format!("a cosignature does not hold: {error}"));
    }
    let names: Vec<&str> = seen.witnesses.iter().map(|one| one.key.as_str()).collect();
    if names.len() >= needed {
        return Check::Valid(format!("seen by `{}`", names.join("`, `")));
    }
    Check::Missing(format!("{} of {needed} known witnesses saw this checkpoint", names.len()))
}

fn check_signature(
    envelope: &Envelope,
    statement: &Statement,
    keys: &Keyring,
    index: Option<u64>,
    now: i64,
) -> Check {
    if envelope.signatures.is_empty() {
        return match (statement.class, index) {
            (Class::Signed, _) => {
                Check::Invalid("the receipt says that it is signed, and is not".to_owned())
            }
            (Class::Batched, Some(_)) => Check::Valid("through the checkpoint".to_owned()),
            (Class::Batched, None) => Check::Missing(
                "a batched receipt is signed through its checkpoint: give a valid proof".to_owned(),
            ),
        };
    }
    let pae = envelope.pae();
    let mut answer = None;
    for signature in &envelope.signatures {
        let Ok(key) = keys.get(&signature.keyid, Purpose::Receipt) else { continue };
        let checked = key
            .verify(&pae, &signature.sig)
            .and_then(|()| check_use(key, statement.decided_at, index, now));
        match checked {
            Ok(()) => answer = Some(Check::Valid(format!("by `{}`", key.id))),
            // A signature of a known key that does not hold is never outweighed by another that does.
            Err(error) => return Check::Invalid(error.to_string()),
        }
    }
    answer.unwrap_or_else(|| {
        let id = envelope.signatures.first().map_or("", |signature| signature.keyid.as_str());
        let shown: String = id.chars().filter(|c| !c.is_control()).take(64).collect();
        Check::Invalid(KeyError::Unknown { id: shown, purpose: Purpose::Receipt }.to_string())
    })
}

/// Whether a key that made a signature could be used for it. Who steals a key can write any date: from its
/// revocation on, and where the key is limited to a part of the log, only a place in the log counts.
fn check_use(
    key: &crate::keys::PublicKey,
    decided_at: i64,
    index: Option<u64>,
    now: i64,
) -> Result<(), KeyError> {
    let limited = key.to_size != u64::MAX || key.from_size != 0;
    if key.revoked.is_some_and(|revoked| now >= revoked) && !limited {
        return Err(KeyError::Revoked { id: key.id.clone() });
    }
    key.check_time(decided_at)?;
    match index {
        Some(index) => key.check_size(index.saturating_add(1)),
        None if limited => Err(KeyError::Config(format!(
            "key `{}` is limited to a part of the log: give a valid proof of inclusion",
            key.id
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_canonical() {
        let details = [("b", Value::Int(1)), ("a", Value::Str("\u{1f600}".into()))];
        let full = Fields {
            event: "authorization",
            request_id: "r-1",
            action_hash: [1; 32],
            args_commitment: Some([2; 32]),
            audience: Some("kernel.acme"),
            tenant: "acme",
            agent: "a\"b",
            role: "support",
            tool: "refund",
            session: Some("s"),
            conversation: Some("c"),
            model: Some("m"),
            model_version: Some("1"),
            decision: "allow",
            reason: "permitted",
            rule_ids: &["one", "two"],
            policy_hash: Some([3; 32]),
            policy_version: Some("7"),
            engine: "0.1.0",
            taint: &["web:x"],
            lease: Some("l"),
            charges: &[Charge { budget: "day", unit: "usd_micros", amount: 5 }],
            approval: Some("ap"),
            approvers: &["ann"],
            elevation: Some("el"),
            issued_at: Some(1),
            decided_at: 2,
            expires_at: Some(3),
            store: Some("0123456789abcdef:7"),
            class: Class::Batched,
            details: &details,
        };
        for fields in [full, Fields::default()] {
            let bytes = statement(&fields).unwrap();
            assert_eq!(jcs::to_vec(&Value::parse(&bytes).unwrap()).unwrap(), bytes);
            let envelope = Envelope::unsigned(PAYLOAD_TYPE, bytes);
            let read = Statement::read(&envelope).unwrap();
            assert_eq!(read.request_id, fields.request_id);
            assert_eq!(read.class, fields.class);
            assert_eq!(read.action_hash, fields.action_hash);
            assert_eq!(read.decided_at, fields.decided_at);
            assert_eq!(read.text("tool"), Some(fields.tool));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let key = PrivateKey::from_seed(&[1; 32]);
        let long = "x".repeat(60_000);
        let fields = Fields { tool: &long, ..Fields::default() };
        assert_eq!(seal(&fields, ("k", &key)), Err(ReceiptError::TooLong));
        let fields = Fields { decided_at: i64::MAX, ..Fields::default() };
        assert_eq!(seal(&fields, ("k", &key)), Err(ReceiptError::Value(JcsError::Number)));
        let charges = [Charge { budget: "b", unit: "u", amount: 1 << 53 }];
        let fields = Fields { charges: &charges, ..Fields::default() };
        assert_eq!(seal(&fields, ("k", &key)), Err(ReceiptError::Value(JcsError::Number)));
    }

    #[test]
    fn a_commitment_needs_opening_and_contents() {
        let action = <Hash>::from(Sha256::digest(b"{}"));
        let one = blind_action(&[1; 32], &action);
        assert_ne!(one, blind_action(&[2; 32], &action));
        assert_ne!(one, blind_action(&[1; 32], &[0; 32]));
        assert_ne!(one, commit_arguments(&[1; 32], &action));
        assert_ne!(one, action);
        // Computed with Python's `hashlib`.
        let hex = "84bc07222cfa3bff799e58fa6b58eec8e3a3adc8e2851872f420dfa442e32b77";
        assert_eq!(text::hex(&one), hex);
        let one = commit_arguments(&[1; 32], b"{}");
        let hex = "4769f511287c7dcc7ddc72b2aa3e778d214fd64936b6f8e59e2351966942c0b0";
        assert_eq!(text::hex(&one), hex);
        assert_ne!(one, commit_arguments(&[2; 32], b"{}"));
        assert_ne!(one, commit_arguments(&[1; 32], b"[]"));
        assert_ne!(one, <Hash>::from(Sha256::digest(b"{}")));
    }
}
