//! The one door out of the interpreter: when the GIL is released, and how a signal gets in while the
//! engine works.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

use crate::errors;

/// Texts up to this many bytes are scanned with the GIL held. A scan of 4 KiB takes 1.4 to 3 us (secrets,
/// default); giving the GIL up and taking it back takes 0.05 us alone, and up to a switch interval (5 ms)
/// when another thread takes it meanwhile.
pub(crate) const HOLD: usize = 4 << 10;

/// Longer texts are scanned on a thread of their own while this one looks for signals. A thread costs
/// some 30 us; 1 MiB takes a millisecond or more.
pub(crate) const WATCH: usize = 1 << 20;

/// How long a Ctrl-C may go unnoticed.
const PATIENCE: Duration = Duration::from_millis(20);

/// Does short work here, with the GIL released where that pays.
pub(crate) fn step<T: Send>(py: Python<'_>, bytes: usize, work: impl FnOnce() -> T + Send) -> T {
    if bytes <= HOLD {
        work()
    } else {
        py.detach(work)
    }
}

/// Does long work on `workers` threads and waits, handling signals. When a signal raises, `stop` is set
/// and the threads are left to finish what they are at: they own all that they read.
///
/// Errors: what a signal handler raises (`KeyboardInterrupt`), a thread that cannot be started.
pub(crate) fn watch<T: Send + 'static>(
    py: Python<'_>,
    workers: usize,
    work: impl Fn(&AtomicBool) -> T + Send + Sync + 'static,
) -> PyResult<Vec<T>> {
    let (sender, mut receiver) = mpsc::channel();
    let stop = Arc::new(AtomicBool::new(false));
    let work = Arc::new(work);
    for number in 0..workers {
        let (sender, stop, work) = (sender.clone(), Arc::clone(&stop), Arc::clone(&work));
        let started = thread::Builder::new().name(format!("sift-fast-{number}")).spawn(move || {
            let result = work(&stop);
            // What the closure owns is let go of before the caller hears of the result.
            drop(work);
            // Nobody listens any more if the caller was interrupted.
            let _ = sender.send(result);
        });
        match started {
            Ok(_) => {}
            // Fewer threads do the same work in more time.
            Err(_) if number > 0 => break,
            Err(error) => return Err(errors::sift(format!("cannot start a thread: {error}"))),
        }
    }
    drop((sender, work));
    let mut results = Vec::with_capacity(workers);
    loop {
        // A receiver may be sent to where the interpreter is not, but not shared with it.
        let receiver = &mut receiver;
        match py.detach(move || receiver.recv_timeout(PATIENCE)) {
            Ok(result) => results.push(result),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(raised) = py.check_signals() {
                    stop.store(true, Ordering::Relaxed);
                    return Err(raised);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(results),
        }
    }
}

/// As [`watch`], with one thread and one result.
pub(crate) fn watch_one<T: Send + 'static>(
    py: Python<'_>,
    work: impl Fn() -> T + Send + Sync + 'static,
) -> PyResult<T> {
    watch(py, 1, move |_| work())?.pop().ok_or_else(broken)
}

/// A thread that ended without a result has panicked; nothing of its message is passed on.
pub(crate) fn broken() -> PyErr {
    errors::sift("the engine stopped without a result: please report this")
}

/// An import error in interpreters that nothing here is tested in: sub-interpreters, which would share
/// objects with the main one, and builds without the GIL.
pub(crate) fn check_interpreter(py: Python<'_>) -> PyResult<()> {
    // SAFETY: this thread is attached, so it has an interpreter, and the main one has the number 0.
    let number =
        unsafe { pyo3::ffi::PyInterpreterState_GetID(pyo3::ffi::PyInterpreterState_Get()) };
    if number != 0 {
        return Err(PyImportError::new_err(
            "sift_fast is not tested in subinterpreters: import it in the main one",
        ));
    }
    let flags: String = py.import("sys")?.getattr("abiflags")?.extract()?;
    if flags.contains('t') {
        return Err(PyImportError::new_err(
            "sift_fast is not tested in free-threaded builds of Python: use one with the GIL",
        ));
    }
    Ok(())
}
