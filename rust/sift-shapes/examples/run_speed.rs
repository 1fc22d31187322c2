//! What finding runs costs, by path: `run_speed PIECE FILE...`, in nanoseconds a piece.

use std::time::Instant;

use sift_shapes::Path;

#[expect(clippy::print_stdout, reason = "a measuring tool")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [piece, files @ ..] = arguments.as_slice() else {
        return Err("usage: run_speed PIECE FILE...".into());
    };
    let piece: usize = piece.parse()?;
    for file in files {
        let text = std::fs::read(file)?;
        for path in Path::ALL.into_iter().filter(|path| path.is_available()) {
            let (mut best, mut runs, mut bytes) = (f64::MAX, 0, 0);
            for _ in 0..9 {
                (runs, bytes) = (0, 0);
                let begun = Instant::now();
                for part in text.chunks(piece) {
                    path.value_runs(part, &mut |run| {
                        runs += 1;
                        bytes += run.end - run.start;
                        true
                    });
                }
                best = best.min(begun.elapsed().as_secs_f64());
            }
            let pieces = text.len().div_ceil(piece) as f64;
            let megabytes = text.len() as f64 / 1e6;
            println!(
                "{file} {path:?}: {:.0} ns a piece, {:.0} runs and {:.0} bytes of them a MB",
                best / pieces * 1e9,
                f64::from(runs) / megabytes,
                bytes as f64 / megabytes,
            );
        }
    }
    Ok(())
}
