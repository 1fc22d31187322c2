//! The register of pseudonyms, and the vault: a register that is told apart by its tag, can be sealed
//! in a file and gives values back.
//!
//! A placeholder of a vault is `<EMAIL_ADDRESS_1:b7kx2m>`: entity type, number of the value, tag of the
//! vault. Numbers count from 1 for each entity type, in the order in which values are met.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use zeroize::Zeroizing;

use crate::key::{to_hex, Key, NONCE_BYTES};

/// Bytes of a tag.
pub(crate) const TAG_BYTES: usize = 6;
/// The letters of a tag: none that are read for one another, and no vowels, so that it is no word.
const TAG_LETTERS: &[u8; 20] = b"bcdfghjkmnpqrstvwxyz";
/// The one digit of a tag, or all that tags of older files have. With two or three, one tag in forty reads as
/// a postcode or a number plate, which a second redaction would take out of every placeholder.
const TAG_DIGITS: &[u8; 8] = b"23456789";
/// Longest entity type whose placeholders are read; longer ones must not be made.
pub const MAX_ENTITY: usize = 64;

const MAGIC: &[u8; 8] = b"siftvlt1";
const HEADER_BYTES: usize = MAGIC.len() + 8 + TAG_BYTES;

/// Bounds on what a register holds.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Most values.
    pub entries: usize,
    /// Most bytes of values together.
    pub bytes: usize,
}

/// Why a vault does not do what it was asked. No message holds a value.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is no room for another value.
    #[error("the vault is full ({0} reached): begin a new one, or give it a larger bound")]
    Full(&'static str),
    /// The process is a copy of the one that made it; both would give out the same numbers.
    #[error(
        "the vault belongs to the process this one was forked from: save it there and load it here"
    )]
    Forked,
    /// A thread died while it held the vault.
    #[error("the vault was left in an unknown state by a thread that died: load it again")]
    Broken,
    /// The system has no randomness.
    #[error("the system gives no random bytes, which a vault needs")]
    Random,
    /// The file cannot be read or written.
    #[error("the vault file cannot be {0}: {why}", why = why(.1))]
    File(&'static str, std::io::ErrorKind),
    /// The file is no vault.
    #[error("the file is no vault of this version, or not all of one")]
    Foreign,
    /// The file is sealed with another key.
    #[error("the vault file is sealed with the key {0}, not with this one")]
    Key(String),
    /// The file is cut or was changed.
    #[error("the vault file is cut short or was changed: restore it from a backup")]
    Damaged,
    /// Somebody else has saved the same vault since: both gave out the same numbers for other values.
    #[error(
        "the vault file was saved by another process since it was read: load it again, or save to another place"
    )]
    Overtaken,
    /// The file holds another vault, whose values would be gone, or something that is no vault.
    #[error(
        "the file holds another vault or no vault at all: load that one, save to another place, or remove the file first"
    )]
    Other,
}

/// An I/O error in words; the kind's own call what is missing an entity, which here is what a rule finds.
fn why(kind: &std::io::ErrorKind) -> String {
    match kind {
        std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        kind => kind.to_string(),
    }
}

/// A value; overwritten with zeros when it is dropped.
#[derive(Clone, PartialEq, Eq)]
struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_slice().hash(state);
    }
}

