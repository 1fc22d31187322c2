//! The engine of a build with Hyperscan.

use std::any::Any;
use std::ffi::{c_char, c_int, c_uint, c_ulonglong, c_void, CStr, CString};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::ptr::{self, NonNull};

use sift_hs_sys as sys;

use super::Host;
use crate::database::{Control, Outcome};
use crate::error::{CompileError, Error, ScanError};
use crate::pattern::Pattern;

pub(crate) const AVAILABLE: bool = true;

pub(crate) fn version() -> Option<String> {
    // SAFETY: takes nothing, returns a NUL-terminated string that lives as long as the program.
    let text = unsafe { CStr::from_ptr(sys::hs_version()) };
    Some(text.to_string_lossy().into_owned())
}

pub(crate) fn valid_platform() -> Result<(), Error> {
    // SAFETY: takes nothing, looks at the processor.
    check("hs_valid_platform", unsafe { sys::hs_valid_platform() })
}

pub(crate) fn host() -> Result<Host, Error> {
    let mut platform = sys::hs_platform_info_t::default();
    // SAFETY: the pointer is valid for a write of the structure.
    let code = unsafe { sys::hs_populate_platform(&mut platform) };
    check("hs_populate_platform", code)?;
    Ok(Host { tune: platform.tune, cpu_features: platform.cpu_features })
}

fn check(call: &'static str, code: sys::hs_error_t) -> Result<(), Error> {
    match code {
        sys::HS_SUCCESS => Ok(()),
        sys::HS_NOMEM => Err(Error::Memory { call }),
        sys::HS_ARCH_ERROR => Err(Error::Processor),
        code => Err(Error::Engine { call, code }),
    }
}

/// A pointer that a call was to fill; the engine leaves it null only together with an error code.
fn filled<T>(call: &'static str, pointer: *mut T) -> Result<NonNull<T>, Error> {
    NonNull::new(pointer).ok_or(Error::Engine { call, code: sys::HS_UNKNOWN_ERROR })
}

/// A compiled database; freed at its end.
#[derive(Debug)]
pub(crate) struct Compiled(NonNull<sys::hs_database_t>);

// SAFETY: the engine documents a database as read-only once made and usable by any number of threads
// at the same time; it is freed by `Drop` alone, which has it exclusively.
unsafe impl Send for Compiled {}
// SAFETY: as above.
unsafe impl Sync for Compiled {}

