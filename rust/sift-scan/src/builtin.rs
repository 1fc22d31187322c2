//! Which engine, and the databases that are compiled into the library.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use sift_hs::{Database, Flags, Pattern as HsPattern, Platform};
use sift_rules::{
    hyperscan_expression, once, Anchor, ByteSet, Gate, Mark, Opening, Parts, Place, RuleSet, Shape,
    Values, View,
};
use sift_text::decode::Encodings;
use sift_text::HighBytes;

use crate::cache;
use crate::error::ScanError;
use crate::marks::Marks;
use crate::matcher::{Automata, Hit, Hyperscan, Matcher, NONE};
use crate::runs::Runs;
use crate::veils;

/// What this build has for a view: databases, and the patterns that are found by runs instead.
struct Embedded {
    databases: &'static [EmbeddedDatabase],
    runs: &'static [EmbeddedShape],
    marks: &'static [(&'static str, &'static [EmbeddedOpening])],
}

/// A database with the first rule id of each of its patterns. Texts without a byte of `needs` have no match,
/// unless it is empty. A pattern may be in two databases, some of its arms in each.
struct EmbeddedDatabase {
    keys: &'static [&'static str],
    needs: &'static [u8],
    bytes: &'static [u8],
}

impl Embedded {
    fn all(&self) -> impl Iterator<Item = &'static str> {
        let keys = self.databases.iter().flat_map(|database| database.keys.iter().copied());
        let runs = self.runs.iter().map(|run| run.key);
        keys.chain(runs).chain(self.marks.iter().map(|mark| mark.0))
    }
}

/// A [`Shape`] of this build: working it out would mean to parse every pattern.
struct EmbeddedShape {
    key: &'static str,
    run: usize,
    digit: bool,
    lead: usize,
    mark: EmbeddedMark,
}

/// Text, nearest and farthest of each anchor.
type EmbeddedAnchors = &'static [(&'static [u8], usize, usize)];

enum EmbeddedMark {
    Left {
        anchors: EmbeddedAnchors,
        name: &'static [(u8, u8)],
        link: &'static [(u8, u8)],
        gate: Option<(EmbeddedAnchors, usize)>,
        alphabet: usize,
        lengths: &'static [(usize, usize)],
        behind: &'static [(u8, u8)],
    },
    Inside(EmbeddedAnchors),
    #[allow(dead_code, reason = "no built-in rule may have this mark")]
    Whole(usize, usize),
}

impl EmbeddedShape {
    fn shape(&self) -> Shape {
        let anchors = |anchors: EmbeddedAnchors| {
            let anchor =
                |&(text, near, far): &(&[u8], _, _)| Anchor { text: text.to_vec(), near, far };
            anchors.iter().map(anchor).collect()
        };
        let mark = match self.mark {
            EmbeddedMark::Left { anchors: texts, name, link, gate, alphabet, lengths, behind } => {
                Mark::Left {
                    anchors: anchors(texts),
                    name: name.to_vec(),
                    link: link.to_vec(),
                    gate: gate.map(|(texts, direct)| Gate { anchors: anchors(texts), direct }),
                    values: Values { alphabet, lengths: lengths.to_vec(), behind: behind.to_vec() },
                }
            }
            EmbeddedMark::Inside(texts) => Mark::Inside(anchors(texts)),
            EmbeddedMark::Whole(shortest, longest) => Mark::Whole(shortest, longest),
        };
        Shape { run: self.run, digit: self.digit, lead: self.lead, mark }
    }
}

/// An [`Opening`] of this build.
enum EmbeddedOpening {
    At(Place, &'static [ByteSet]),
    Sign(u8, usize, usize, ByteSet, &'static [ByteSet]),
    Colons(usize, ByteSet, ByteSet, ByteSet),
}

impl EmbeddedOpening {
    fn opening(&self) -> Opening {
        match *self {
            Self::At(place, sets) => Opening::At { place, sets: sets.to_vec() },
            Self::Sign(sign, near, far, left, sets) => {
                Opening::Sign { sign, near, far, left, sets: sets.to_vec() }
            }
            Self::Colons(far, core, stop, lead) => Opening::Colons { far, core, stop, lead },
        }
    }
}

mod embedded {
    use sift_rules::Place;

    use super::{Embedded, EmbeddedDatabase, EmbeddedMark, EmbeddedOpening, EmbeddedShape};
    include!(concat!(env!("OUT_DIR"), "/databases.rs"));
}

/// The pattern engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// Intel Hyperscan 5.4.
    Hyperscan,
    /// `regex-automata`: slower, everywhere.
    Automata,
}

impl EngineKind {
    /// The word used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hyperscan => "hyperscan",
            Self::Automata => "automata",
        }
    }
}

