//! Signed notes, checkpoints and witness cosignatures, as C2SP writes them.
//!
//! <https://c2sp.org/signed-note>, <https://c2sp.org/tlog-checkpoint>, <https://c2sp.org/tlog-cosignature>.
//! A checkpoint is three lines, origin, size and root hash, with signatures below: of the log, and of witnesses
//! that saw it grow.

use sha2::{Digest, Sha256};

use crate::keys::{is_note_name, KeyError, Keyring, PrivateKey, PublicKey, Purpose};
use crate::merkle::Hash;
use crate::text;

/// Longest note that is read, in bytes.
pub const MAX_NOTE: usize = 64 << 10;

/// Most signatures of a note that are read.
pub const MAX_SIGNATURES: usize = 64;

/// Signature types of signed-note: a log's Ed25519, and a witness's with a time.
const LOG_KEY: u8 = 0x01;
const WITNESS_KEY: u8 = 0x04;

/// Why a note cannot be read or believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// It is no signed note.
    #[error("no signed note: {0}")]
    Note(&'static str),
    /// It is no checkpoint.
    #[error("no checkpoint: {0}")]
    Checkpoint(&'static str),
    /// It is a checkpoint of another log.
    #[error("a checkpoint of the log `{found}`, not of `{wanted}`")]
    Origin {
        /// What the first line says.
        found: String,
        /// What it should say.
        wanted: String,
    },
    /// No signature is of a log key in the ring.
    #[error(
        "re-signed or foreign: no key of keys.toml for the log `{origin}` signed this checkpoint"
    )]
    UnknownLog {
        /// The origin of the checkpoint.
        origin: String,
    },
    /// The log's signature does not hold.
    #[error("the checkpoint's signature does not hold: {0}")]
    LogKey(#[from] KeyError),
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: String,
    /// First bytes of the key's hash.
    pub id: [u8; 4],
    /// The signature, after the id.
    pub bytes: Vec<u8>,
}

/// A note, its signatures not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The signed text, with its last newline.
    pub text: String,
    /// Signature lines, in order.
    pub signatures: Vec<NoteSignature>,
}

impl Note {
    /// Reads a note.
    ///
    /// # Errors
    /// [`NoteError::Note`].
    pub fn parse(source: &str) -> Result<Note, NoteError> {
        let wrong = NoteError::Note;
        if source.len() > MAX_NOTE {
            return Err(wrong("it is longer than 64 KiB"));
        }
        if source.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(wrong("it has a control character"));
        }
        let blank = source.rfind("\n\n").ok_or(wrong("it has no blank line before signatures"))?;
        let (body, lines) = (&source[..=blank], &source[blank + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(wrong("it does not end in a newline"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == MAX_SIGNATURES {
                return Err(wrong("it has more than 64 signatures"));
            }
            let (name, encoded) = line
                .strip_prefix("\u{2014} ")
                .and_then(|line| line.split_once(' '))
                .ok_or(wrong("a signature line is not `- NAME BASE64`, with a long dash"))?;
            if !is_note_name(name) {
                return Err(wrong("a signature has no proper name"));
            }
            let decoded = text::from_base64(encoded).ok_or(wrong("a signature is no base64"))?;
            let Some((id, bytes)) = decoded.split_first_chunk::<4>() else {
                return Err(wrong("a signature is too short"));
            };
            if bytes.is_empty() {
                return Err(wrong("a signature is too short"));
            }
            signatures.push(NoteSignature {
                name: name.to_owned(),
                id: *id,
                bytes: bytes.to_vec(),
            });
        }
        Ok(Note { text: body.to_owned(), signatures })
    }
}

fn key_id(name: &str, kind: u8, key: &[u8; 32]) -> [u8; 4] {
    let hash: Hash = Sha256::new()
        .chain_update(name.as_bytes())
        .chain_update([b'\n', kind])
        .chain_update(key)
        .finalize()
        .into();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// The public key of a log as Go's `note` package and other tools take it (a *vkey*).
pub fn vkey(name: &str, public: &[u8; 32]) -> String {
    encode_vkey(name, LOG_KEY, public)
}

/// The public key of a witness, likewise.
pub fn witness_vkey(name: &str, public: &[u8; 32]) -> String {
    encode_vkey(name, WITNESS_KEY, public)
}

fn encode_vkey(name: &str, kind: u8, public: &[u8; 32]) -> String {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(public);
    format!("{name}+{}+{}", text::hex(&key_id(name, kind, public)), text::base64(&bytes))
}

/// What a log says it is: so many entries, with this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, text::base64(&self.root))
    }

    /// Reads the text of a note. Lines after the third are extensions: they are signed, and not looked at.
    ///
    /// # Errors
    /// [`NoteError::Checkpoint`].
    pub fn parse(body: &str) -> Result<Checkpoint, NoteError> {
        let wrong = NoteError::Checkpoint;
        let mut lines = body.split('\n');
        let origin =
            lines.next().filter(|line| !line.is_empty()).ok_or(wrong("it has no origin"))?;
        let size = lines
            .next()
            .and_then(text::from_decimal)
            .ok_or(wrong("its second line is no tree size"))?;
        let root = lines
            .next()
            .and_then(text::from_base64_32)
            .ok_or(wrong("its third line is no root hash"))?;
        // What follows must be lines that are not empty, and the text must end in a newline.
        let rest: Vec<&str> = lines.collect();
        let (last, extensions) = rest.split_last().ok_or(wrong("it does not end in a newline"))?;
        if !last.is_empty() || extensions.iter().any(|line| line.is_empty()) {
            return Err(wrong("it has an empty line"));
        }
        Ok(Checkpoint { origin: origin.to_owned(), size, root })
    }

    /// The signed note, with one line for each key; the name of a log's key is the log's origin.
    pub fn sign(&self, keys: &[&PrivateKey]) -> String {
        let body = self.text();
        let mut note = format!("{body}\n");
        for key in keys {
            let mut bytes = key_id(&self.origin, LOG_KEY, &key.public()).to_vec();
            bytes.extend_from_slice(&key.sign(body.as_bytes()));
            note.push_str(&format!("\u{2014} {} {}\n", self.origin, text::base64(&bytes)));
        }
        note
    }
}

fn cosigned(body: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{body}")
}

/// Adds a witness's cosignature to a note: what a witness does after it verified consistency.
///
/// # Errors
/// [`NoteError::Note`] when it is none, or the name cannot stand in a note.
pub fn cosign(note: &str, name: &str, key: &PrivateKey, time: u64) -> Result<String, NoteError> {
    if !is_note_name(name) {
        return Err(NoteError::Note("a name has spaces or `+`"));
    }
    let parsed = Note::parse(note)?;
    let mut bytes = key_id(name, WITNESS_KEY, &key.public()).to_vec();
    bytes.extend_from_slice(&time.to_be_bytes());
    bytes.extend_from_slice(&key.sign(cosigned(&parsed.text, time).as_bytes()));
    Ok(format!("{note}\u{2014} {name} {}\n", text::base64(&bytes)))
}

/// A witness that saw a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// Id of its key in the ring.
    pub key: String,
    /// When it says it saw it, seconds since 1970.
    pub time: u64,
}

