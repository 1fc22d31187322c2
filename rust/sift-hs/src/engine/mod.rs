//! The engine's handles as owned Rust values: the only place that calls into C.
//!
//! Two modules of the same shape. Without an engine its handles cannot be made (they hold
//! `Infallible`), so whatever takes one compiles and needs no `panic` to say that it cannot happen.

#[cfg(no_hyperscan)]
mod absent;
#[cfg(no_hyperscan)]
pub(crate) use absent::*;

#[cfg(not(no_hyperscan))]
mod hyperscan;
#[cfg(not(no_hyperscan))]
pub(crate) use hyperscan::*;

/// The processor that a database is compiled for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) tune: u32,
    pub(crate) cpu_features: u64,
}