/// The version of Hyperscan in this build; none without it.
pub fn engine_version() -> Option<String> {
    sift_hs::version()
}

/// The engine to use: the wish if it can be had, else the best there is.
pub(crate) fn choose(wish: Option<EngineKind>) -> Result<EngineKind, ScanError> {
    static USABLE: OnceLock<Result<(), String>> = OnceLock::new();
    let usable = || once(&USABLE, || sift_hs::verify().map_err(|e| e.to_string()));
    match wish {
        Some(EngineKind::Automata) => Ok(EngineKind::Automata),
        Some(EngineKind::Hyperscan) => match usable() {
            Ok(()) => Ok(EngineKind::Hyperscan),
            Err(reason) => Err(ScanError::Option(format!("hyperscan cannot be used: {reason}"))),
        },
        None if usable().is_ok() => Ok(EngineKind::Hyperscan),
        None => Ok(EngineKind::Automata),
    }
}

/// Engines for the wanted patterns of one view, and for cues where a database has both.
pub(crate) struct Built {
    pub(crate) engines: Vec<Arc<dyn Matcher>>,
    pub(crate) database_bytes: usize,
    /// Whether the cues that were wanted are among them.
    pub(crate) has_cues: bool,
}

pub(crate) fn engines(
    rules: &RuleSet,
    view: View,
    wanted: &[u32],
    cues: Encodings,
    kind: EngineKind,
) -> Result<Built, ScanError> {
    let mut built = Built { engines: Vec::new(), database_bytes: 0, has_cues: false };
    if kind == EngineKind::Automata {
        let parts = wanted.iter().map(|&p| parts(rules, p)).collect::<Result<Vec<_>, _>>()?;
        let engine = Automata::new(wanted.to_vec(), &parts).map_err(ScanError::Engine)?;
        built.engines.push(Arc::new(engine));
        return Ok(built);
    }
    let id = |p: u32| rules.rules()[rules.patterns()[p as usize].rule].id.as_str();
    let builtin = |p: &u32| rules.rules()[rules.patterns()[*p as usize].rule].builtin;
    // The first that has the most, so the smallest of those that have all.
    let choices: &[&Embedded] = match view {
        View::Identity => &[&embedded::PERSONAL, &embedded::SECRETS, &embedded::ALL],
        View::Folded if veils::has_cues(cues) => &[&embedded::VEILED],
        View::Folded => &[&embedded::FOLDED],
    };
    let has = |embedded: &Embedded| -> HashSet<u32> {
        let stored: HashSet<&str> = embedded.all().collect();
        wanted.iter().copied().filter(|p| builtin(p) && stored.contains(id(*p))).collect()
    };
    let sizes = choices.iter().map(|&embedded| (embedded, has(embedded)));
    let best = sizes.reduce(|best, next| if next.1.len() > best.1.len() { next } else { best });
    let Some((embedded, stored)) = best else { return Ok(built) };
    // What belongs to no set that is compiled into the library is compiled like a user's rules.
    let (own, custom): (Vec<u32>, Vec<u32>) = wanted.iter().partition(|&p| stored.contains(p));
    let mut runs: Vec<(u32, Shape)> = Vec::new();
    let mut marks: Vec<(u32, Vec<Opening>)> = Vec::new();
    let add = |built: &mut Built, database: Database, patterns: Vec<u32>, needs: &[u8]| {
        let engine = Hyperscan::new(database, patterns).map_err(ScanError::Engine)?;
        built.database_bytes += engine.database_bytes();
        built.engines.push(match needs {
            [] => Arc::new(engine),
            _ => Arc::new(Guarded { needs: HighBytes::new(needs.iter().copied()), engine }),
        });
        Ok::<(), ScanError>(())
    };
    if !own.is_empty() {
        let by_key: HashMap<&str, u32> = own.iter().map(|&p| (id(p), p)).collect();
        runs.extend(
            embedded.runs.iter().filter_map(|run| Some((*by_key.get(run.key)?, run.shape()))),
        );
        marks.extend(embedded.marks.iter().filter_map(|(key, openings)| {
            Some((*by_key.get(key)?, openings.iter().map(EmbeddedOpening::opening).collect()))
        }));
        for part in embedded.databases {
            let number = |key: &&str| by_key.get(key).copied().or_else(|| veils::number(key, cues));
            let patterns: Vec<u32> =
                part.keys.iter().map(|key| number(key).unwrap_or(NONE)).collect();
            built.has_cues |= patterns.iter().any(|&number| veils::reading(number).is_some());
            if patterns.iter().any(|&pattern| pattern != NONE) {
                let database = Database::deserialize(part.bytes)
                    .map_err(|e| ScanError::Engine(format!("the built-in database: {e}")))?;
                add(&mut built, database, patterns, part.needs)?;
            }
        }
    }
    let mut compiled = Vec::new();
    for id in custom {
        // Parsed first, so that a broken pattern is told with its rule.
        parts(rules, id)?;
        let pattern = &rules.patterns()[id as usize];
        if let Some(shape) = pattern.shape().map_err(ScanError::Engine)? {
            runs.push((id, shape));
        } else if let Some(openings) = pattern.openings().map_err(ScanError::Engine)? {
            marks.push((id, openings));
        } else {
            compiled.push(id);
        }
    }
    if !marks.is_empty() {
        built.engines.push(Arc::new(Marks::new(&marks)));
    }
    if !runs.is_empty() {
        built.engines.push(Arc::new(Runs::new(&runs)));
    }
    if !compiled.is_empty() {
        add(&mut built, compile(rules, &compiled)?, compiled, &[])?;
    }
    Ok(built)
}

