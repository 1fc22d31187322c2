//! One process for one folder of state, and none that was forked from it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{flock, FlockOperation};
use rustix::io::Errno;

use crate::error::{file, KernelError, Result};

/// Holds a folder for this process. The system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Hold {
    _file: File,
}

impl Hold {
    /// Errors: somebody else holds it, and who that is.
    pub(crate) fn take(folder: &Path) -> Result<Self> {
        let path = folder.join("kernel.lock");
        let failed = |error: std::io::Error| file(&path, "open", &error);
        let mut held = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match flock(&held, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let _ = (&mut held).take(32).read_to_string(&mut holder);
                let holder: u32 = holder.trim().parse().unwrap_or(0);
                return Err(KernelError::Config(format!(
                    "`{}` is open in process {holder}: one process works with it, so close it there first",
                    folder.display()
                )));
            }
            Err(error) => return Err(failed(error.into())),
        }
        let process = std::process::id();
        held.set_len(0)
            .and_then(|()| held.rewind())
            .and_then(|()| writeln!(held, "{process}"))
            .map_err(failed)?;
        Ok(Self { _file: held })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let folder = tempfile::tempdir().unwrap();
        let first = Hold::take(folder.path()).unwrap();
        let error = Hold::take(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        Hold::take(folder.path()).unwrap();
    }
}
