//! Signs off every action before its side effect.
mod approval;
mod budget;
mod clock;
mod config;
mod error;
mod nonce;
mod process;
mod revocation;
mod seal;
mod store;
mod sync;
mod wire;
pub use error::*; pub use approval::*; pub use budget::*; pub use clock::*; pub use config::*; pub use store::*; pub use revocation::*;
