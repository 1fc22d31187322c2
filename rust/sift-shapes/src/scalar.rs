//! Runs without vector instructions: looks at every `min`-th byte and walks back from there, so that most
//! bytes of a text without long runs are never read.

pub(crate) fn alnum_runs(text: &[u8], min: usize, on_run: &mut dyn FnMut(usize, usize) -> bool) {
    let alnum = |at: usize| text.get(at).is_some_and(u8::is_ascii_alphanumeric);
    // A run of `min` bytes that begins at or after `at` covers `at + min - 1` or begins behind a break.
    let mut at = 0;
    while at + min <= text.len() {
        let back = (at..at + min).rev().find(|&i| !alnum(i));
        if let Some(gap) = back {
            at = gap + 1;
            continue;
        }
        let mut end = at + min;
        while alnum(end) {
            end += 1;
        }
        if !on_run(at, end) {
            return;
        }
        at = end + 1;
    }
}
