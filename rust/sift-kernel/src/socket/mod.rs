//! A kernel behind a Unix socket: a process of its own user holds the keys and the state, and the processes of
//! agents have nothing but calls.
//!
//! - [`Server`] has a thread for each connection, which reads a call, does it, and writes the reply before it
//!   reads the next. So a peer that is slow, silent or talks nonsense takes a thread and nothing else, and has one
//!   call under way on each connection. Who may connect, and to do what, is decided by the user and group that
//!   the system reports for the peer (`SO_PEERCRED`).
//! - [`Client`] is a [`Gate`](crate::Gate) like the kernel itself. Threads take a connection from a small pool for
//!   one call. What was under way when a connection broke may have been done: it is never sent again.
//! - [`Call`] and [`Reply`] are what travels. `docs/kernel-states.md` says what a crash of either side leaves.

mod access;
mod bytes;
mod client;
mod link;
mod message;
mod server;

pub use access::{Id, Peer, Right, SocketBounds};
pub use bytes::Malformed;
pub(crate) use client::Slot;
pub use client::{Client, ClientBounds};
pub use message::{Call, Fault, Fetched, Hello, Reply, Welcome};
pub use server::Server;
