//! Where words may be written backwards or turned by 13: to be read by rules for injections.
//!
//! There is no alphabet to tell these by. Patterns of their own ([`sift_text::decode::cues`]) say where a window is
//! worth reading. They read the folded view, where they are in one database with the rules for injections that are
//! compiled into the library, and an engine of their own where that is not in use.

use std::sync::Arc;

use sift_hs::{Database, Flags, Pattern as HsPattern, Platform};
use sift_rules::{hyperscan_expression, Parts};
use sift_text::decode::{cues, Encoding, Encodings, Reading, Window};

use crate::builtin::EngineKind;
use crate::cache;
use crate::matcher::{Automata, Hyperscan, Matcher, NONE};

/// Hits of cues have the numbers from here on, which no pattern has.
const FIRST: u32 = NONE - 8;

/// The readings of [`cues`], in their order.
const READINGS: [Reading; 2] = [Reading::Reversed, Reading::Rot13];

/// What hits of a number are read as; none for those of rules.
pub(crate) fn reading(pattern: u32) -> Option<Reading> {
    READINGS.get(pattern.checked_sub(FIRST)? as usize).copied()
}

/// Whether something that is `wanted` has cues.
pub(crate) fn has_cues(wanted: Encodings) -> bool {
    READINGS.iter().any(|&reading| wanted.contains(encoding(reading)))
}

/// The key of a cue in a database of this build.
pub(crate) fn key(reading: Reading) -> &'static str {
    encoding(reading).as_str()
}

/// The number of the hits of the cue with this key, if it is wanted.
pub(crate) fn number(key: &str, wanted: Encodings) -> Option<u32> {
    (FIRST..).zip(READINGS).find_map(|(number, reading)| {
        let encoding = encoding(reading);
        (encoding.as_str() == key && wanted.contains(encoding)).then_some(number)
    })
}

/// An engine for the cues of what is `wanted`; none if there are none.
pub(crate) fn engine(
    wanted: Encodings,
    kind: EngineKind,
) -> Result<Option<Arc<dyn Matcher>>, String> {
    let wanted: Vec<_> = cues()
        .into_iter()
        .filter_map(|cue| Some((number(key(cue.reading), wanted)?, cue.pattern)))
        .collect();
    if wanted.is_empty() {
        return Ok(None);
    }
    let parts = wanted
        .iter()
        .map(|(_, pattern)| Parts::parse(pattern, None, None, None))
        .collect::<Result<Vec<_>, _>>()?;
    let numbers = wanted.iter().map(|(number, _)| *number).collect();
    Ok(Some(if kind == EngineKind::Automata {
        Arc::new(Automata::new(numbers, &parts.iter().collect::<Vec<_>>())?)
    } else {
        Arc::new(Hyperscan::new(compile(&parts)?, numbers)?)
    }))
}

/// Adds the windows of hits that end at these places of the folded view of `text` to `found`.
pub(crate) fn windows(text: &[u8], hits: &[(Reading, usize)], found: &mut Vec<Window>) {
    if hits.is_empty() {
        return;
    }
    let first = found.len();
    let mut spans: Vec<(usize, usize)> = hits.iter().map(|&(_, end)| (end, end)).collect();
    spans.sort_unstable();
    let folded = spans.clone();
    sift_text::map_spans(text, &mut spans);
    for &(reading, end) in hits {
        let place = folded.partition_point(|span| span.0 < end);
        if let Some(&(end, _)) = spans.get(place) {
            found.push(Window::around(end, text.len(), reading));
        }
    }
    // Hits are many where windows are few.
    if let Some(added) = found.get_mut(first..) {
        added.sort_unstable();
    }
    found.dedup();
}

fn encoding(reading: Reading) -> Encoding {
    match reading {
        Reading::Reversed => Encoding::Reversed,
        _ => Encoding::Rot13,
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