impl Borrow<[u8]> for Secret {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// Which value has which number.
#[derive(Default)]
pub struct Register {
    entities: HashMap<String, Entity>,
    entries: usize,
    bytes: usize,
}

#[derive(Default)]
struct Entity {
    numbers: HashMap<Secret, usize>,
    /// By number, from 1 on.
    values: Vec<Secret>,
}

impl Register {
    /// The numbers of values, given in text order with their entity types; new ones are counted on.
    ///
    /// Errors: there is no room for all of them. Then nothing was added.
    pub fn number(
        &mut self,
        values: &[(&str, &[u8])],
        capacity: Capacity,
    ) -> Result<Vec<usize>, VaultError> {
        let known = |entity: &str, value: &[u8]| {
            self.entities.get(entity).and_then(|e| e.numbers.get(value)).copied()
        };
        // What is new is counted twice if it is there twice: only a vault that is nearly full minds.
        let new = values.iter().filter(|(entity, value)| known(entity, value).is_none());
        let (entries, bytes) = new.fold((0, 0), |(n, sum), (_, value)| (n + 1, sum + value.len()));
        if self.entries + entries > capacity.entries || self.bytes + bytes > capacity.bytes {
            self.check_room(values, capacity)?;
        }
        Ok(values.iter().map(|(entity, value)| self.add(entity, value)).collect())
    }

    fn check_room(&self, values: &[(&str, &[u8])], capacity: Capacity) -> Result<(), VaultError> {
        let mut new = std::collections::HashSet::new();
        let mut bytes = self.bytes;
        for (entity, value) in values {
            let known = self.entities.get(*entity).is_some_and(|e| e.numbers.contains_key(*value));
            if !known && new.insert((entity, value)) {
                bytes += value.len();
            }
        }
        if self.entries + new.len() > capacity.entries {
            return Err(VaultError::Full("its number of entries"));
        }
        if bytes > capacity.bytes {
            return Err(VaultError::Full("its number of bytes"));
        }
        Ok(())
    }

    fn add(&mut self, entity: &str, value: &[u8]) -> usize {
        if !self.entities.contains_key(entity) {
            self.entities.insert(entity.to_owned(), Entity::default());
        }
        let Some(known) = self.entities.get_mut(entity) else { return 0 };
        if let Some(&number) = known.numbers.get(value) {
            return number;
        }
        let secret = Secret(Arc::new(Zeroizing::new(value.to_vec())));
        known.values.push(secret.clone());
        let number = known.values.len();
        known.numbers.insert(secret, number);
        self.entries += 1;
        self.bytes += value.len();
        number
    }

    fn value(&self, entity: &str, number: usize) -> Option<&[u8]> {
        let values = &self.entities.get(entity)?.values;
        Some(values.get(number.checked_sub(1)?)?.borrow())
    }

    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Bytes of memory it holds, about.
    pub fn memory(&self) -> usize {
        // A value is held once, with two references to it and a number.
        const EACH: usize = 3 * size_of::<Secret>() + 2 * size_of::<Vec<u8>>();
        self.bytes + self.entries * EACH
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let overhead = self.entries * 4 + self.entities.keys().map(|e| e.len() + 8).sum::<usize>();
        // All at once: a buffer that grows would leave unsealed copies behind.
        let mut out = Zeroizing::new(Vec::with_capacity(self.bytes + overhead));
        let mut names: Vec<&String> = self.entities.keys().collect();
        names.sort_unstable();
        for name in names {
            let Some(entity) = self.entities.get(name) else { continue };
            put(&mut out, name.as_bytes());
            out.extend_from_slice(&(entity.values.len() as u32).to_le_bytes());
            entity.values.iter().for_each(|value| put(&mut out, value.borrow()));
        }
        out
    }

