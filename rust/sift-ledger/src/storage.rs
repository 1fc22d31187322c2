//! What the log asks of a file system, so that tests can take the power away at every write.
//!
//! Paths are relative, with `/`. [`Directory`] is a real folder; a process has it to itself.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

/// A file that is written in place.
pub trait File: Send {
    /// Writes all bytes at a place, with one call where the system takes them.
    ///
    /// # Errors
    /// What the system says. Afterwards any part of the bytes may be there.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns when all that was written is on the medium (`fdatasync`).
    ///
    /// # Errors
    /// What the system says. Afterwards nothing is known of what was written since the last success.
    fn flush(&self) -> io::Result<()>;

    /// [`File::write_at`], then [`File::flush`], in one step where the system has one. Quickest when address, place
    /// and number of the bytes are multiples of 4,096.
    ///
    /// # Errors
    /// What the system says, as for these two.
    fn write_durably(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_at(offset, bytes)?;
        self.flush()
    }
}

/// A folder of files.
pub trait Storage: Send + Sync {
    /// Makes a file of so many zero bytes, written and flushed, its name too: later writes inside change no
    /// metadata, and one `fdatasync` of them costs no commit of the file system's journal.
    ///
    /// # Errors
    /// What the system says; a file of that name is replaced.
    fn create(&self, path: &str, length: u64) -> io::Result<Box<dyn File>>;

    /// Opens a file to write in place.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &str) -> io::Result<Box<dyn File>>;

    /// Reads a file of at most `limit` bytes.
    ///
    /// # Errors
    /// `NotFound`, `InvalidData` when it is longer, or what the system says.
    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>>;

    /// Names in a folder, in any order; none when there is no folder.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Writes a whole file. Not durable before [`Storage::flush`] of its path. Readers see what was there before, or
    /// all of it; after a crash a part may be there.
    ///
    /// # Errors
    /// What the system says; what was there before is still there.
    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()>;

    /// Returns when these files and their names are on the medium.
    ///
    /// # Errors
    /// What the system says.
    fn flush(&self, paths: &[String]) -> io::Result<()>;

    /// Puts a file in the place of another, durably: after a crash it is the old or the new one, whole.
    ///
    /// # Errors
    /// What the system says.
    fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()>;

    /// Renames a file, durably.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file, or a folder with all in it; nothing when it is not there. After a crash it may be back.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &str) -> io::Result<()>;
}

/// A real folder, held by this process alone.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    // Held, and with it the lock, until the end.
    _lock: Option<fs::File>,
}

/// Why a folder cannot be held.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process holds it.
    #[error("the ledger is held by process {holder}: one process writes a ledger; stop it or use its socket")]
    Held {
        /// What it wrote about itself.
        holder: String,
    },
    /// The system refuses.
    #[error("the ledger's folder cannot be opened: {0}")]
    Io(#[from] io::Error),
}

/// More files than this are flushed with all of their file system: each of their own would cost a commit of it.
#[cfg(target_os = "linux")]
const FLUSH_ONE_BY_ONE: usize = 24;

impl Directory {
    /// Opens a folder to write, making it when it is not there.
    ///
    /// # Errors
    /// [`OpenError::Held`] when another process has it.
    pub fn open(root: &Path) -> Result<Directory, OpenError> {
        fs::create_dir_all(root)?;
        // The folder may be new, and its name is in the one above.
        fs::File::open(root.canonicalize()?.parent().unwrap_or(root))?.sync_all()?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(root.join("lock"))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let known = (&lock).take(32).read_to_string(&mut holder).is_ok();
                let digits = known && holder.trim().bytes().all(|byte| byte.is_ascii_digit());
                let holder =
                    if digits && !holder.trim().is_empty() { holder.trim() } else { "unknown" };
                return Err(OpenError::Held { holder: holder.to_owned() });
            }
            Err(error) => return Err(OpenError::Io(error.into())),
        }
        lock.set_len(0)?;
        lock.seek(SeekFrom::Start(0))?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Directory { root: root.to_owned(), _lock: Some(lock) })
    }

    /// Opens a folder to read only, whoever holds it. Writes fail where the file system refuses them.
    pub fn reader(root: &Path) -> Directory {
        Directory { root: root.to_owned(), _lock: None }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn flush_folder(&self, folder: &Path) -> io::Result<()> {
        fs::File::open(folder)?.sync_all()
    }
}

struct RealFile {
    file: fs::File,
    // The same file past the page cache, each write of it returning when it is on the medium; not every file system
    // can do that.
    direct: Option<fs::File>,
}

impl RealFile {
    fn open(path: &Path) -> io::Result<RealFile> {
        let mut options = OpenOptions::new();
        options.write(true);
        let file = options.open(path)?;
        // A record of 8 to 16 KiB, written and flushed on a virtual disk: 26 to 30 us of processor time and 70 us
        // until it is there, where `pwrite` and `fdatasync` took 50 to 70 us and 103 us.
        #[cfg(target_os = "linux")]
        let direct = {
            let flags = rustix::fs::OFlags::DIRECT | rustix::fs::OFlags::DSYNC;
            let flags = i32::try_from(flags.bits()).ok();
            flags.and_then(|flags| options.custom_flags(flags).open(path).ok())
        };
        #[cfg(not(target_os = "linux"))]
        let direct = None;
        Ok(RealFile { file, direct })
    }
}

