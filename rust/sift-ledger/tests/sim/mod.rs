//! A file system that can lose power at every call, and fail at every call.
//!
//! What was not flushed is kept, lost or torn by sector, at random; a name that was not flushed may be gone.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

use sift_ledger::storage::{File, Storage};

const SECTOR: usize = 512;

/// A generator with a seed (xorshift64*).
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % bound
    }
}

#[derive(Clone, Default)]
struct Inode {
    durable: Vec<u8>,
    current: Vec<u8>,
}

impl Inode {
    /// What is there after a crash: each sector that was not flushed is old or new.
    fn after_crash(&self, random: &mut Random) -> Vec<u8> {
        if self.durable == self.current {
            return self.current.clone();
        }
        // The length may be that of before, too.
        let length = if random.below(2) == 0 { self.durable.len() } else { self.current.len() };
        let mut bytes = vec![0; length];
        // All, none or a mixture: the first two are the likely ones.
        let mode = random.below(3);
        for start in (0..length).step_by(SECTOR) {
            let new = mode == 0 || (mode == 2 && random.below(2) == 0);
            let from = if new { &self.current } else { &self.durable };
            let end = (start + SECTOR).min(length);
            let have = end.min(from.len());
            if have > start {
                bytes[start..have].copy_from_slice(&from[start..have]);
            }
        }
        bytes
    }
}

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The power goes: this call may have done anything, later ones do nothing.
    Power,
    /// No space is left; a write does a part.
    Full,
    /// The file system turned read-only.
    ReadOnly,
    /// The device reports an error at a flush or write, once; later calls succeed.
    Once,
}

#[derive(Default)]
struct Disk {
    // Inodes by number; names lead to numbers.
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    next: u64,
    calls: u64,
    fault: Option<(u64, Fault)>,
    dead: Option<ErrorKind>,
    random: Option<Random>,
}

impl Disk {
    /// Counts a call that writes; says whether it goes through.
    fn call(&mut self) -> Result<(), Fault> {
        if self.dead.is_some() {
            return Err(Fault::ReadOnly);
        }
        self.calls += 1;
        match self.fault {
            Some((at, fault)) if self.calls == at => {
                self.dead = match fault {
                    Fault::Power => Some(ErrorKind::BrokenPipe),
                    Fault::Full => Some(ErrorKind::StorageFull),
                    Fault::ReadOnly => Some(ErrorKind::ReadOnlyFilesystem),
                    Fault::Once => None,
                };
                Err(fault)
            }
            _ => Ok(()),
        }
    }

    fn failed(&self) -> io::Error {
        io::Error::from(self.dead.unwrap_or(ErrorKind::Other))
    }

    fn chance(&mut self, bound: u64) -> u64 {
        self.random.as_mut().map_or(0, |random| random.below(bound))
    }

    fn write(&mut self, inode: u64, offset: usize, bytes: &[u8]) {
        let file = self.inodes.get_mut(&inode).unwrap();
        if file.current.len() < offset + bytes.len() {
            file.current.resize(offset + bytes.len(), 0);
        }
        file.current[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn make(&mut self, path: &str) -> u64 {
        self.next += 1;
        self.inodes.insert(self.next, Inode::default());
        self.names.insert(path.to_owned(), self.next);
        self.next
    }

    fn flush(&mut self, inode: u64) {
        let file = self.inodes.get_mut(&inode).unwrap();
        file.durable = file.current.clone();
    }

    fn flush_name(&mut self, path: &str) {
        match self.names.get(path) {
            Some(inode) => self.durable_names.insert(path.to_owned(), *inode),
            None => self.durable_names.remove(path),
        };
    }
}

/// The storage; clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct Sim(Arc<Mutex<Disk>>);

struct SimFile(Sim, u64);

impl Sim {
    pub(crate) fn new() -> Sim {
        Sim::default()
    }

    /// Has something go wrong at the n-th writing call from now.
    pub(crate) fn fault_after(&self, calls: u64, fault: Fault, seed: u64) {
        let mut disk = self.0.lock().unwrap();
        disk.fault = Some((disk.calls + calls, fault));
        disk.random = Some(Random::new(seed));
    }

    pub(crate) fn calls(&self) -> u64 {
        self.0.lock().unwrap().calls
    }

    pub(crate) fn happened(&self) -> bool {
        let disk = self.0.lock().unwrap();
        disk.fault.is_some_and(|(at, _)| disk.calls >= at)
    }

    /// The disk as the next start finds it. `power`: whether what was not flushed is at risk.
    pub(crate) fn restart(&self, power: bool, seed: u64) -> Sim {
        let disk = self.0.lock().unwrap();
        let mut random = Random::new(seed);
        let mut names = if power { disk.durable_names.clone() } else { disk.names.clone() };
        if power {
            // A name that was not flushed may have made it all the same, and so may its removal.
            for (path, inode) in &disk.names {
                if disk.durable_names.get(path) != Some(inode) && random.below(2) == 0 {
                    names.insert(path.clone(), *inode);
                }
            }
            for path in disk.durable_names.keys() {
                if !disk.names.contains_key(path) && random.below(2) == 0 {
                    names.remove(path);
                }
            }
        }
        let mut inodes = BTreeMap::new();
        for inode in names.values() {
            let file = &disk.inodes[inode];
            let bytes = if power { file.after_crash(&mut random) } else { file.current.clone() };
            inodes.insert(*inode, Inode { durable: bytes.clone(), current: bytes });
        }
        let durable_names = names.clone();
        Sim(Arc::new(Mutex::new(Disk {
            inodes,
            names,
            durable_names,
            next: disk.next,
            ..Disk::default()
        })))
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.0.lock().unwrap().names.keys().cloned().collect()
    }

    /// Changes the bytes of a file behind the log's back.
    pub(crate) fn tamper(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut disk = self.0.lock().unwrap();
        let inode = disk.names[path];
        let file = disk.inodes.get_mut(&inode).unwrap();
        change(&mut file.current);
        file.durable = file.current.clone();
    }

    pub(crate) fn remove_file(&self, path: &str) {
        let mut disk = self.0.lock().unwrap();
        disk.names.remove(path);
        disk.durable_names.remove(path);
    }

    pub(crate) fn copy(&self) -> Sim {
        self.restart(false, 0)
    }
}

impl File for SimFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0 .0.lock().unwrap();
        let offset = offset as usize;
        match disk.call() {
            Ok(()) => {
                disk.write(self.1, offset, bytes);
                Ok(())
            }
            Err(fault) => {
                // A short write, or all of it, or none.
                if disk.dead.is_none() || matches!(fault, Fault::Power | Fault::Full) {
                    let done = disk.chance(bytes.len() as u64 + 1) as usize;
                    disk.write(self.1, offset, &bytes[..done]);
                }
                Err(disk.failed())
            }
        }
    }

