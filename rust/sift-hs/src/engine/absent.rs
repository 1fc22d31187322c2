//! The engine of a build without Hyperscan: every way in answers `Unavailable`.

use std::convert::Infallible;

use super::Host;
use crate::database::{Control, Outcome};
use crate::error::{CompileError, Error, ScanError};
use crate::pattern::Pattern;

pub(crate) const AVAILABLE: bool = false;

pub(crate) fn version() -> Option<String> {
    None
}

pub(crate) fn valid_platform() -> Result<(), Error> {
    Err(Error::Unavailable)
}

pub(crate) fn host() -> Result<Host, Error> {
    Err(Error::Unavailable)
}

#[derive(Debug)]
pub(crate) struct Compiled(Infallible);

impl Compiled {
    pub(crate) fn compile(_: &[Pattern<'_>], _: Host) -> Result<Compiled, CompileError> {
        Err(Error::Unavailable.into())
    }

    pub(crate) fn deserialize(_: &[u8]) -> Result<Compiled, Error> {
        Err(Error::Unavailable)
    }

    pub(crate) fn serialize(&self) -> Result<Vec<u8>, Error> {
        match self.0 {}
    }

    pub(crate) fn info(&self) -> Result<String, Error> {
        match self.0 {}
    }

    pub(crate) fn size(&self) -> Result<usize, Error> {
        match self.0 {}
    }

    pub(crate) unsafe fn scan<F: FnMut(u32, u64) -> Control>(
        &self,
        _: &mut Scratch,
        _: &[u8],
        _: F,
    ) -> Result<Outcome, ScanError> {
        match self.0 {}
    }
}

#[derive(Debug)]
pub(crate) struct Scratch(Infallible);

impl Scratch {
    pub(crate) fn for_all<'d>(_: impl Iterator<Item = &'d Compiled>) -> Result<Scratch, Error> {
        Err(Error::Unavailable)
    }

    pub(crate) fn duplicate(&self) -> Result<Scratch, Error> {
        match self.0 {}
    }

    pub(crate) fn size(&self) -> Result<usize, Error> {
        match self.0 {}
    }
}