impl Compiled {
    pub(crate) fn compile(patterns: &[Pattern<'_>], host: Host) -> Result<Compiled, CompileError> {
        let refused = |message: &str| CompileError::Set {
            patterns: patterns.len(),
            message: message.to_owned(),
        };
        let count = c_uint::try_from(patterns.len()).map_err(|_| refused("too many patterns"))?;
        if count == 0 {
            return Err(refused("there is none"));
        }
        let mut expressions = Vec::with_capacity(patterns.len());
        for (index, pattern) in patterns.iter().enumerate() {
            let expression = CString::new(pattern.expression).map_err(|_| {
                let message = "it holds a NUL character, write \\x00".to_owned();
                CompileError::Pattern { index, id: pattern.id, message }
            })?;
            expressions.push(expression);
        }
        let pointers: Vec<*const c_char> = expressions.iter().map(|text| text.as_ptr()).collect();
        let flags: Vec<c_uint> = patterns.iter().map(|pattern| pattern.flags.bits()).collect();
        let ids: Vec<c_uint> = patterns.iter().map(|pattern| pattern.id).collect();
        let platform = sys::hs_platform_info_t {
            tune: host.tune,
            cpu_features: host.cpu_features,
            ..sys::hs_platform_info_t::default()
        };
        let mut database = ptr::null_mut();
        let mut error = ptr::null_mut();
        // SAFETY: the three arrays have `count` elements and live until after the call, as do the
        // strings behind `pointers`, which are NUL-terminated; the last two point to local pointers.
        let code = unsafe {
            sys::hs_compile_multi(
                pointers.as_ptr(),
                flags.as_ptr(),
                ids.as_ptr(),
                count,
                sys::HS_MODE_BLOCK,
                &platform,
                &mut database,
                &mut error,
            )
        };
        if code == sys::HS_SUCCESS {
            return Ok(Compiled(filled("hs_compile_multi", database)?));
        }
        let Some(error) = NonNull::new(error) else {
            return Err(check("hs_compile_multi", code)
                .err()
                .unwrap_or(Error::Engine { call: "hs_compile_multi", code })
                .into());
        };
        // SAFETY: the engine set a non-null error: a valid structure whose message, if not null, is
        // NUL-terminated. Both are read before the structure is freed, once.
        let (message, expression) = unsafe {
            let structure = error.as_ref();
            let message = if structure.message.is_null() {
                "no reason given".to_owned()
            } else {
                CStr::from_ptr(structure.message).to_string_lossy().into_owned()
            };
            let expression = structure.expression;
            sys::hs_free_compile_error(error.as_ptr());
            (message, expression)
        };
        let message = message.trim_end_matches('.').to_owned();
        let blamed = usize::try_from(expression).ok().and_then(|at| Some((at, patterns.get(at)?)));
        Err(match blamed {
            Some((index, pattern)) => CompileError::Pattern { index, id: pattern.id, message },
            None => refused(&message),
        })
    }

    /// `bytes` must come unchanged from [`Compiled::serialize`] of the same engine version: the
    /// engine checks its own header and CRC, no more. The envelope sees to that.
    pub(crate) fn deserialize(bytes: &[u8]) -> Result<Compiled, Error> {
        const CALL: &str = "hs_deserialize_database";
        // The engine copies the content to memory of its own and reads the header with unaligned
        // loads, so 5.4.0 has no wish as to alignment. It is not documented, so it is not relied on.
        let aligned;
        let bytes = if bytes.as_ptr().align_offset(8) == 0 {
            bytes
        } else {
            aligned = Aligned::copy(bytes);
            aligned.bytes()
        };
        let mut database = ptr::null_mut();
        // SAFETY: the pointer is valid for reads of the length; the last one is a local pointer.
        let code = unsafe {
            sys::hs_deserialize_database(bytes.as_ptr().cast(), bytes.len(), &mut database)
        };
        check(CALL, code)?;
        Ok(Compiled(filled(CALL, database)?))
    }

    pub(crate) fn serialize(&self) -> Result<Vec<u8>, Error> {
        const CALL: &str = "hs_serialize_database";
        let mut bytes = ptr::null_mut();
        let mut length = 0;
        // SAFETY: the database lives as long as `self`; the others are local.
        check(CALL, unsafe {
            sys::hs_serialize_database(self.0.as_ptr(), &mut bytes, &mut length)
        })?;
        let bytes = filled(CALL, bytes)?;
        // SAFETY: the call handed out `length` initialised bytes from `malloc`, ours to free; they
        // are copied first.
        Ok(unsafe {
            let copy = std::slice::from_raw_parts(bytes.as_ptr().cast::<u8>(), length).to_vec();
            sys::free(bytes.as_ptr().cast());
            copy
        })
    }

    pub(crate) fn info(&self) -> Result<String, Error> {
        const CALL: &str = "hs_database_info";
        let mut text = ptr::null_mut();
        // SAFETY: the database lives as long as `self`; the other is local.
        check(CALL, unsafe { sys::hs_database_info(self.0.as_ptr(), &mut text) })?;
        let text = filled(CALL, text)?;
        // SAFETY: the call handed out a NUL-terminated string from `malloc`, ours to free; it is
        // copied first.
        Ok(unsafe {
            let copy = CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned();
            sys::free(text.as_ptr().cast());
            copy
        })
    }

    pub(crate) fn size(&self) -> Result<usize, Error> {
        let mut size = 0;
        // SAFETY: the database lives as long as `self`; the other is local.
        check("hs_database_size", unsafe { sys::hs_database_size(self.0.as_ptr(), &mut size) })?;
        Ok(size)
    }

    /// # Safety
    ///
    /// `scratch` was made by [`Scratch::for_all`], or duplicated from one that was, with this very
    /// database among those named: the engine writes to it as far as the database asks, and checks
    /// only part of that itself.
    #[inline]
    pub(crate) unsafe fn scan<F: FnMut(u32, u64) -> Control>(
        &self,
        scratch: &mut Scratch,
        text: &[u8],
        on_match: F,
    ) -> Result<Outcome, ScanError> {
        let length =
            c_uint::try_from(text.len()).map_err(|_| ScanError::TooLong { length: text.len() })?;
        let mut frame = Frame { on_match, stopped: false, panic: None };
        // SAFETY: database and text live through the call; the scratch fits by the contract of this
        // function, is held exclusively, so in no other scan, and the callback cannot reach it. The
        // context is the frame that `trampoline::<F>` expects; nothing else touches it meanwhile.
        let code = unsafe {
            sys::hs_scan(
                self.0.as_ptr(),
                text.as_ptr().cast(),
                length,
                0,
                scratch.0.as_ptr(),
                Some(trampoline::<F>),
                (&raw mut frame).cast(),
            )
        };
        if let Some(panic) = frame.panic {
            resume_unwind(panic);
        }
        match code {
            // The frame is asked and not the code: both say the same, and only one is documented for
            // a stop at the very last match.
            sys::HS_SUCCESS | sys::HS_SCAN_TERMINATED if frame.stopped => Ok(Outcome::Stopped),
            code => {
                check("hs_scan", code)?;
                Ok(Outcome::Done)
            }
        }
    }
}

impl Drop for Compiled {
    fn drop(&mut self) {
        // SAFETY: made by this module, freed once; no scan runs, as those borrow `self`.
        unsafe { sys::hs_free_database(self.0.as_ptr()) };
    }
}

/// What the callback finds behind its context pointer.
struct Frame<F> {
    on_match: F,
    stopped: bool,
    panic: Option<Box<dyn Any + Send>>,
}

/// Calls the closure of a scan. A panic must not unwind through the engine's C frames, so it is caught
/// here, stops the scan, and goes on where the scan returns.
unsafe extern "C" fn trampoline<F: FnMut(u32, u64) -> Control>(
    id: c_uint,
    _from: c_ulonglong,
    to: c_ulonglong,
    _flags: c_uint,
    context: *mut c_void,
) -> c_int {
    // SAFETY: `scan` passes its own `Frame<F>` and does not touch it while the engine runs; the
    // engine calls from the scanning thread, one call at a time.
    let frame = unsafe { &mut *context.cast::<Frame<F>>() };
    if frame.stopped {
        return 1;
    }
    // AssertUnwindSafe: the closure is not called again after a panic, and who sees what it left
    // behind is told by the resumed panic.
    match catch_unwind(AssertUnwindSafe(|| (frame.on_match)(id, to))) {
        Ok(Control::Continue) => 0,
        Ok(Control::Stop) => {
            frame.stopped = true;
            1
        }
        Err(panic) => {
            frame.stopped = true;
            frame.panic = Some(panic);
            1
        }
    }
}

/// Working memory for one scan at a time; freed at its end.
#[derive(Debug)]
pub(crate) struct Scratch(NonNull<sys::hs_scratch_t>);

// SAFETY: plain memory without ties to a thread.
unsafe impl Send for Scratch {}
// SAFETY: with a shared reference there are only `duplicate` and `size`, which read it.
unsafe impl Sync for Scratch {}

impl Scratch {
    /// One that is large enough for each of the databases.
    pub(crate) fn for_all<'d>(
        databases: impl Iterator<Item = &'d Compiled>,
    ) -> Result<Scratch, Error> {
        const CALL: &str = "hs_alloc_scratch";
        let mut scratch = ptr::null_mut();
        for database in databases {
            // SAFETY: the database is valid, `scratch` is null or what this call returned before. On
            // failure the engine either leaves it as it was or frees it and sets it to null.
            let code = unsafe { sys::hs_alloc_scratch(database.0.as_ptr(), &mut scratch) };
            if let Err(error) = check(CALL, code) {
                // SAFETY: null or a valid scratch, see above.
                unsafe { sys::hs_free_scratch(scratch) };
                return Err(error);
            }
        }
        Ok(Scratch(filled(CALL, scratch)?))
    }