impl File for RealFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write_durably(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self.direct.as_ref().map(|direct| direct.write_all_at(bytes, offset)) {
            // Refused for how they lie, before anything was written.
            Some(Err(error)) if error.kind() == io::ErrorKind::InvalidInput => {}
            Some(done) => return done,
            None => {}
        }
        self.write_at(offset, bytes)?;
        self.flush()
    }
}

impl Storage for Directory {
    fn create(&self, path: &str, length: u64) -> io::Result<Box<dyn File>> {
        let path = self.at(path);
        let folder = path.parent().unwrap_or(&self.root).to_owned();
        fs::create_dir_all(&folder)?;
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        // Written, not only reserved: the first write to a reserved block changes metadata.
        let zeros = vec![0; 1 << 20];
        let mut left = length;
        while left > 0 {
            let count = left.min(zeros.len() as u64);
            file.write_all(&zeros[..usize::try_from(count).unwrap_or(zeros.len())])?;
            left -= count;
        }
        file.sync_all()?;
        self.flush_folder(&folder)?;
        self.flush_folder(&self.root)?;
        Ok(Box::new(RealFile::open(&path)?))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn File>> {
        Ok(Box::new(RealFile::open(&self.at(path))?))
    }

    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        // Without waiting for whoever writes to a pipe: a ledger that is audited may be anything.
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(self.at(path))?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("is no regular file"));
        }
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than it may be"));
        }
        Ok(bytes)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.at(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.at(path);
        let beside = path.with_extension("new");
        match fs::write(&beside, bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
                fs::write(&beside, bytes)?;
            }
            done => done?,
        }
        fs::rename(&beside, &path)
    }

    fn flush(&self, paths: &[String]) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if paths.len() > FLUSH_ONE_BY_ONE {
            return Ok(rustix::fs::syncfs(fs::File::open(&self.root)?)?);
        }
        let mut folders = BTreeSet::new();
        for path in paths {
            let path = self.at(path);
            fs::File::open(&path)?.sync_all()?;
            // A folder that was made with the file has a name to flush as well.
            folders.extend(
                path.ancestors()
                    .skip(1)
                    .take_while(|folder| folder.starts_with(&self.root))
                    .map(Path::to_owned),
            );
        }
        // From the innermost: a name must not be there before what it names.
        folders.iter().rev().try_for_each(|folder| self.flush_folder(folder))
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.at(path);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        let beside = path.with_extension("new");
        let mut file = fs::File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        self.flush_folder(folder)?;
        self.flush_folder(&self.root)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.at(from), self.at(to));
        fs::rename(&from, &to)?;
        self.flush_folder(to.parent().unwrap_or(&self.root))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let path = self.at(path);
        let done = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match done {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn only_files_are_read_and_nobody_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::reader(folder.path());
        fs::write(folder.path().join("file"), b"text").unwrap();
        std::os::unix::fs::symlink("file", folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("device")).unwrap();
        let pipe = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, folder.path().join("pipe"), pipe, mode, 0).unwrap();
        assert_eq!(directory.read("link", 9).unwrap(), b"text");
        for name in ["pipe", "device", "."] {
            let error = directory.read(name, 9).unwrap_err().to_string();
            assert!(error.contains("no regular file"), "{name}: {error}");
        }
    }

    #[test]
    fn a_record_is_written_wherever_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        const SIZE: usize = 1 << 16;
        let file = directory.create("journal/1.seg", SIZE as u64).unwrap();
        let mut expected = vec![0; SIZE];
        let source: Vec<u8> = (0..SIZE).map(|place| (place % 251) as u8).collect();
        let aligned = source.as_ptr().align_offset(4096);
        // The first as the log writes them; the others lie wrong in memory, in the file, or in their length.
        for (from, offset, length) in [
            (aligned, 4096, 8192),
            (aligned + 1, 16_384, 4096),
            (aligned, 24_001, 4096),
            (aligned, 32_768, 5),
            (aligned, 40_960, 12_288),
        ] {
            let bytes = &source[from..from + length];
            file.write_durably(offset as u64, bytes).unwrap();
            expected[offset..offset + length].copy_from_slice(bytes);
        }
        assert!(directory.read("journal/1.seg", SIZE).unwrap() == expected);
        let again = directory.open("journal/1.seg").unwrap();
        again.write_durably(8192, &source[aligned..aligned + 4096]).unwrap();
        expected[8192..8192 + 4096].copy_from_slice(&source[aligned..aligned + 4096]);
        assert!(directory.read("journal/1.seg", SIZE).unwrap() == expected);
    }

    #[test]
    fn who_reads_a_file_sees_all_of_the_old_or_all_of_the_new() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let name = "tile/0/x001/000.p/5";
        directory.put(name, b"old").unwrap();
        let mut reader = fs::File::open(folder.path().join(name)).unwrap();
        directory.put(name, b"newer").unwrap();
        let mut seen = String::new();
        reader.read_to_string(&mut seen).unwrap();
        assert_eq!(seen, "old");
        assert_eq!(directory.read(name, 10).unwrap(), b"newer");
        assert_eq!(directory.list("tile/0/x001/000.p").unwrap(), ["5"]);
        // What cannot be written leaves what is there.
        fs::create_dir(folder.path().join("tile/0/x001/000.p/5.new")).unwrap();
        directory.put(name, b"newest").unwrap_err();
        assert_eq!(directory.read(name, 10).unwrap(), b"newer");
    }
}
