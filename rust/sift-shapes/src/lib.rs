//! Finds places by their shape alone, where a pattern engine would need a literal and there is none.
//!
//! So far: runs of ASCII letters and digits. A key of 32 letters and digits behind a provider's name is
//! dear for a pattern engine, which has to look for the name: 264 names of five to eight letters cost the
//! whole set of secrets 40 % of its speed. Runs of 32 are rare, and finding them reads 32 bytes in about
//! four cycles.
//!
//! ```
//! let mut runs = Vec::new();
//! let text = format!("key = {}; done", "a1".repeat(20));
//! sift_shapes::alnum_runs(text.as_bytes(), 32, &mut |start, end| {
//!     runs.push((start, end));
//!     true
//! });
//! assert_eq!(runs, [(6, 46)]);
//! ```

#![allow(unsafe_code, reason = "vector instructions; each path equals the scalar one in tests")]

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;

/// The shortest run that can be asked for: one vector. Shorter ones would begin and end inside a block.
pub const MIN_RUN: usize = 32;

/// Calls `on_run(start, end)` for each maximal run of `[A-Za-z0-9]` of at least `min` bytes, from left to
/// right, until it says `false`. `min` is raised to [`MIN_RUN`].
pub fn alnum_runs(text: &[u8], min: usize, on_run: &mut dyn FnMut(usize, usize) -> bool) {
    let min = min.max(MIN_RUN);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, as was just asked.
        unsafe { avx2::alnum_runs(text, min, on_run) };
        return;
    }
    scalar::alnum_runs(text, min, on_run);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &[u8], min: usize) -> Vec<(usize, usize)> {
        let mut runs = Vec::new();
        let mut start = None;
        for (i, byte) in text.iter().chain([&b' ']).enumerate() {
            match (byte.is_ascii_alphanumeric(), start) {
                (true, None) => start = Some(i),
                (false, Some(from)) => {
                    if i - from >= min {
                        runs.push((from, i));
                    }
                    start = None;
                }
                _ => {}
            }
        }
        runs
    }

    type Finder = fn(&[u8], usize, &mut dyn FnMut(usize, usize) -> bool);

    fn found(finder: Finder, text: &[u8], min: usize) -> Vec<(usize, usize)> {
        let mut runs = Vec::new();
        finder(text, min, &mut |start, end| {
            runs.push((start, end));
            true
        });
        runs
    }

    fn assert_all_agree(text: &[u8], min: usize) {
        let expected = reference(text, min);
        assert_eq!(found(alnum_runs, text, min), expected);
        assert_eq!(found(scalar::alnum_runs, text, min), expected);
    }

    #[test]
    fn every_byte_is_classed_as_ascii_says() {
        for byte in 0..=255_u8 {
            let mut text = [b'a'; 100];
            text[50] = byte;
            assert_all_agree(&text, 32);
        }
    }

    #[test]
    fn every_length_at_every_offset() {
        for before in 0..70 {
            for length in 28..100 {
                for after in [0, 1, 33] {
                    let mut text = vec![b'-'; before];
                    text.extend(std::iter::repeat_n(b'Z', length));
                    text.extend(std::iter::repeat_n(b'.', after));
                    assert_all_agree(&text, 32);
                    assert_all_agree(&text, 40);
                }
            }
        }
    }

    #[test]
    fn random_texts() {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize
        };
        for _ in 0..2_000 {
            let one_in = 2 + next() % 80;
            let length = next() % 700;
            let text: Vec<u8> = (0..length)
                .map(|_| if next() % one_in == 0 { next() as u8 } else { b"aZ09mN"[next() % 6] })
                .collect();
            assert_all_agree(&text, 32 + next() % 20);
        }
    }

    #[test]
    fn the_caller_can_stop() {
        let text = "a".repeat(40) + " " + &"b".repeat(40);
        for finder in [alnum_runs as Finder, scalar::alnum_runs] {
            let mut calls = 0;
            finder(text.as_bytes(), 32, &mut |_, _| {
                calls += 1;
                false
            });
            assert_eq!(calls, 1);
        }
    }
}
