//! A stack that is deep enough for parsers and evaluators which recurse, whatever the caller's thread has.

/// Bytes. Cedar's parser takes about 10 KiB a level, and a policy has at most some hundred levels.
const STACK: usize = 32 << 20;

/// Bytes that Cedar's evaluator may take for a policy of [`SHALLOW`] levels: it takes 10 KiB a level at most, and
/// gives an error when less than 100 KiB are left, so that with less a decision would depend on who asks for it.
const EVALUATION: usize = 1 << 20;

/// Operators of a policy, and so its levels, for which [`EVALUATION`] is enough.
pub(crate) const SHALLOW: usize = 64;

/// Runs `work` on a thread with a deep stack, whatever thread asks. `None` when there is no such thread, or it panicked.
pub(crate) fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("sift-policy".to_owned()).stack_size(STACK);
        thread.spawn_scoped(scope, work).ok()?.join().ok()
    })
}

/// Runs `work`, which evaluates a policy of so many operators, on this thread, with a stack beside its own where that
/// has too little left.
pub(crate) fn evaluating<T>(operators: usize, work: impl FnOnce() -> T) -> T {
    let needed = if operators > SHALLOW { STACK / 2 } else { EVALUATION };
    stacker::maybe_grow(needed, needed * 2, work)
}
