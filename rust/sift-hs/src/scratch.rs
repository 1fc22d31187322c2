//! Working memory for scans, lent from a pool.

use std::mem::ManuallyDrop;

use crate::database::Database;
use crate::engine::Scratch;
use crate::error::Error;
use crate::slots::Slots;

/// Lends scratch memory for scans with the databases it was made for.
///
/// Each simultaneous scan needs a scratch of its own (tens to hundreds of kilobytes for a large set);
/// the pool makes one when none is free and keeps what comes back, two for each processor and at
/// least 16 in all. A lend
/// and a return are one atomic exchange each, on a cache line that other threads leave alone.
///
/// # Fork
///
/// A child of `fork` may use the pools of its parent. There is no lock that could have been held, and
/// a scratch that another thread was using at that moment is in no slot of the pool, so the child
/// never gets it: its memory is merely lost to the child. A guard that the forking thread itself holds
/// is the child's to use and to drop.
///
/// ```
/// # use sift_hs::*;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if !available() { return Ok(()); }
/// # let pattern = Pattern { expression: "a", id: 0, flags: Flags::NONE };
/// let first = Database::compile(&[pattern], Platform::Generic)?;
/// let second = Database::compile(&[pattern], Platform::Generic)?;
/// let pool = ScratchPool::new(&[&first, &second])?;
/// let mut scratch = pool.get()?;
/// let _ = first.scan(&mut scratch, b"text", |_, _| Control::Continue)?;
/// let _ = second.scan(&mut scratch, b"text", |_, _| Control::Continue)?;
/// # Ok(())
/// # }
/// ```
pub struct ScratchPool {
    slots: Slots<Scratch>,
    /// What new ones are copied from; never lent, so never in use.
    prototype: Scratch,
    /// The numbers of the databases that the prototype is large enough for.
    databases: Box<[u64]>,
}

impl ScratchPool {
    /// A pool for scans with these databases. The databases need not outlive it.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`]; [`Error::Unavailable`] without an engine; [`Error::Engine`] when no database
    /// is named.
    pub fn new(databases: &[&Database]) -> Result<ScratchPool, Error> {
        let prototype = Scratch::for_all(databases.iter().map(|database| database.compiled()))?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(ScratchPool {
            slots: Slots::new((2 * processors).clamp(16, 128)),
            prototype,
            databases: databases.iter().map(|database| database.id).collect(),
        })
    }

    /// A scratch, back in the pool when the guard is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`], only when none is free and a new one cannot be made.
    #[inline]
    pub fn get(&self) -> Result<ScratchGuard<'_>, Error> {
        let scratch = match self.slots.take() {
            Some(scratch) => scratch,
            None => self.another()?,
        };
        Ok(ScratchGuard { pool: self, scratch: ManuallyDrop::new(scratch) })
    }

    #[cold]
    fn another(&self) -> Result<Box<Scratch>, Error> {
        self.prototype.duplicate().map(Box::new)
    }

    /// Bytes of one scratch: what each simultaneous scan costs in memory.
    ///
    /// # Errors
    ///
    /// What the engine says; none is known for a pool that exists.
    pub fn scratch_size(&self) -> Result<usize, Error> {
        self.prototype.size()
    }
}

impl std::fmt::Debug for ScratchPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScratchPool").field("databases", &self.databases).finish_non_exhaustive()
    }
}

/// A scratch on loan. A scan borrows it exclusively, so two scans, or a scan inside the callback of
/// another, cannot share it.
///
/// ```compile_fail,E0499
/// # use sift_hs::*;
/// # fn never(database: &Database, pool: &ScratchPool) -> Result<(), Box<dyn std::error::Error>> {
/// let mut scratch = pool.get()?;
/// let _ = database.scan(&mut scratch, b"outer", |_, _| {
///     let _ = database.scan(&mut scratch, b"inner", |_, _| Control::Continue);
///     Control::Continue
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct ScratchGuard<'p> {
    pool: &'p ScratchPool,
    scratch: ManuallyDrop<Box<Scratch>>,
}

impl ScratchGuard<'_> {
    /// The scratch, if its pool was made for this database. The engine itself would notice a
    /// scratch that is too small only in part of the cases.
    #[inline]
    pub(crate) fn for_database(&mut self, database: &Database) -> Option<&mut Scratch> {
        self.pool.databases.contains(&database.id).then(|| &mut **self.scratch)
    }
}

impl Drop for ScratchGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: taken here only, and a guard is dropped once.
        let scratch = unsafe { ManuallyDrop::take(&mut self.scratch) };
        self.pool.slots.put(scratch);
    }
}

impl std::fmt::Debug for ScratchGuard<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScratchGuard").field("pool", self.pool).finish_non_exhaustive()
    }
}
