//! Where words may be hidden from rules for injections: spaced letters, digits for letters, backwards, ROT13.
//!
//! There is no alphabet to tell these by. A few patterns of their own ([`sift_text::decode::cues`]) say where a
//! window is worth reading.

use std::sync::Arc;

use sift_hs::{Database, Flags, Pattern as HsPattern, Platform};
use sift_rules::{hyperscan_expression, Parts};
use sift_text::decode::{cues, Encoding, Encodings, Reading, Window};

use crate::builtin::EngineKind;
use crate::cache;
use crate::error::ScanError;
use crate::matcher::{Automata, Hyperscan, Matcher};

/// The cues of the veils that are to be lifted.
pub(crate) struct Veils {
    engine: Arc<dyn Matcher>,
    readings: Vec<Reading>,
}

impl std::fmt::Debug for Veils {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Veils").field("readings", &self.readings).finish_non_exhaustive()
    }
}

impl Veils {
    /// The engine of the cues for `wanted`; none if no veil is among them.
    pub(crate) fn new(wanted: Encodings, kind: EngineKind) -> Result<Option<Self>, String> {
        let mut cues = cues();
        cues.retain(|cue| encoding(cue.reading).is_some_and(|it| wanted.contains(it)));
        if cues.is_empty() {
            return Ok(None);
        }
        let parts = cues
            .iter()
            .map(|cue| Parts::parse(&cue.pattern, None, None, None))
            .collect::<Result<Vec<_>, _>>()?;
        let numbers: Vec<u32> = (0_u32..).take(cues.len()).collect();
        let engine: Arc<dyn Matcher> = if kind == EngineKind::Automata {
            Arc::new(Automata::new(numbers, &parts.iter().collect::<Vec<_>>())?)
        } else {
            Arc::new(Hyperscan::new(compile(&parts)?, numbers)?)
        };
        Ok(Some(Self { engine, readings: cues.iter().map(|cue| cue.reading).collect() }))
    }

    /// Adds the windows to `found` in which a hidden word may stand.
    pub(crate) fn windows(&self, text: &[u8], found: &mut Vec<Window>) -> Result<(), ScanError> {
        let first = found.len();
        // Hits are many where windows are few: of those of one window the first counts.
        let mut last = vec![None; self.readings.len()];
        let mut on_hit = |hit: crate::matcher::Hit| {
            let number = hit.pattern as usize;
            if let (Some(&reading), Some(last)) = (self.readings.get(number), last.get_mut(number))
            {
                let window = Window::around(hit.end as usize, text.len(), reading);
                if *last != Some(window) {
                    *last = Some(window);
                    found.push(window);
                }
            }
            true
        };
        self.engine.hits(text, &mut on_hit).map_err(ScanError::Engine)?;
        // Ends come out of order.
        if let Some(added) = found.get_mut(first..) {
            added.sort_unstable();
        }
        found.dedup();
        Ok(())
    }
}

fn encoding(reading: Reading) -> Option<Encoding> {
    match reading {
        Reading::Spaced => Some(Encoding::Spaced),
        Reading::Leet => Some(Encoding::Leet),
        Reading::Reversed => Some(Encoding::Reversed),
        Reading::Rot13 => Some(Encoding::Rot13),
        _ => None,
    }
}

fn compile(parts: &[Parts]) -> Result<Database, String> {
    let expressions: Vec<String> =
        parts.iter().map(|parts| hyperscan_expression(&parts.trigger())).collect();
    let key = cache::key(&expressions, &sift_hs::version().unwrap_or_default());
    if let Some(database) = cache::load(&key).and_then(|it| Database::deserialize(&it).ok()) {
        return Ok(database);
    }
    let patterns: Vec<HsPattern<'_>> = (0_u32..)
        .zip(&expressions)
        .map(|(id, expression)| HsPattern { expression, id, flags: Flags::default() })
        .collect();
    let database =
        Database::compile(&patterns, Platform::Generic).map_err(|error| error.to_string())?;
    if let Ok(bytes) = database.serialize() {
        cache::store(&key, &bytes);
    }
    Ok(database)
}
