//! Keys: a ring of public keys read from `keys.toml`, and private keys in files that only their owner reads.
//!
//! ```toml
//! [[key]]
//! id = "kernel-2026"                     # what a receipt's `keyid` says
//! purpose = "receipt"                    # agent | approver | receipt | log | witness
//! algorithm = "ed25519"
//! public = "MCowBQYDK2VwAyEA..."         # base64: 32 bytes, or what `openssl pkey -pubout` writes
//! not_before = 2026-01-01T00:00:00Z      # optional, as all below
//! not_after = 2027-01-01T00:00:00Z
//! revoked = 2026-06-01T00:00:00Z
//! name = "example.com/ledger"            # log and witness: the name in signed notes
//! from_size = 0                          # log: sizes of trees it may sign; receipt: places in the log, from 1
//! to_size = 70000
//! tenant = "acme"                        # agent and approver: for whom it may speak
//! agent = "support-bot"
//! roles = ["support"]                    # agent: in which it may act
//! groups = ["finance"]
//! ```
//!
//! Ed25519 is verified strictly: one encoding of every point and scalar, no points of small order
//! (`verify_strict`, and encodings of coordinates beyond the field are refused here).

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{signing, text};

/// What a key may sign. A key serves one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Requests and session grants of an agent.
    Agent,
    /// Approvals and elevations of a person.
    Approver,
    /// Receipts and permits of a kernel.
    Receipt,
    /// Checkpoints of a log.
    Log,
    /// Cosignatures of a witness.
    Witness,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Purpose::Agent => "agent",
            Purpose::Approver => "approver",
            Purpose::Receipt => "receipt",
            Purpose::Log => "log",
            Purpose::Witness => "witness",
        })
    }
}

/// Why a key cannot be read or used, or a signature does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file of keys is wrong.
    #[error("keys: {0}")]
    Config(String),
    /// A file cannot be read or written.
    #[error("key file `{path}`: {reason}")]
    File {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
    /// No key of this id and purpose.
    #[error("no {purpose} key `{id}` is in the ring: add it to keys.toml if you trust it")]
    Unknown {
        /// The id that was asked for.
        id: String,
        /// The purpose that was asked for.
        purpose: Purpose,
    },
    /// The time lies before the key's first or after its last.
    #[error("key `{id}` is not valid at this time: keys.toml says from when to when it is")]
    OutsideValidity {
        /// Which.
        id: String,
    },
    /// The key was revoked before the time in question.
    #[error("key `{id}` is revoked")]
    Revoked {
        /// Which.
        id: String,
    },
    /// The key may not sign for this size of the tree.
    #[error("key `{id}` may not sign at tree size {size}: keys.toml allows {from} to {to}")]
    OutsideSizes {
        /// Which.
        id: String,
        /// The size in question.
        size: u64,
        /// First size it may sign.
        from: u64,
        /// Last size it may sign.
        to: u64,
    },
    /// The signature is not of this key over these bytes, or not in its one strict form.
    #[error("the signature does not verify with key `{id}`")]
    Signature {
        /// Which.
        id: String,
    },
    /// The system's randomness failed.
    #[error("the system gives no random bytes: no key was made")]
    Random,
}

/// A public key and what it may be used for.
#[derive(Clone)]
pub struct PublicKey {
    /// Its name in the ring, in receipts and in messages.
    pub id: String,
    /// What it may sign.
    pub purpose: Purpose,
    /// The name in signed notes, of a log or a witness.
    pub name: Option<String>,
    /// For which tenant an agent or approver may speak; all, when absent.
    pub tenant: Option<String>,
    /// Which agent it is.
    pub agent: Option<String>,
    /// Roles an agent may act in.
    pub roles: Vec<String>,
    /// Groups of an approver.
    pub groups: Vec<String>,
    /// First moment of validity, milliseconds since 1970.
    pub not_before: Option<i64>,
    /// Last moment of validity, milliseconds since 1970.
    pub not_after: Option<i64>,
    /// Moment of revocation, milliseconds since 1970.
    pub revoked: Option<i64>,
    /// First tree size it may sign (log), first place from 1 of what it signed (receipt).
    pub from_size: u64,
    /// Last such size or place.
    pub to_size: u64,
    key: VerifyingKey,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?}, {})", self.id, self.purpose)
    }
}