    fn flush(&self) -> io::Result<()> {
        let mut disk = self.0 .0.lock().unwrap();
        match disk.call() {
            Ok(()) => {
                disk.flush(self.1);
                Ok(())
            }
            Err(fault) => {
                if fault == Fault::Power && disk.chance(2) == 0 {
                    disk.flush(self.1);
                }
                Err(disk.failed())
            }
        }
    }
}

impl Storage for Sim {
    fn create(&self, path: &str, length: u64) -> io::Result<Box<dyn File>> {
        let mut disk = self.0.lock().unwrap();
        if disk.call().is_err() {
            if disk.chance(2) == 0 {
                let inode = disk.make(path);
                let part = disk.chance(length) as usize;
                disk.write(inode, 0, &vec![0; part]);
            }
            return Err(disk.failed());
        }
        let inode = disk.make(path);
        disk.write(inode, 0, &vec![0; length as usize]);
        disk.flush(inode);
        disk.flush_name(path);
        Ok(Box::new(SimFile(self.clone(), inode)))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn File>> {
        let disk = self.0.lock().unwrap();
        let inode = *disk.names.get(path).ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        Ok(Box::new(SimFile(self.clone(), inode)))
    }

    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        let disk = self.0.lock().unwrap();
        let inode = disk.names.get(path).ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        let bytes = &disk.inodes[inode].current;
        if bytes.len() > limit {
            return Err(io::Error::from(ErrorKind::InvalidData));
        }
        Ok(bytes.clone())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let disk = self.0.lock().unwrap();
        let prefix = format!("{folder}/");
        Ok(disk
            .names
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect())
    }

    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let done = match disk.call() {
            Ok(()) => bytes.len(),
            Err(Fault::Power | Fault::Full) => disk.chance(bytes.len() as u64 + 1) as usize,
            Err(_) => return Err(disk.failed()),
        };
        // Writing truncates the file that is there.
        let inode = match disk.names.get(path) {
            Some(inode) => *inode,
            None => disk.make(path),
        };
        disk.inodes.get_mut(&inode).unwrap().current.clear();
        disk.write(inode, 0, &bytes[..done]);
        if done < bytes.len() || disk.dead.is_some() {
            return Err(disk.failed());
        }
        Ok(())
    }

    fn flush(&self, paths: &[String]) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        disk.call().map_err(|_| disk.failed())?;
        for path in paths {
            let inode = disk.names[path];
            disk.flush(inode);
            disk.flush_name(path);
        }
        Ok(())
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let fault = disk.call().err();
        if fault.is_some() && (fault != Some(Fault::Power) || disk.chance(2) == 0) {
            return Err(disk.failed());
        }
        let inode = disk.make(path);
        disk.write(inode, 0, bytes);
        disk.flush(inode);
        disk.flush_name(path);
        fault.map_or(Ok(()), |_| Err(disk.failed()))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let fault = disk.call().err();
        if fault.is_some() && (fault != Some(Fault::Power) || disk.chance(2) == 0) {
            return Err(disk.failed());
        }
        let inode = disk.names.remove(from).ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        disk.names.insert(to.to_owned(), inode);
        disk.flush_name(from);
        disk.flush_name(to);
        fault.map_or(Ok(()), |_| Err(disk.failed()))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        disk.call().map_err(|_| disk.failed())?;
        let prefix = format!("{path}/");
        // Not flushed: after a crash it may be back.
        disk.names.retain(|name, _| name != path && !name.starts_with(&prefix));
        Ok(())
    }
}
