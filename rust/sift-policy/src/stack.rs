//! A stack that is deep enough for parsers which recurse.

/// Bytes. Cedar's parser takes about 10 KiB a level, and a policy has at most some hundred levels.
const STACK: usize = 32 << 20;

/// Runs `work` on a thread with a deep stack, whatever thread asks. `None` when there is no such thread, or it panicked.
pub(crate) fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("sift-policy".to_owned()).stack_size(STACK);
        thread.spawn_scoped(scope, work).ok()?.join().ok()
    })
}