/// A checkpoint whose log signature was verified, and what its witnesses say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    /// What the log said.
    pub checkpoint: Checkpoint,
    /// Ids of the log keys that signed it.
    pub log_keys: Vec<String>,
    /// Witnesses of the ring whose cosignature holds.
    pub witnesses: Vec<Witnessed>,
    /// Cosignatures of witnesses of the ring that do not hold, and why. One is reason for alarm.
    pub bad_witnesses: Vec<KeyError>,
}

/// Reads a checkpoint and verifies who signed it. Signatures of keys that are not in the ring are ignored.
///
/// `origin`: the log it must be of; `None` accepts each log that has a key in the ring.
/// `now`: milliseconds since 1970; witness keys must be valid at the time they state, which may not be later
/// than five minutes after `now`.
///
/// # Errors
/// [`NoteError`]: it is no checkpoint, is of another log, is signed by no known log key, or a known log key's
/// signature does not hold or is not valid for its size.
pub fn verify_checkpoint(
    note: &str,
    origin: Option<&str>,
    keys: &Keyring,
    now: i64,
) -> Result<VerifiedCheckpoint, NoteError> {
    let note = Note::parse(note)?;
    let checkpoint = Checkpoint::parse(&note.text)?;
    if let Some(wanted) = origin.filter(|wanted| *wanted != checkpoint.origin) {
        return Err(NoteError::Origin { found: checkpoint.origin, wanted: wanted.to_owned() });
    }
    let mut log_keys = Vec::new();
    for key in keys.of(Purpose::Log) {
        let Some(name) = key.name.as_deref().filter(|name| *name == checkpoint.origin) else {
            continue;
        };
        let id = key_id(name, LOG_KEY, &key.to_bytes());
        for signature in note.signatures.iter().filter(|one| one.name == name && one.id == id) {
            key.verify(note.text.as_bytes(), &signature.bytes)?;
            log_keys.push(key);
        }
    }
    if log_keys.is_empty() {
        return Err(NoteError::UnknownLog { origin: checkpoint.origin });
    }
    // One valid key is enough: the checkpoint of a hand-over is signed by two.
    let (mut valid, mut refused) = (Vec::new(), None);
    for key in log_keys {
        match key.check_size(checkpoint.size) {
            Ok(()) => valid.push(key.id.clone()),
            Err(error) => refused = Some(error),
        }
    }
    if valid.is_empty() {
        if let Some(error) = refused {
            return Err(error.into());
        }
    }
    let (mut witnesses, mut bad_witnesses) = (Vec::new(), Vec::new());
    for key in keys.of(Purpose::Witness) {
        let Some(name) = key.name.as_deref() else { continue };
        let id = key_id(name, WITNESS_KEY, &key.to_bytes());
        for signature in note.signatures.iter().filter(|one| one.name == name && one.id == id) {
            match verify_cosignature(key, &note.text, &signature.bytes, now) {
                Ok(time) => witnesses.push(Witnessed { key: key.id.clone(), time }),
                Err(error) => bad_witnesses.push(error),
            }
        }
    }
    witnesses.dedup_by(|one, other| one.key == other.key);
    Ok(VerifiedCheckpoint { checkpoint, log_keys: valid, witnesses, bad_witnesses })
}

/// How far in the future a witness may state its time, in milliseconds: clocks differ.
const WITNESS_SKEW: i64 = 300_000;

fn verify_cosignature(
    key: &PublicKey,
    body: &str,
    bytes: &[u8],
    now: i64,
) -> Result<u64, KeyError> {
    let wrong = || KeyError::Signature { id: key.id.clone() };
    let (time, signature) = bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
    let time = u64::from_be_bytes(*time);
    key.verify(cosigned(body, time).as_bytes(), signature)?;
    let when = i64::try_from(time).ok().and_then(|time| time.checked_mul(1000));
    let when = when.filter(|when| *when <= now.saturating_add(WITNESS_SKEW));
    key.check_time(when.ok_or_else(|| KeyError::OutsideValidity { id: key.id.clone() })?)?;
    Ok(time)
}
