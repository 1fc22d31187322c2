//! The part of the Hyperscan 5.4 C API that `sift-hs` needs, declared by hand.
//!
//! Nothing here is safe to call on its own; `sift-hs` is the wrapper. The library itself is found and
//! linked by `build.rs`. Where it was not found, the crate is built with `cfg(no_hyperscan)`, holds
//! types and constants only, and hands `DEP_HS_PRESENT=0` to the build script of its user.
//!
//! The declarations follow `hs_common.h`, `hs_compile.h` and `hs_runtime.h` of 5.4.0 and use their
//! names, so that the C documentation applies word by word. `size_t` is `usize` on every platform
//! that the engine supports.
#![allow(unsafe_code, reason = "foreign declarations cannot be written otherwise")]
#![allow(non_camel_case_types, reason = "names as in the C headers")]

use core::ffi::{c_char, c_int, c_uint, c_ulonglong, c_void};

/// Compiled patterns; opaque, immutable once made.
#[repr(C)]
pub struct hs_database_t {
    _opaque: [u8; 0],
    _not_send: core::marker::PhantomData<(*mut u8, core::marker::PhantomPinned)>,
}

/// Working memory of one scan; opaque.
#[repr(C)]
pub struct hs_scratch_t {
    _opaque: [u8; 0],
    _not_send: core::marker::PhantomData<(*mut u8, core::marker::PhantomPinned)>,
}

/// The processor that a database is compiled for.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct hs_platform_info_t {
    /// One of `HS_TUNE_FAMILY_*`; speed only.
    pub tune: c_uint,
    /// `HS_CPU_FEATURES_*`, combined; the database runs only where these exist.
    pub cpu_features: c_ulonglong,
    /// Zero.
    pub reserved1: c_ulonglong,
    /// Zero.
    pub reserved2: c_ulonglong,
}

/// Why a compilation failed; freed with [`hs_free_compile_error`].
#[repr(C)]
#[derive(Debug)]
pub struct hs_compile_error_t {
    /// NUL-terminated English text.
    pub message: *mut c_char,
    /// Index of the expression, negative when no single one is to blame.
    pub expression: c_int,
}

/// Result of every call: [`HS_SUCCESS`] or a negative code.
pub type hs_error_t = c_int;

/// Called for each match with id, start (0 without start-of-match), end, flags (0) and the context of
/// the scan; a result other than 0 ends the scan.
pub type match_event_handler = unsafe extern "C" fn(
    id: c_uint,
    from: c_ulonglong,
    to: c_ulonglong,
    flags: c_uint,
    context: *mut c_void,
) -> c_int;

pub const HS_SUCCESS: hs_error_t = 0;
pub const HS_INVALID: hs_error_t = -1;
pub const HS_NOMEM: hs_error_t = -2;
pub const HS_SCAN_TERMINATED: hs_error_t = -3;
pub const HS_COMPILER_ERROR: hs_error_t = -4;
pub const HS_DB_VERSION_ERROR: hs_error_t = -5;
pub const HS_DB_PLATFORM_ERROR: hs_error_t = -6;
pub const HS_DB_MODE_ERROR: hs_error_t = -7;
pub const HS_BAD_ALIGN: hs_error_t = -8;
pub const HS_BAD_ALLOC: hs_error_t = -9;
pub const HS_SCRATCH_IN_USE: hs_error_t = -10;
pub const HS_ARCH_ERROR: hs_error_t = -11;
pub const HS_INSUFFICIENT_SPACE: hs_error_t = -12;
pub const HS_UNKNOWN_ERROR: hs_error_t = -13;

pub const HS_FLAG_CASELESS: c_uint = 1;
pub const HS_FLAG_DOTALL: c_uint = 2;
pub const HS_FLAG_MULTILINE: c_uint = 4;
pub const HS_FLAG_SINGLEMATCH: c_uint = 8;
pub const HS_FLAG_ALLOWEMPTY: c_uint = 16;
pub const HS_FLAG_UTF8: c_uint = 32;
pub const HS_FLAG_UCP: c_uint = 64;
pub const HS_FLAG_PREFILTER: c_uint = 128;

pub const HS_MODE_BLOCK: c_uint = 1;

pub const HS_CPU_FEATURES_AVX2: c_ulonglong = 1 << 2;
pub const HS_CPU_FEATURES_AVX512: c_ulonglong = 1 << 3;
pub const HS_CPU_FEATURES_AVX512VBMI: c_ulonglong = 1 << 4;

pub const HS_TUNE_FAMILY_GENERIC: c_uint = 0;

#[cfg(not(no_hyperscan))]
extern "C" {
    pub fn hs_version() -> *const c_char;
    pub fn hs_valid_platform() -> hs_error_t;
    pub fn hs_populate_platform(platform: *mut hs_platform_info_t) -> hs_error_t;

    pub fn hs_compile_multi(
        expressions: *const *const c_char,
        flags: *const c_uint,
        ids: *const c_uint,
        elements: c_uint,
        mode: c_uint,
        platform: *const hs_platform_info_t,
        db: *mut *mut hs_database_t,
        error: *mut *mut hs_compile_error_t,
    ) -> hs_error_t;
    pub fn hs_free_compile_error(error: *mut hs_compile_error_t) -> hs_error_t;
    pub fn hs_free_database(db: *mut hs_database_t) -> hs_error_t;

    pub fn hs_database_size(db: *const hs_database_t, size: *mut usize) -> hs_error_t;
    pub fn hs_database_info(db: *const hs_database_t, info: *mut *mut c_char) -> hs_error_t;
    pub fn hs_serialize_database(
        db: *const hs_database_t,
        bytes: *mut *mut c_char,
        length: *mut usize,
    ) -> hs_error_t;
    pub fn hs_deserialize_database(
        bytes: *const c_char,
        length: usize,
        db: *mut *mut hs_database_t,
    ) -> hs_error_t;

    pub fn hs_alloc_scratch(
        db: *const hs_database_t,
        scratch: *mut *mut hs_scratch_t,
    ) -> hs_error_t;
    pub fn hs_clone_scratch(
        source: *const hs_scratch_t,
        destination: *mut *mut hs_scratch_t,
    ) -> hs_error_t;
    pub fn hs_scratch_size(scratch: *const hs_scratch_t, size: *mut usize) -> hs_error_t;
    pub fn hs_free_scratch(scratch: *mut hs_scratch_t) -> hs_error_t;

    pub fn hs_scan(
        db: *const hs_database_t,
        data: *const c_char,
        length: c_uint,
        flags: c_uint,
        scratch: *mut hs_scratch_t,
        on_event: Option<match_event_handler>,
        context: *mut c_void,
    ) -> hs_error_t;

    /// The C library's `free`: what `hs_database_info` and `hs_serialize_database` hand out comes
    /// from the engine's default allocator, `malloc`, which nothing in this project replaces.
    pub fn free(memory: *mut c_void);
}