/// Whether 32 bytes are the one encoding of their y coordinate (RFC 8032 §5.1.3: y < 2^255 - 19).
fn is_canonical(bytes: &[u8]) -> bool {
    let [first, middle @ .., last] = bytes else { return false };
    last & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff) || *first < 0xed
}

impl PublicKey {
    /// A key without limits.
    ///
    /// # Errors
    /// [`KeyError::Config`] when the bytes are no point, not its one encoding, or of small order.
    pub fn new(id: &str, purpose: Purpose, bytes: &[u8; 32]) -> Result<PublicKey, KeyError> {
        let wrong = |what| KeyError::Config(format!("key `{id}`: {what}"));
        if !is_canonical(bytes) {
            return Err(wrong("its public key is no canonical Ed25519 point"));
        }
        let key = VerifyingKey::from_bytes(bytes)
            .map_err(|_| wrong("its public key is no Ed25519 point"))?;
        if key.is_weak() {
            return Err(wrong("its public key is weak: anybody can sign for it"));
        }
        Ok(PublicKey {
            id: id.to_owned(),
            purpose,
            name: None,
            tenant: None,
            agent: None,
            roles: Vec::new(),
            groups: Vec::new(),
            not_before: None,
            not_after: None,
            revoked: None,
            from_size: 0,
            to_size: u64::MAX,
            key,
        })
    }

    /// The key with a name for signed notes.
    #[must_use]
    pub fn named(mut self, name: &str) -> PublicKey {
        self.name = Some(name.to_owned());
        self
    }

    /// The 32 bytes of the key.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// Verifies a signature strictly; says nothing about times and sizes.
    ///
    /// # Errors
    /// [`KeyError::Signature`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        let wrong = || KeyError::Signature { id: self.id.clone() };
        let bytes: &[u8; 64] = signature.try_into().map_err(|_| wrong())?;
        if !is_canonical(&bytes[..32]) {
            return Err(wrong());
        }
        self.key.verify_strict(message, &Signature::from_bytes(bytes)).map_err(|_| wrong())
    }

    /// Whether the key may be used at a time, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`KeyError::OutsideValidity`] or [`KeyError::Revoked`].
    pub fn check_time(&self, when: i64) -> Result<(), KeyError> {
        if self.revoked.is_some_and(|revoked| when >= revoked) {
            return Err(KeyError::Revoked { id: self.id.clone() });
        }
        let early = self.not_before.is_some_and(|first| when < first);
        let late = self.not_after.is_some_and(|last| when > last);
        if early || late {
            return Err(KeyError::OutsideValidity { id: self.id.clone() });
        }
        Ok(())
    }

    /// Whether the key may sign for a tree of a size (or, of a receipt, at a place counted from 1).
    ///
    /// # Errors
    /// [`KeyError::OutsideSizes`].
    pub fn check_size(&self, size: u64) -> Result<(), KeyError> {
        if (self.from_size..=self.to_size).contains(&size) {
            return Ok(());
        }
        Err(KeyError::OutsideSizes {
            id: self.id.clone(),
            size,
            from: self.from_size,
            to: self.to_size,
        })
    }
}

/// Public keys by id.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    keys: BTreeMap<String, Arc<PublicKey>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    #[serde(default)]
    key: Vec<KeyEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    id: String,
    purpose: Purpose,
    algorithm: Algorithm,
    public: String,
    name: Option<String>,
    tenant: Option<String>,
    agent: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    not_before: Option<toml::value::Datetime>,
    not_after: Option<toml::value::Datetime>,
    revoked: Option<toml::value::Datetime>,
    from_size: Option<u64>,
    to_size: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Algorithm {
    Ed25519,
}

/// Bytes before the key in a SubjectPublicKeyInfo (RFC 8410 §4) and in a PKCS #8 private key (§7).
const PUBLIC_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const PRIVATE_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Largest `keys.toml` that is read, in bytes.
const MAX_KEYS_FILE: u64 = 4 << 20;

impl Keyring {
    /// An empty ring.
    pub fn new() -> Keyring {
        Keyring::default()
    }

    /// Reads the text of a `keys.toml`.
    ///
    /// # Errors
    /// [`KeyError::Config`] with the key and what is wrong with it.
    pub fn from_toml(source: &str) -> Result<Keyring, KeyError> {
        let file: KeysFile = toml::from_str(source).map_err(|error| {
            let line = error.span().map_or(0, |span| {
                1 + source.bytes().take(span.start).filter(|byte| *byte == b'\n').count()
            });
            KeyError::Config(format!("line {line}: {}", error.message().replace('\n', " ")))
        })?;
        let mut ring = Keyring::new();
        for entry in file.key {
            ring.add(entry.into_key()?)?;
        }
        Ok(ring)
    }

