//! GB/s of the finder of places and places a megabyte by kind, for files: `place_speed FILE...`

use std::time::Instant;

use sift_shapes::{Path, Wanted};

#[expect(clippy::print_stdout, reason = "a measuring tool")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    // As the set `pii` wants it.
    let wanted = Wanted {
        kinds: u8::MAX,
        word: 14,
        word_digits: 1 | 1 << 2 | 1 << 16 | 1 << 19,
        links: vec![1 << 2 | 1 << 5 | 1 << 8 | 1 << 11 | 1 << 14, 1 << 4 | 1 << 9, 1 << 4 | 1 << 8],
    };
    for file in std::env::args().skip(1) {
        let text = std::fs::read(&file)?;
        let megabytes = text.len() as f64 / 1e6;
        for path in Path::ALL.into_iter().filter(|path| path.is_available()) {
            let (mut best, mut kinds, mut all) = (f64::MAX, [0_u32; 8], 0);
            for _ in 0..20 {
                (kinds, all) = ([0; 8], 0);
                let begun = Instant::now();
                path.places(&text, &wanted, &mut |found, _| {
                    all += 1;
                    (0..8).for_each(|i| kinds[i] += u32::from(found >> i & 1));
                    true
                });
                best = best.min(begun.elapsed().as_secs_f64());
            }
            let rates = kinds.map(|n| (f64::from(n) / megabytes).round());
            let all = f64::from(all) / megabytes;
            println!(
                "{file} {path:?}: {:.2} GB/s, {all:.0} places a MB: {rates:?}",
                megabytes / best / 1e3
            );
        }
    }
    Ok(())
}