    /// A second one of the same size. Nobody may be scanning with `self`; a shared reference says so,
    /// since a scan needs an exclusive one.
    pub(crate) fn duplicate(&self) -> Result<Scratch, Error> {
        const CALL: &str = "hs_clone_scratch";
        let mut scratch = ptr::null_mut();
        // SAFETY: `self` is valid and only read; the other is a local pointer.
        check(CALL, unsafe { sys::hs_clone_scratch(self.0.as_ptr(), &mut scratch) })?;
        Ok(Scratch(filled(CALL, scratch)?))
    }

    pub(crate) fn size(&self) -> Result<usize, Error> {
        let mut size = 0;
        // SAFETY: `self` is valid and only read; the other is local.
        check("hs_scratch_size", unsafe { sys::hs_scratch_size(self.0.as_ptr(), &mut size) })?;
        Ok(size)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: made by this module, freed once, and not in a scan, which would hold it borrowed.
        unsafe { sys::hs_free_scratch(self.0.as_ptr()) };
    }
}

/// A copy at an address that is a multiple of 8.
struct Aligned {
    words: Vec<u64>,
    length: usize,
}

impl Aligned {
    fn copy(bytes: &[u8]) -> Aligned {
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        });
        Aligned { words: words.collect(), length: bytes.len() }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: `copy` made at least `length` bytes of words, all initialised; any byte is valid.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.length) }
    }
}