    fn decode(mut text: &[u8], capacity: Capacity) -> Result<Self, VaultError> {
        let mut register = Self::default();
        while !text.is_empty() {
            let name = take(&mut text).and_then(|name| std::str::from_utf8(name).ok());
            let name = name.ok_or(VaultError::Damaged)?;
            let count = take_number(&mut text).ok_or(VaultError::Damaged)?;
            for number in 1..=count {
                let value = take(&mut text).ok_or(VaultError::Damaged)?;
                if register.number(&[(name, value)], capacity)? != [number] {
                    return Err(VaultError::Damaged);
                }
            }
        }
        Ok(register)
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn take_number(text: &mut &[u8]) -> Option<usize> {
    let (number, rest) = text.split_first_chunk::<4>()?;
    *text = rest;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

fn take<'a>(text: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_number(text)?;
    let (value, rest) = text.split_at_checked(length)?;
    *text = rest;
    Some(value)
}

/// A reversible map between values and placeholders, shared by threads of one process.
pub struct Vault {
    key: Key,
    tag: [u8; TAG_BYTES],
    capacity: Capacity,
    process: u32,
    register: Mutex<Register>,
    /// The nonce of the file as it was last read or written here: one that has another was saved by others.
    seen: Mutex<Option<[u8; NONCE_BYTES]>>,
}

impl Vault {
    /// An empty vault with a tag of its own.
    pub fn new(key: Key, capacity: Capacity) -> Result<Self, VaultError> {
        let mut tag = random::<TAG_BYTES>()?;
        let [place, digit] = random::<2>()?.map(usize::from);
        // The first 16 letters and the first four places are met a little more often: it costs 0.01 bits of 27.
        tag.iter_mut().for_each(|byte| *byte = TAG_LETTERS[usize::from(*byte) % TAG_LETTERS.len()]);
        tag[place % TAG_BYTES] = TAG_DIGITS[digit % TAG_DIGITS.len()];
        Ok(Self::with(key, tag, capacity, Register::default(), None))
    }

    fn with(
        key: Key,
        tag: [u8; TAG_BYTES],
        capacity: Capacity,
        register: Register,
        seen: Option<[u8; NONCE_BYTES]>,
    ) -> Self {
        let (register, seen) = (Mutex::new(register), Mutex::new(seen));
        Self { key, tag, capacity, process: std::process::id(), register, seen }
    }

    /// What its placeholders end with.
    pub fn tag(&self) -> &str {
        std::str::from_utf8(&self.tag).unwrap_or_default()
    }

    pub(crate) fn tag_bytes(&self) -> [u8; TAG_BYTES] {
        self.tag
    }

    /// The key it is sealed with.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// An error in a forked child, where another thread of the parent may hold the lock for ever.
    pub fn check_process(&self) -> Result<(), VaultError> {
        if std::process::id() == self.process {
            Ok(())
        } else {
            Err(VaultError::Forked)
        }
    }

    fn open_register(&self) -> Result<MutexGuard<'_, Register>, VaultError> {
        self.check_process()?;
        self.register.lock().map_err(|_| VaultError::Broken)
    }

    /// How many values it holds.
    pub fn len(&self) -> Result<usize, VaultError> {
        Ok(self.open_register()?.len())
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> Result<bool, VaultError> {
        Ok(self.len()? == 0)
    }

    /// As [`Register::number`], all or nothing.
    pub fn number(&self, values: &[(&str, &[u8])]) -> Result<Vec<usize>, VaultError> {
        self.open_register()?.number(values, self.capacity)
    }

    /// The value of a placeholder.
    pub(crate) fn value(
        &self,
        entity: &str,
        number: usize,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let register = self.open_register()?;
        Ok(register.value(entity, number).map(|value| Zeroizing::new(value.to_vec())))
    }

    /// Writes everything into a file, sealed, readable by its owner only: all of it or nothing, whatever
    /// happens meanwhile. Replaced is an empty file or this vault's own: no other file, nor one that others have
    /// saved since.
    pub fn save(&self, path: &Path) -> Result<(), VaultError> {
        let mut header = [&MAGIC[..], self.key.id().as_bytes(), &self.tag].concat();
        let nonce = random::<NONCE_BYTES>()?;
        // Held to the end: of two threads that save, the one with fewer values must not be the last.
        let mut seen = self.seen.lock().map_err(|_| VaultError::Broken)?;
        let sealed = {
            let text = self.open_register()?.encode();
            self.key.seal_vault(&nonce, &header, &text).ok_or(VaultError::Random)?
        };
        header.extend_from_slice(&nonce);
        let failed = |error: std::io::Error| VaultError::File("written", error.kind());
        // A rename would put the file in the place of a device or a pipe, and of a link instead of its target.
        let path = &match fs::canonicalize(path) {
            Ok(there) if there.is_file() => there,
            Ok(_) => return Err(VaultError::File("written", std::io::ErrorKind::InvalidInput)),
            Err(_) => path.to_owned(),
        };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Until the name is in its place: of two that look and then write, the second would replace what it has
        // not seen. Let go when it is closed; a file beside the vault would stay behind.
        let folder_file = File::open(folder).map_err(failed)?;
        match folder_file.lock() {
            Err(error) if error.kind() != std::io::ErrorKind::Unsupported => {
                return Err(failed(error));
            }
            _ => {}
        }
        match saved_at(path).map_err(failed)? {
            None => {}
            Some((tag, _)) if tag != self.tag => return Err(VaultError::Other),
            Some((_, there)) if there.is_none() || there != *seen => {
                return Err(VaultError::Overtaken)
            }
            Some(_) => {}
        }
        let suffix = to_hex(&random::<8>()?);
        let name = path
            .file_name()
            .ok_or(VaultError::File("written", std::io::ErrorKind::InvalidInput))?;
        let mut temporary = name.to_owned();
        temporary.push(format!(".{suffix}.tmp"));
        let temporary = folder.join(temporary);
        let written = (|| {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(&header)?;
            file.write_all(&sealed)?;
            file.sync_all()?;
            fs::rename(&temporary, path)?;
            // The name is in the folder, which has to reach the disk as well.
            folder_file.sync_all()
        })();
        if written.is_err() {
            // It may not be there, or be there no more.
            let _ = fs::remove_file(&temporary);
        }
        written.map_err(failed)?;
        *seen = Some(nonce);
        Ok(())
    }

    /// The vault that was saved with the same key.
    pub fn load(key: Key, path: &Path, capacity: Capacity) -> Result<Self, VaultError> {
        let failed = |error: std::io::Error| VaultError::File("read", error.kind());
        // Asked before it is opened: opening a pipe waits for a writer.
        if !fs::metadata(path).map_err(failed)?.is_file() {
            return Err(VaultError::Foreign);
        }
        let file = File::open(path).map_err(failed)?;
        // More than the capacity allows cannot be taken in: each entry has four bytes of length, and
        // entity types are few and short.
        let most = capacity
            .bytes
            .saturating_add(capacity.entries.saturating_mul(16))
            .saturating_add(1 << 20);
        let mut bytes = Vec::new();
        file.take(most as u64).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() == most {
            return Err(VaultError::Full("the size of its file"));
        }
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES).ok_or(VaultError::Foreign)?;
        let (id, tag) = header
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.split_at_checked(8))
            .ok_or(VaultError::Foreign)?;
        let tag: [u8; TAG_BYTES] = tag.try_into().map_err(|_| VaultError::Foreign)?;
        if !tag.iter().all(|byte| TAG_LETTERS.contains(byte) || TAG_DIGITS.contains(byte))
            || !id.iter().all(u8::is_ascii_hexdigit)
        {
            return Err(VaultError::Damaged);
        }
        if id != key.id().as_bytes() {
            return Err(VaultError::Key(String::from_utf8_lossy(id).into_owned()));
        }
        let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES).ok_or(VaultError::Damaged)?;
        let text = key.open_vault(nonce, header, sealed).ok_or(VaultError::Damaged)?;
        let register = Register::decode(&text, capacity)?;
        let seen = nonce.try_into().map_err(|_| VaultError::Damaged)?;
        Ok(Self::with(key, tag, capacity, register, Some(seen)))
    }
}

