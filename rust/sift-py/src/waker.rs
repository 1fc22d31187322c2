//! What wakes an event loop when receipts are durable.
//!
//! Whoever commits receipts must not wait for the interpreter, and a thread between the two would: a busy loop gives the
//! interpreter away every 5 ms. A descriptor that the loop watches needs none, and wakes it once for all that one commit
//! has made durable.

use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;

use crate::errors;
use crate::kernel::Authorization;

/// One for each event loop. Those who wait are known by numbers that the loop's side gives out.
#[pyclass(frozen, name = "_Waker", module = "sift_fast._core")]
pub(crate) struct Waker {
    ready: Arc<Mutex<Ready>>,
    /// The end that the loop watches: it holds one byte while somebody is ready.
    watched: PipeReader,
}

struct Ready {
    tickets: Vec<u64>,
    bell: PipeWriter,
}

impl Ready {
    fn add(&mut self, ticket: u64) {
        // One byte at most lies in the pipe, so that it is never full and no write blocks.
        if self.tickets.is_empty() {
            // It fails when the loop's end is closed: then nobody waits.
            let _ = self.bell.write_all(&[0]);
        }
        self.tickets.push(ticket);
    }
}

#[pymethods]
impl Waker {
    #[new]
    fn new() -> PyResult<Self> {
        let (watched, bell) = std::io::pipe()
            .map_err(|error| errors::sift(format!("cannot open a pipe: {error}")))?;
        Ok(Self { ready: Arc::new(Mutex::new(Ready { tickets: Vec::new(), bell })), watched })
    }

    /// The descriptor to watch for reading.
    fn fileno(&self) -> i32 {
        self.watched.as_raw_fd()
    }

    /// Wakes the loop for this number when the receipt is durable or lost; false when there is nothing to wait for.
    fn when(&self, auth: &Authorization, ticket: u64) -> bool {
        let ready = Arc::clone(&self.ready);
        auth.when_durable(Box::new(move || {
            ready.lock().unwrap_or_else(PoisonError::into_inner).add(ticket)
        }))
    }

    /// The numbers that are ready, each once. The loop's end of the pipe does not block.
    fn take(&self) -> Vec<u64> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        // Read whether somebody is ready or not: a byte that is left would wake the loop for ever.
        let _ = (&self.watched).read(&mut [0; 16]);
        std::mem::take(&mut ready.tickets)
    }
}
