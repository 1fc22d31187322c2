//! Compiled pattern sets: compile, scan, serialize.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::{self, Compiled, Host};
use crate::envelope::{self, Origin};
use crate::error::{CompileError, Error, LoadError, ScanError};
use crate::pattern::{CpuFeatures, Pattern, Platform};
use crate::scratch::ScratchGuard;

/// What the callback of a scan wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// End the scan; the callback is not called again.
    Stop,
}

/// How a scan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a stopped scan has not seen the whole text"]
pub enum Outcome {
    /// At the end of the text.
    Done,
    /// Where the callback stopped it.
    Stopped,
}

/// Patterns compiled for block scans. Immutable; share it between threads by reference.
#[derive(Debug)]
pub struct Database {
    compiled: Compiled,
    origin: Origin,
    /// Ties scratch pools to the databases they were made for.
    pub(crate) id: u64,
}

impl Database {
    /// Compiles a set. Milliseconds for a few patterns, seconds for many hundred: serialize the
    /// result and load that at start-up.
    ///
    /// # Errors
    ///
    /// [`CompileError::Pattern`] names the first pattern that the engine refuses;
    /// [`CompileError::Set`] an empty or too large set.
    pub fn compile(patterns: &[Pattern<'_>], platform: Platform) -> Result<Database, CompileError> {
        let host = match platform {
            Platform::Generic => Host::default(),
            Platform::Native => engine::host()?,
        };
        Ok(Database::new(Compiled::compile(patterns, host)?, host)?)
    }

    fn new(compiled: Compiled, host: Host) -> Result<Database, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let origin = Origin {
            engine: engine::version().ok_or(Error::Unavailable)?,
            tune: host.tune,
            cpu_features: CpuFeatures::from_bits(host.cpu_features),
        };
        // A new number for every database ever made: 64 bits do not come round.
        Ok(Database { compiled, origin, id: NEXT.fetch_add(1, Ordering::Relaxed) })
    }

    /// Scans a text and calls `on_match` with `(pattern id, end)` for every end of a match, in no
    /// promised order. `end` counts bytes; the match is in `text[..end]`.
    ///
    /// The callback runs inside the engine: it should record and return. It may panic; the panic goes
    /// on from here and the scratch stays usable.
    ///
    /// ```
    /// # use sift_hs::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # if !available() { return Ok(()); }
    /// # let pattern = Pattern { expression: "a", id: 0, flags: Flags::NONE };
    /// # let database = Database::compile(&[pattern], Platform::Generic)?;
    /// # let pool = ScratchPool::new(&[&database])?;
    /// let deadline = std::time::Instant::now() + std::time::Duration::from_millis(20);
    /// let (mut seen, most) = (0, 1000);
    /// let outcome = database.scan(&mut pool.get()?, b"banana", |_id, _end| {
    ///     seen += 1;
    ///     if seen == most || std::time::Instant::now() > deadline {
    ///         return Control::Stop;
    ///     }
    ///     Control::Continue
    /// })?;
    /// assert_eq!((outcome, seen), (Outcome::Done, 3));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ScanError::TooLong`] for a text of 4 GiB or more; [`ScanError::ForeignScratch`] when the
    /// guard's pool was made without this database. Neither calls back.
    #[inline]
    pub fn scan(
        &self,
        scratch: &mut ScratchGuard<'_>,
        text: &[u8],
        on_match: impl FnMut(u32, u64) -> Control,
    ) -> Result<Outcome, ScanError> {
        let Some(scratch) = scratch.for_database(self) else {
            return Err(ScanError::ForeignScratch);
        };
        // SAFETY: `for_database` lends a scratch only to the databases that its pool was made for,
        // by their number, which no two databases share.
        unsafe { self.compiled.scan(scratch, text, on_match) }
    }

    /// What the engine says about the database: version, features, mode.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`].
    pub fn info(&self) -> Result<String, Error> {
        self.compiled.info()
    }

    /// Its size in bytes.
    ///
    /// # Errors
    ///
    /// What the engine says; none is known for a database that exists.
    pub fn size(&self) -> Result<usize, Error> {
        self.compiled.size()
    }

    /// The instructions that a processor must have to load it.
    #[must_use]
    pub fn cpu_features(&self) -> CpuFeatures {
        self.origin.cpu_features
    }

    /// The database as bytes for [`Database::deserialize`], with engine version, processor and digest.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`].
    pub fn serialize(&self) -> Result<Vec<u8>, Error> {
        Ok(envelope::seal(&self.origin, &self.compiled.serialize()?))
    }

    /// Loads what [`Database::serialize`] made: fractions of a millisecond per megabyte.
    ///
    /// The digest finds damage, not forgery, and a database is a program for the engine. Load only
    /// bytes that nobody else could have written.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says why the bytes do not fit; all reasons but [`LoadError::Engine`] mean to
    /// compile again.
    pub fn deserialize(bytes: &[u8]) -> Result<Database, LoadError> {
        let version = engine::version().ok_or(Error::Unavailable)?;
        let features = CpuFeatures::from_bits(engine::host()?.cpu_features);
        let (origin, payload) = envelope::open(bytes, &version, features)?;
        let host = Host { tune: origin.tune, cpu_features: origin.cpu_features.bits() };
        Ok(Database::new(Compiled::deserialize(payload)?, host)?)
    }

    pub(crate) fn compiled(&self) -> &Compiled {
        &self.compiled
    }
}