/// Tag and nonce of a vault that was saved, as far as they are there.
type Saved = (Vec<u8>, Option<[u8; NONCE_BYTES]>);

/// What is saved in a file; none if the file is empty or not there, and no tag if it is no vault. An error if it
/// cannot be read: it might hold one.
fn saved_at(path: &Path) -> std::io::Result<Option<Saved>> {
    let mut head = Vec::new();
    let most = HEADER_BYTES + NONCE_BYTES;
    match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file?.take(most as u64).read_to_end(&mut head)?,
    };
    if head.is_empty() {
        return Ok(None);
    }
    let rest = head.strip_prefix(MAGIC).unwrap_or_default();
    let tag = rest.get(HEADER_BYTES - MAGIC.len() - TAG_BYTES..).unwrap_or_default();
    let (tag, nonce) = tag.split_at(TAG_BYTES.min(tag.len()));
    Ok(Some((tag.to_vec(), nonce.try_into().ok())))
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({}, {:?})", self.tag(), self.key)
    }
}

fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| VaultError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Capacity = Capacity { entries: 4, bytes: 40 };

    fn vault() -> Vault {
        Vault::new(Key::new(&[3; 32]), ROOM).unwrap()
    }

    #[test]
    fn numbers_count_by_entity_and_stay() {
        let vault = vault();
        let values: [(&str, &[u8]); 4] = [("A", b"x"), ("B", b"x"), ("A", b"y"), ("A", b"x")];
        assert_eq!(vault.number(&values).unwrap(), [1, 1, 2, 1]);
        assert_eq!(vault.number(&[("A", b"y")]).unwrap(), [2]);
        assert_eq!(vault.len().unwrap(), 3);
        assert_eq!(**vault.value("A", 2).unwrap().unwrap(), *b"y");
        for (entity, number) in [("A", 0), ("A", 3), ("C", 1)] {
            assert!(vault.value(entity, number).unwrap().is_none());
        }
    }

    #[test]
    fn a_full_vault_takes_all_or_nothing() {
        let vault = vault();
        vault.number(&[("A", b"1"), ("A", b"2"), ("A", b"3")]).unwrap();
        assert!(vault.number(&[("A", b"4"), ("A", b"5")]).is_err());
        assert_eq!(vault.len().unwrap(), 3);
        // What is there twice needs room once.
        assert_eq!(vault.number(&[("A", b"4"), ("A", b"4"), ("A", b"1")]).unwrap(), [4, 4, 1]);
        assert!(vault.number(&[("A", &[0; 50])]).is_err());
        assert_eq!(vault.number(&[("A", b"1")]).unwrap(), [1]);
    }

    #[test]
    fn files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a vault");
        let vault = vault();
        vault.number(&[("A", b"first"), ("B", b""), ("A", &[0xff, 0])]).unwrap();
        vault.save(&path).unwrap();
        vault.save(&path).unwrap();
        let names = || fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names(), 1);
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let key = || Key::new(&[3; 32]);
        let again = Vault::load(key(), &path, ROOM).unwrap();
        assert_eq!(again.tag(), vault.tag());
        assert_eq!(again.len().unwrap(), 3);
        assert_eq!(again.number(&[("A", &[0xff, 0]), ("A", b"new")]).unwrap(), [2, 3]);

        let error = |key: Key, path: &Path| Vault::load(key, path, ROOM).unwrap_err();
        assert!(matches!(error(Key::new(&[4; 32]), &path), VaultError::Key(_)));
        let small = Capacity { entries: 2, bytes: 40 };
        assert!(matches!(Vault::load(key(), &path, small), Err(VaultError::Full(_))));
        assert!(matches!(error(key(), folder.path()), VaultError::Foreign));
        assert!(matches!(error(key(), &folder.path().join("none")), VaultError::File("read", _)));

        // Cut anywhere, changed anywhere: never a vault, never a panic.
        let whole = fs::read(&path).unwrap();
        assert!(!whole.windows(5).any(|part| part == b"first"));
        let other = folder.path().join("other");
        for length in 0..whole.len() {
            fs::write(&other, &whole[..length]).unwrap();
            error(key(), &other);
            let mut changed = whole.clone();
            changed[length] ^= 1;
            fs::write(&other, &changed).unwrap();
            error(key(), &other);
        }
        let nowhere = folder.path().join("no/such/folder/vault");
        assert!(matches!(vault.save(&nowhere), Err(VaultError::File("written", _))));
        fs::remove_file(&other).unwrap();
        assert!(vault.save(folder.path()).is_err());
        assert_eq!(names(), 1);
    }

    #[test]
    fn a_save_does_not_undo_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault");
        let first = vault();
        first.save(&path).unwrap();
        let second = Vault::load(Key::new(&[3; 32]), &path, ROOM).unwrap();
        second.number(&[("A", b"2")]).unwrap();
        second.save(&path).unwrap();
        first.number(&[("A", b"1")]).unwrap();
        assert!(matches!(first.save(&path), Err(VaultError::Overtaken)));
        first.save(&folder.path().join("another")).unwrap();
        second.save(&path).unwrap();
        let there = Vault::load(Key::new(&[3; 32]), &path, ROOM).unwrap();
        assert_eq!(**there.value("A", 1).unwrap().unwrap(), *b"2");
    }

    #[test]
    fn of_two_saves_at_once_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..50 {
            let path = folder.path().join(format!("vault-{round}"));
            let first = vault();
            first.save(&path).unwrap();
            let second = Vault::load(Key::new(&[3; 32]), &path, ROOM).unwrap();
            first.number(&[("A", b"1")]).unwrap();
            second.number(&[("A", b"2")]).unwrap();
            let start = std::sync::Barrier::new(2);
            let save = |vault: &Vault| {
                start.wait();
                vault.save(&path)
            };
            let (one, two) = std::thread::scope(|scope| {
                let one = scope.spawn(|| save(&first));
                (save(&second), one.join().unwrap())
            });
            assert_eq!([&one, &two].into_iter().filter(|it| it.is_ok()).count(), 1);
            let told = [one, two].into_iter().find_map(Result::err);
            assert!(matches!(told, Some(VaultError::Overtaken)));
        }
    }

    #[test]
    fn a_vault_that_cannot_be_read_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault");
        // A file in the place of a folder: neither there nor not there.
        fs::write(&path, b"").unwrap();
        assert!(saved_at(&path.join("inside")).is_err());
        assert!(saved_at(&folder.path().join("none")).unwrap().is_none());
    }

    /// Its older values would be gone, and so would a file that was named by a slip.
    #[test]
    fn a_save_does_not_take_another_vault_s_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault");
        let first = vault();
        first.number(&[("A", b"1")]).unwrap();
        first.save(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        let foreign = Vault::new(Key::new(&[4; 32]), ROOM).unwrap();
        for other in [vault(), foreign] {
            assert!(matches!(other.save(&path), Err(VaultError::Other)));
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
        // What is left of one that was cut short is for its owner to look at.
        for length in [MAGIC.len(), HEADER_BYTES - 1, HEADER_BYTES, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(vault().save(&path).is_err());
        }
        for other in [&b"some text"[..], b"s", &MAGIC[..7]] {
            fs::write(&path, other).unwrap();
            assert!(matches!(vault().save(&path), Err(VaultError::Other)));
            assert_eq!(fs::read(&path).unwrap(), other);
        }
        fs::write(&path, b"").unwrap();
        vault().save(&path).unwrap();
    }

    #[test]
    fn a_tag_has_one_digit() {
        for _ in 0..200 {
            let tag = vault().tag_bytes();
            assert_eq!(tag.iter().filter(|byte| byte.is_ascii_digit()).count(), 1);
        }
    }

    #[test]
    fn nothing_is_shown() {
        let vault = vault();
        vault.number(&[("A", b"value")]).unwrap();
        assert_eq!(
            format!("{vault:?}"),
            format!("Vault({}, Key({}))", vault.tag(), vault.key().id())
        );
    }
}