    /// Reads a `keys.toml`.
    ///
    /// # Errors
    /// [`KeyError::File`] when it cannot be read, else as [`Keyring::from_toml`].
    pub fn load(path: &Path) -> Result<Keyring, KeyError> {
        let mut source = String::new();
        // One byte more than may be: a file that was cut would lose keys, and what revokes them.
        File::open(path)
            .and_then(|file| file.take(MAX_KEYS_FILE + 1).read_to_string(&mut source))
            .map_err(|error| file_error(path, &error.to_string()))?;
        if source.len() as u64 > MAX_KEYS_FILE {
            return Err(file_error(path, "is longer than 4 MiB: take keys out that are long over"));
        }
        Keyring::from_toml(&source)
    }

    /// Takes in a key.
    ///
    /// # Errors
    /// [`KeyError::Config`] when its id is there, or its bytes are there for another purpose or name: a
    /// signature could then be taken for something it was not given for.
    pub fn add(&mut self, key: PublicKey) -> Result<(), KeyError> {
        if self.keys.contains_key(&key.id) {
            return Err(KeyError::Config(format!("key `{}` is there twice", key.id)));
        }
        let twin = self.keys.values().find(|other| {
            other.to_bytes() == key.to_bytes()
                && (other.purpose != key.purpose || other.name != key.name)
        });
        if let Some(twin) = twin {
            return Err(KeyError::Config(format!(
                "keys `{}` and `{}` are the same key for different uses: make one for each",
                twin.id, key.id
            )));
        }
        self.keys.insert(key.id.clone(), Arc::new(key));
        Ok(())
    }

    /// The key of an id and purpose.
    ///
    /// # Errors
    /// [`KeyError::Unknown`].
    pub fn get(&self, id: &str, purpose: Purpose) -> Result<&Arc<PublicKey>, KeyError> {
        self.keys
            .get(id)
            .filter(|key| key.purpose == purpose)
            .ok_or_else(|| KeyError::Unknown { id: id.to_owned(), purpose })
    }

    /// All keys of a purpose, by id.
    pub fn of(&self, purpose: Purpose) -> impl Iterator<Item = &PublicKey> {
        self.keys.values().map(Arc::as_ref).filter(move |key| key.purpose == purpose)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl KeyEntry {
    fn into_key(self) -> Result<PublicKey, KeyError> {
        let Algorithm::Ed25519 = self.algorithm;
        let wrong = |what: &str| KeyError::Config(format!("key `{}`: {what}", self.id));
        if self.id.is_empty() || self.id.len() > 256 || self.id.chars().any(char::is_control) {
            return Err(KeyError::Config("an id must be 1 to 256 printable bytes".to_owned()));
        }
        let decoded = text::from_base64(&self.public)
            .ok_or_else(|| wrong("`public` must be base64 with padding"))?;
        let bytes: [u8; 32] =
            decoded
                .strip_prefix(&PUBLIC_PREFIX)
                .unwrap_or(&decoded)
                .try_into()
                .map_err(|_| wrong("`public` must be the 32 bytes of an Ed25519 key, in base64"))?;
        let noted = matches!(self.purpose, Purpose::Log | Purpose::Witness);
        match &self.name {
            Some(name) if !is_note_name(name) => {
                return Err(wrong("`name` must be without spaces and `+`"));
            }
            None if noted => return Err(wrong("a log or witness key needs a `name`")),
            _ => {}
        }
        let time = |field: &str, when: &Option<toml::value::Datetime>| match when {
            None => Ok(None),
            Some(when) => text::milliseconds(when).map(Some).ok_or_else(|| {
                wrong(&format!(
                    "`{field}` must be a date, a time and an offset: 2026-01-01T00:00:00Z"
                ))
            }),
        };
        let (from_size, to_size) = (self.from_size.unwrap_or(0), self.to_size.unwrap_or(u64::MAX));
        if from_size > to_size {
            return Err(wrong("`from_size` is beyond `to_size`"));
        }
        Ok(PublicKey {
            not_before: time("not_before", &self.not_before)?,
            not_after: time("not_after", &self.not_after)?,
            revoked: time("revoked", &self.revoked)?,
            from_size,
            to_size,
            name: self.name,
            tenant: self.tenant,
            agent: self.agent,
            roles: self.roles,
            groups: self.groups,
            ..PublicKey::new(&self.id, self.purpose, &bytes)?
        })
    }
}

/// Whether a text can be the name of a key in a signed note.
pub(crate) fn is_note_name(name: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    !name.is_empty() && name.len() <= 255 && name.chars().all(plain)
}

fn file_error(path: &Path, reason: &str) -> KeyError {
    KeyError::File { path: path.display().to_string(), reason: reason.to_owned() }
}

/// A private key; its bytes are overwritten when it goes.
pub struct PrivateKey {
    key: SigningKey,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}

impl PrivateKey {
    /// A new key from the system's randomness.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<PrivateKey, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|_| KeyError::Random)?;
        Ok(PrivateKey::from_seed(&seed))
    }

    /// The key of a seed (RFC 8032 §5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> PrivateKey {
        PrivateKey { key: SigningKey::from_bytes(seed) }
    }