/// An engine for texts that have one of these bytes: the words of other scripts.
struct Guarded {
    needs: HighBytes,
    engine: Hyperscan,
}

impl Matcher for Guarded {
    fn hits(&self, text: &[u8], on_hit: &mut dyn FnMut(Hit) -> bool) -> Result<(), String> {
        if self.needs.any_in(text) {
            self.engine.hits(text, on_hit)?;
        }
        Ok(())
    }
}

fn parts(rules: &RuleSet, pattern: u32) -> Result<&Parts, ScanError> {
    let pattern = &rules.patterns()[pattern as usize];
    pattern.parts().map_err(|reason| ScanError::Compile {
        rule: rules.rules()[pattern.rule].id.clone(),
        reason,
    })
}

/// Compiles user patterns, or takes them from the private cache.
fn compile(rules: &RuleSet, wanted: &[u32]) -> Result<Database, ScanError> {
    let expressions = wanted
        .iter()
        .map(|&p| Ok(hyperscan_expression(&parts(rules, p)?.trigger())))
        .collect::<Result<Vec<_>, ScanError>>()?;
    let key = cache::key(&expressions, &sift_hs::version().unwrap_or_default());
    if let Some(database) = cache::load(&key).and_then(|b| Database::deserialize(&b).ok()) {
        return Ok(database);
    }
    let patterns: Vec<HsPattern<'_>> = (0_u32..)
        .zip(&expressions)
        .map(|(id, expression)| HsPattern { expression, id, flags: Flags::default() })
        .collect();
    let database = Database::compile(&patterns, Platform::Generic).map_err(|error| {
        let pattern = error.pattern_id().and_then(|id| wanted.get(id as usize));
        let rule = pattern.map(|&p| &rules.rules()[rules.patterns()[p as usize].rule]);
        ScanError::Compile {
            rule: rule.map_or_else(|| "?".to_owned(), |r| r.id.clone()),
            reason: error.to_string(),
        }
    })?;
    if let Ok(bytes) = database.serialize() {
        cache::store(&key, &bytes);
    }
    Ok(database)
}
