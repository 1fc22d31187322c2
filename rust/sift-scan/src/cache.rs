//! The private cache of compiled user rules: a compiled database is native data that the engine trusts,
//! so it is only read from a folder that nobody else can write to, and only if its envelope is whole.
//!
//! Every failure here means "not cached": a scanner never fails for its cache.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

/// Names the folder; empty switches the cache off.
const VARIABLE: &str = "SIFT_FAST_CACHE";

/// Larger files are not databases of ours.
const MAX_BYTES: u64 = 256 << 20;

/// The file name for these expressions and this engine.
pub(crate) fn key(expressions: &[String], engine: &str) -> String {
    let mut hash = Sha256::new();
    for field in std::iter::once(engine).chain(expressions.iter().map(String::as_str)) {
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(field.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The stored bytes, if there are any that can be trusted.
pub(crate) fn load(key: &str) -> Option<Vec<u8>> {
    read(&folder()?, key)
}

/// Stores bytes; the file appears whole or not at all.
pub(crate) fn store(key: &str, bytes: &[u8]) {
    if let Some(folder) = folder() {
        write(&folder, key, bytes);
    }
}

fn folder() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(VARIABLE) {
        return (!path.is_empty()).then(|| PathBuf::from(path));
    }
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    base.is_absolute().then(|| base.join("sift-fast").join("databases"))
}

/// Whether a folder is ours alone: no link, our user, nobody else may write.
fn is_private(folder: &Path) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|meta| {
        meta.is_dir()
            && meta.uid() == rustix::process::geteuid().as_raw()
            && meta.mode() & 0o022 == 0
    })
}

fn read(folder: &Path, key: &str) -> Option<Vec<u8>> {
    if !is_private(folder) {
        return None;
    }
    // Not to follow a link, and not to wait for a pipe.
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(folder.join(key)).ok()?;
    let meta = file.metadata().ok()?;
    let ours = meta.is_file()
        && meta.uid() == rustix::process::geteuid().as_raw()
        && meta.mode() & 0o022 == 0
        && meta.len() <= MAX_BYTES;
    if !ours {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    // A file copied to another name would search for other rules than those it is loaded for.
    bytes.strip_prefix(key.as_bytes()).map(<[u8]>::to_vec)
}

fn write(folder: &Path, key: &str, bytes: &[u8]) {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    if made.is_err() || !is_private(folder) {
        return;
    }
    // Two threads may write the same key at once: neither may remove the other's file.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!("{key}.{}.{number}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(key.as_bytes())?;
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, folder.join(key)));
    if written.is_err() {
        // A full disk leaves a piece behind; whether it goes is no concern of the scan.
        let _ = fs::remove_file(&temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_a_private_folder_is_read() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("databases");
        write(&folder, "a", b"bytes");
        assert_eq!(read(&folder, "a").as_deref(), Some(b"bytes".as_slice()));
        assert_eq!(read(&folder, "b"), None);
        fs::copy(folder.join("a"), folder.join("b")).unwrap();
        assert_eq!(read(&folder, "b"), None, "the content of another key");

        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(read(&folder, "a"), None);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();

        fs::set_permissions(folder.join("a"), fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(read(&folder, "a"), None);

        std::os::unix::fs::symlink(folder.join("a"), folder.join("link")).unwrap();
        assert_eq!(read(&folder, "link"), None);
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert_eq!(read(&link, "a"), None);
    }

    #[test]
    fn the_key_tells_neighbours_apart() {
        let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_ne!(key(&strings(&["ab", "c"]), "5"), key(&strings(&["a", "bc"]), "5"));
        assert_ne!(key(&strings(&["a"]), "5.4.0"), key(&strings(&["a"]), "5.4.2"));
    }
}