    /// Reads PEM of PKCS #8, as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// [`KeyError::File`] when it is not there, readable by others than its owner, or no such key.
    pub fn read(path: &Path) -> Result<PrivateKey, KeyError> {
        let wrong = |reason: &str| file_error(path, reason);
        let mut file = File::open(path).map_err(|error| wrong(&error.to_string()))?;
        let metadata = file.metadata().map_err(|error| wrong(&error.to_string()))?;
        if !metadata.is_file() {
            return Err(wrong("is no file"));
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(wrong("others may read or write it: type `chmod 600` and make a new key"));
        }
        let owner = metadata.uid();
        let user = rustix::process::geteuid();
        if owner != user.as_raw() && !user.is_root() {
            return Err(wrong("it belongs to another user"));
        }
        // The whole buffer is taken at once: a buffer that grows leaves copies of the key behind.
        let mut pem = Zeroizing::new([0_u8; 512]);
        let mut length = 0;
        loop {
            match file.read(&mut pem[length..]).map_err(|error| wrong(&error.to_string()))? {
                0 => break,
                more => length += more,
            }
        }
        let body = std::str::from_utf8(&pem[..length])
            .ok()
            .and_then(|text| text.trim().strip_prefix("-----BEGIN PRIVATE KEY-----"))
            .and_then(|text| text.strip_suffix("-----END PRIVATE KEY-----"))
            .ok_or_else(|| wrong("is no PEM of a private key"))?;
        let decoded = Zeroizing::new(text::from_base64(body.trim()).unwrap_or_default());
        let seed: &[u8; 32] = decoded
            .strip_prefix(&PRIVATE_PREFIX)
            .and_then(|seed| seed.try_into().ok())
            .ok_or_else(|| {
                wrong("is no Ed25519 key: `openssl genpkey -algorithm ed25519` makes one")
            })?;
        Ok(PrivateKey::from_seed(seed))
    }

    /// Writes a new file that only its owner reads (mode 0600), and flushes it.
    ///
    /// # Errors
    /// [`KeyError::File`]; a file that is there is never replaced.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        let wrong = |error: std::io::Error| file_error(path, &error.to_string());
        let mut der = Zeroizing::new([0_u8; 48]);
        der[..16].copy_from_slice(&PRIVATE_PREFIX);
        der[16..].copy_from_slice(Zeroizing::new(self.key.to_bytes()).as_slice());
        let body = Zeroizing::new(text::base64(der.as_slice()));
        let mut file =
            File::options().write(true).create_new(true).mode(0o600).open(path).map_err(wrong)?;
        file.write_all(b"-----BEGIN PRIVATE KEY-----\n")
            .and_then(|()| file.write_all(body.as_bytes()))
            .and_then(|()| file.write_all(b"\n-----END PRIVATE KEY-----\n"))
            .and_then(|()| file.sync_all())
            .map_err(wrong)
    }

    /// The scalar of the key, for agreeing on secrets (X25519) with who holds its public half. Overwrite it.
    pub fn scalar(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_scalar_bytes())
    }

    /// Signs (RFC 8032, pure Ed25519).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let pair = Zeroizing::new(self.key.to_keypair_bytes());
        signing::sign(&pair, message).unwrap_or_else(|| self.key.sign(message).to_bytes())
    }

    /// The public half, 32 bytes.
    pub fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// The public half as the base64 that `keys.toml` takes.
    pub fn public_base64(&self) -> String {
        text::base64(&self.public())
    }
}
