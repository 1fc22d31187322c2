//! [`Scanner`]: rules compiled once, scanned many times, from any thread.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use sift_checks::{entropy, Check, Outcome as Checked, Subject};
use sift_rules::{has_byte, is_labelled, once, Category, Context, Pattern, RuleSet, View};
use sift_text::decode::{self, Chain, Encodings, Reading};

use crate::builtin::{self, EngineKind};
use crate::candidate::{Candidate, Extent};
use crate::confirm::{Automata, Step};
use crate::error::ScanError;
use crate::hold::HoldAutomaton;
use crate::limits::{Incomplete, Limits, MAX_HITS};
use crate::matcher::{Hit, Matcher};
use crate::provider::provider;
use crate::resolve::{Part, Sink, Terms, Walk};
use crate::stream::Stream;
use crate::veils;
use crate::Finding;

/// Bytes left of a group that checks and context words may see.
pub(crate) const LOOK_BEHIND: usize = 64;

/// What a context word adds, and what no context can exceed.
const CONTEXT_BONUS: f32 = 0.35;
const CONTEXT_CAP: f32 = 0.99;

/// How a scanner selects and bounds.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these entity types; none means all.
    pub entities: Option<Vec<String>>,
    /// Not these entity types or rule ids.
    pub exclude: Vec<String>,
    /// Findings below are dropped.
    pub min_score: f32,
    /// Values that are never findings, compared with the group byte by byte.
    pub allow_list: Vec<Vec<u8>>,
    /// Bounds.
    pub limits: Limits,
    /// Which engine; none chooses Hyperscan where it is present.
    pub engine: Option<EngineKind>,
    /// Encodings that are undone; none by default.
    pub decode: Encodings,
}

/// How much work a scan did, in units that do not depend on the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Hits the engine reported.
    pub hits: u64,
    /// Bytes the confirm automata read.
    pub steps: u64,
    /// Bytes that were decoded.
    pub decoded: u64,
}

/// The answer of a scan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scan {
    /// Findings in text order, not overlapping.
    pub findings: Vec<Finding>,
    /// Limits that were hit.
    pub incomplete: Incomplete,
    /// Work done.
    pub work: Work,
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is a finding.
    Found,
    /// A check or an option dropped it; the reason is a stable code.
    Dropped(&'static str),
    /// It lost to an overlapping candidate.
    Overlapped,
}

/// One line of [`Scanner::explain`].
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// Position of the rule.
    pub rule: u32,
    /// Span in the original text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Score, 0 where dropped before it was known.
    pub score: f32,
    /// The view it was found in.
    pub view: View,
    /// How what the view was made of was encoded.
    pub decoded: Chain,
    /// Why, or why not.
    pub outcome: Outcome,
}

/// What a scan is for: which categories count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Everything selected.
    Scan,
    /// What is edited: secrets and personal data.
    Redact,
}

/// Patterns of the same candidates, of which the first is looked for: the telephone numbers of 23 countries are
/// written alike, and what a stream has under way is determinised for all patterns together.
struct Twins {
    groups: Vec<Vec<u32>>,
    /// By pattern: its group, or [`Twins::ALONE`].
    of: Box<[u32]>,
}

impl Twins {
    const ALONE: u32 = u32::MAX;

    fn new(rules: &RuleSet, keep: &[bool]) -> Self {
        let mut groups: Vec<Vec<u32>> = Vec::new();
        for (index, pattern) in (0_u32..).zip(rules.patterns()) {
            let category = rules.rules()[pattern.rule].category;
            // No others have twins, and comparing a thousand patterns would cost a start more than it saves.
            if category != Category::Pii || pattern.has_body() || !kept(pattern, keep) {
                continue;
            }
            let twin = |group: &&mut Vec<u32>| {
                group
                    .first()
                    .is_some_and(|&first| rules.patterns()[first as usize].is_twin(pattern))
            };
            match groups.iter_mut().find(twin) {
                Some(group) => group.push(index),
                None => groups.push(vec![index]),
            }
        }
        groups.retain(|group| group.len() > 1);
        let mut of = vec![Self::ALONE; rules.patterns().len()];
        for (number, group) in (0..).zip(&groups) {
            group.iter().for_each(|&pattern| of[pattern as usize] = number);
        }
        Self { groups, of: of.into() }
    }

    /// Whether a pattern is looked for, alone or for its twins.
    fn leads(&self, pattern: u32) -> bool {
        self.of(&pattern).first() == Some(&pattern)
    }

    /// The patterns that a candidate of this one is judged for.
    fn of<'a>(&'a self, pattern: &'a u32) -> &'a [u32] {
        let group = self.of[*pattern as usize];
        self.groups.get(group as usize).map_or(std::slice::from_ref(pattern), Vec::as_slice)
    }
}

/// A view with the engines that read it.
struct Stage {
    view: View,
    /// Whether anything that is edited is found in this view.
    edited: bool,
    engines: Vec<Arc<dyn Matcher>>,
}

/// Compiled rules. Share it: all methods take `&self`.
pub struct Scanner {
    rules: Arc<RuleSet>,
    options: Options,
    decode: decode::Limits,
    allowed: HashSet<Vec<u8>>,
    stages: Vec<Stage>,
    engine: EngineKind,
    database_bytes: usize,
    automata: Vec<OnceLock<Result<Automata, String>>>,
    keep: Vec<bool>,
    twins: Twins,
    hold: OnceLock<Result<Hold, String>>,
    /// Veils that are lifted: none without rules for injections.
    veils: Encodings,
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner")
            .field("rules", &self.rules.rules().len())
            .field("hash", &self.rules.hash())
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

/// The hold automaton with its pattern numbers.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) automaton: HoldAutomaton,
    pub(crate) patterns: Vec<u32>,
    /// Widest pattern: a hit at `end` speaks of groups that begin at most this far left of it.
    pub(crate) width: usize,
}

thread_local! {
    /// Buffers that outlive a scan; taken for its duration, so a scan inside a scan gets new ones.
    static SCRATCH: Cell<Scratch> = Cell::new(Scratch::default());
}

#[derive(Default)]
pub(crate) struct Scratch {
    folded: Vec<u8>,
    hits: Vec<Hit>,
    /// Where words may be veiled, in the folded view.
    pub(crate) cues: Vec<(Reading, usize)>,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) ends: Vec<usize>,
}

impl Scratch {
    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        self.folded.capacity()
            + self.hits.capacity() * std::mem::size_of::<Hit>()
            + self.cues.capacity() * std::mem::size_of::<(Reading, usize)>()
            + self.candidates.capacity() * std::mem::size_of::<Candidate>()
            + self.ends.capacity() * std::mem::size_of::<usize>()
    }
}

/// How a text is read.
#[derive(Clone, Copy)]
pub(crate) struct Mode<'a> {
    /// Spans are widened to whole UTF-8 characters.
    pub(crate) characters: bool,
    /// Nothing follows what is there.
    pub(crate) complete: bool,
    /// What scores less is dropped, before overlaps are resolved and bodies followed.
    pub(crate) least: f32,
    /// Rules whose findings are left as they are: dropped as well, so that they hide nothing.
    pub(crate) keeps: &'a dyn Fn(u32) -> bool,
}

impl Mode<'_> {
    /// Of a scan: everything counts.
    const SCAN: Self =
        Self { characters: false, complete: true, least: 0.0, keeps: &|_: u32| false };
}

/// What is known of a place that was looked at.
pub(crate) enum Judged {
    Kept { rule: usize, score: f32 },
    Dropped { rule: usize, reason: &'static str },
}

impl Scanner {
    /// Compiles a rule set.
    ///
    /// Errors: a rule the engine refuses ([`ScanError::Compile`]), unknown entity types or rule ids in
    /// the options ([`ScanError::Option`]).
    pub fn new(rules: Arc<RuleSet>, options: Options) -> Result<Self, ScanError> {
        let keep = selected(&rules, &options)?;
        let twins = Twins::new(&rules, &keep);
        let engine = builtin::choose(options.engine)?;
        let (mut stages, mut database_bytes) = (Vec::new(), 0);
        let injection = |(rule, keep): (&sift_rules::Rule, &bool)| {
            *keep && rule.category == Category::Injection
        };
        let veils = match rules.rules().iter().zip(&keep).any(injection) {
            true => options.decode.both(decode::VEILS),
            false => Encodings::default(),
        };
        for view in [View::Identity, View::Folded] {
            let wanted: Vec<u32> = (0_u32..)
                .zip(rules.patterns())
                .filter(|(i, p)| p.view == view && kept(p, &keep) && twins.leads(*i))
                .map(|(i, _)| i)
                .collect();
            let cues = if view == View::Folded { veils } else { Encodings::default() };
            if wanted.is_empty() && cues.is_empty() {
                continue;
            }
            let mut built = builtin::engines(&rules, view, &wanted, cues, engine)?;
            if !built.has_cues {
                built.engines.extend(veils::engine(cues, engine).map_err(ScanError::Engine)?);
            }
            database_bytes += built.database_bytes;
            let edited = wanted.iter().any(|&p| is_edited(&rules, &rules.patterns()[p as usize]));
            stages.push(Stage { view, edited, engines: built.engines });
        }
        let automata = rules.patterns().iter().map(|_| OnceLock::new()).collect();
        let allowed = options.allow_list.iter().cloned().collect();
        let encodings = options.decode.without(decode::VEILS).union(veils);
        let scanner = Self {
            rules,
            options,
            decode: decode::Limits { encodings, ..decode::Limits::default() },
            allowed,
            stages,
            engine,
            database_bytes,
            automata,
            keep,
            twins,
            hold: OnceLock::new(),
            veils,
        };
        // A user's rule is built at once, so that its fault is told when it is loaded.
        if scanner.rules.is_custom() {
            for (index, pattern) in scanner.rules.patterns().iter().enumerate() {
                if !scanner.rules.rules()[pattern.rule].builtin {
                    scanner.automata(index)?;
                }
            }
        }
        Ok(scanner)
    }

    /// The rules, by which findings are numbered.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// The engine in use.
    pub fn engine(&self) -> EngineKind {
        self.engine
    }

    /// Bounds in force.
    pub fn limits(&self) -> &Limits {
        &self.options.limits
    }

    /// What is decoded, and how far.
    pub(crate) fn decode(&self) -> &decode::Limits {
        &self.decode
    }

    /// Veils of words that are lifted, if there are rules for injections.
    pub(crate) fn veils(&self) -> Encodings {
        self.veils
    }

    /// Size of the engine's databases in bytes; 0 for the automata engine.
    pub fn database_bytes(&self) -> usize {
        self.database_bytes
    }

    /// Finds everything in a text.
    ///
    /// Errors: a text above `limits.text_bytes`, or an engine that fails. Other limits are in
    /// [`Scan::incomplete`].
    pub fn scan(&self, text: &[u8]) -> Result<Scan, ScanError> {
        let mut scratch = SCRATCH.take();
        let result = self.scan_with(text, &mut scratch);
        SCRATCH.set(scratch);
        result
    }

    fn scan_with(&self, text: &[u8], scratch: &mut Scratch) -> Result<Scan, ScanError> {
        let mut scan = Scan::default();
        scratch.candidates.clear();
        self.collect(text, Operation::Scan, Mode::SCAN, scratch, &mut scan, &mut None)?;
        if scratch.candidates.is_empty() {
            return Ok(scan);
        }
        scratch.candidates.sort_unstable_by_key(Candidate::order);
        let mut winner_end = 0;
        let limits = &self.options.limits;
        for candidate in &scratch.candidates {
            if candidate.start < winner_end {
                continue;
            }
            if scan.findings.len() == limits.findings {
                scan.incomplete.insert(Incomplete::FINDINGS);
                break;
            }
            winner_end = candidate.extent.reach();
            let end = winner_end.min(candidate.start + limits.finding_bytes);
            if end < winner_end {
                scan.incomplete.insert(Incomplete::FINDING_BYTES);
            }
            scan.findings.push(Finding {
                rule: candidate.rule,
                start: candidate.start,
                end,
                score: candidate.score,
                decoded: candidate.decoded,
            });
        }
        Ok(scan)
    }

    /// Walks a text from left to right and tells `sink` what to keep and what to edit: secrets and
    /// personal data with a score of [`Sink::least`] or more.
    ///
    /// `characters` widens spans to whole UTF-8 characters. `needs_value` says whether the operator of
    /// a rule wants the covered text. A hit limit that would let something through is an error.
    pub fn redact(
        &self,
        text: &[u8],
        characters: bool,
        needs_value: &dyn Fn(u32) -> bool,
        sink: &mut dyn Sink,
    ) -> Result<Incomplete, ScanError> {
        let mut scratch = SCRATCH.take();
        let result = self.redact_with(text, characters, needs_value, sink, &mut scratch);
        SCRATCH.set(scratch);
        result
    }

    fn redact_with(
        &self,
        text: &[u8],
        characters: bool,
        needs_value: &dyn Fn(u32) -> bool,
        sink: &mut dyn Sink,
        scratch: &mut Scratch,
    ) -> Result<Incomplete, ScanError> {
        let mut scan = Scan::default();
        scratch.candidates.clear();
        let keeps = |rule| sink.keeps(rule);
        let mode = Mode { characters, complete: true, least: sink.least(), keeps: &keeps };
        self.collect(text, Operation::Redact, mode, scratch, &mut scan, &mut None)?;
        // What is too deep to be read is no text that could be given out in part.
        if let Some(name) = scan.incomplete.without(Incomplete::DECODE).names().next() {
            return Err(ScanError::Limit(name));
        }
        if characters {
            scratch.candidates.iter_mut().for_each(|c| widen(c, Part { base: 0, bytes: text }));
        }
        scratch.candidates.sort_unstable_by_key(Candidate::order);
        let terms = Terms { needs_value, finding_bytes: self.options.limits.finding_bytes };
        let part = Part { base: 0, bytes: text };
        let mut walk = Walk::default();
        for candidate in &scratch.candidates {
            walk.offer(candidate, part, &terms, sink);
        }
        walk.release(text.len(), part, sink);
        walk.incomplete.insert(scan.incomplete);
        Ok(walk.incomplete)
    }

    /// Every candidate and what became of it, in text order. A hit limit that would hide one is an error.
    pub fn explain(&self, text: &[u8]) -> Result<Vec<Explained>, ScanError> {
        let mut scratch = Scratch::default();
        let mut scan = Scan::default();
        let mut dropped = Some(Vec::new());
        self.collect(text, Operation::Scan, Mode::SCAN, &mut scratch, &mut scan, &mut dropped)?;
        // There is no place in a list of lines to say that it is not whole.
        if let Some(name) = scan.incomplete.without(Incomplete::DECODE).names().next() {
            return Err(ScanError::Limit(name));
        }
        let mut lines = dropped.unwrap_or_default();
        scratch.candidates.sort_unstable_by_key(Candidate::order);
        let mut winner_end = 0;
        for candidate in &scratch.candidates {
            let end = candidate.extent.reach();
            let wins = candidate.start >= winner_end;
            if wins {
                winner_end = end;
            }
            lines.push(Explained {
                rule: candidate.rule,
                start: candidate.start,
                end,
                score: candidate.score,
                view: self.rules.patterns()[candidate.pattern as usize].view,
                decoded: candidate.decoded,
                outcome: if wins { Outcome::Found } else { Outcome::Overlapped },
            });
        }
        lines.sort_by_key(|l| (l.start, l.end, l.rule));
        Ok(lines)
    }

    /// Begins a stream. `characters` as in [`Scanner::redact`].
    ///
    /// Errors: rules that are too large together for the hold automaton.
    pub fn stream(self: &Arc<Self>, characters: bool) -> Result<Stream, ScanError> {
        let position = self.hold()?.automaton.start();
        Ok(Stream::new(Arc::clone(self), position, characters))
    }

    /// The longest end of a text that this rule set can make a stream hold, in bytes.
    pub fn longest_hold(&self) -> Result<usize, ScanError> {
        Ok(self.hold()?.automaton.longest())
    }

    /// Rows of the streams' shared table and how often it was dropped, for those who tune rules: a set
    /// that drops it often has a pattern that begins everywhere.
    pub fn hold_table(&self) -> Option<(usize, u64)> {
        self.hold().ok()?.automaton.table_size()
    }

    pub(crate) fn hold(&self) -> Result<&Hold, ScanError> {
        let hold = once(&self.hold, || {
            let patterns: Vec<u32> = (0_u32..)
                .zip(self.rules.patterns())
                .filter(|(i, p)| {
                    is_edited(&self.rules, p) && kept(p, &self.keep) && self.twins.leads(*i)
                })
                .map(|(i, _)| i)
                .collect();
            let parts = patterns
                .iter()
                .map(|&p| self.rules.patterns()[p as usize].parts())
                .collect::<Result<Vec<_>, _>>()?;
            let width = parts.iter().map(|p| p.total_width()).max().unwrap_or(0);
            Ok(Hold { automaton: HoldAutomaton::build(&parts)?, patterns, width })
        });
        hold.as_ref().map_err(|e| ScanError::Engine(e.clone()))
    }

    /// Steps view, match, confirm, check and select: fills `scratch.candidates`.
    fn collect(
        &self,
        text: &[u8],
        operation: Operation,
        mode: Mode<'_>,
        scratch: &mut Scratch,
        scan: &mut Scan,
        dropped: &mut Option<Vec<Explained>>,
    ) -> Result<(), ScanError> {
        let limit = self.options.limits.text_bytes.min(u32::MAX as usize);
        if text.len() > limit {
            return Err(ScanError::TooLong { bytes: text.len(), limit });
        }
        let deadline = self.options.limits.time.map(|time| Instant::now() + time);
        scratch.cues.clear();
        self.read(text, operation, mode, deadline, scratch, scan, dropped)?;
        if !self.decode.encodings.is_empty() {
            let Scratch { candidates, cues, .. } = scratch;
            self.read_decoded(text, operation, mode, deadline, cues, candidates, scan, dropped)?;
        }
        Ok(())
    }

    /// The steps of [`collect`](Self::collect) for a text as it stands, or a decoded view: adds to
    /// `scratch.candidates`.
    #[expect(clippy::too_many_arguments, reason = "what a scan is, and where its results go")]
    pub(crate) fn read(
        &self,
        text: &[u8],
        operation: Operation,
        mode: Mode<'_>,
        deadline: Option<Instant>,
        scratch: &mut Scratch,
        scan: &mut Scan,
        dropped: &mut Option<Vec<Explained>>,
    ) -> Result<(), ScanError> {
        for stage in &self.stages {
            if operation == Operation::Redact && !stage.edited {
                continue;
            }
            scratch.hits.clear();
            let view: &[u8] = match stage.view {
                View::Identity => text,
                View::Folded => {
                    sift_text::fold(text, &mut scratch.folded);
                    &scratch.folded
                }
            };
            let (hits, cues) = (&mut scratch.hits, &mut scratch.cues);
            let mut stopped = Incomplete::default();
            for engine in &stage.engines {
                let mut on_hit = |hit: Hit| {
                    if let Some(reading) = veils::reading(hit.pattern) {
                        cues.push((reading, hit.end as usize));
                        if cues.len() < MAX_HITS {
                            return true;
                        }
                        stopped.insert(Incomplete::HITS);
                        return false;
                    }
                    if hits.len() == MAX_HITS {
                        stopped.insert(Incomplete::HITS);
                        return false;
                    }
                    if deadline.is_some_and(|at| Instant::now() > at) {
                        stopped.insert(Incomplete::TIME);
                        return false;
                    }
                    hits.push(hit);
                    true
                };
                engine.hits(view, &mut on_hit).map_err(ScanError::Engine)?;
            }
            scan.incomplete.insert(stopped);
            if hits.is_empty() {
                continue;
            }
            scan.work.hits += hits.len() as u64;
            // By where groups may begin: the cursor of a pattern never comes back to what it has passed.
            hits.sort_unstable_by_key(|h| (h.pattern, h.end.saturating_sub(h.reach), h.end));
            let first = scratch.candidates.len();
            let first_dropped = dropped.as_ref().map_or(0, Vec::len);
            self.confirm_hits(
                view,
                &scratch.hits,
                operation,
                mode,
                deadline,
                &mut scratch.candidates,
                &mut scratch.ends,
                scan,
                dropped,
            )?;
            if stage.view == View::Folded {
                unfold(text, &mut scratch.candidates[first..]);
                if let Some(lines) = dropped {
                    unfold_lines(text, &mut lines[first_dropped..]);
                }
            }
        }
        Ok(())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the buffers are borrowed apart from one another"
    )]
    fn confirm_hits(
        &self,
        view: &[u8],
        hits: &[Hit],
        operation: Operation,
        mode: Mode<'_>,
        deadline: Option<Instant>,
        candidates: &mut Vec<Candidate>,
        ends: &mut Vec<usize>,
        scan: &mut Scan,
        dropped: &mut Option<Vec<Explained>>,
    ) -> Result<(), ScanError> {
        for group in hits.chunk_by(|a, b| a.pattern == b.pattern) {
            let Some(index) = group.first().map(|hit| hit.pattern as usize) else { continue };
            let pattern = &self.rules.patterns()[index];
            if operation == Operation::Redact && !is_edited(&self.rules, pattern) {
                continue;
            }
            let width = self.width(index)?;
            let (mut cursor, mut reached) = (0, Vec::new());
            for hit in group {
                if deadline.is_some_and(|at| Instant::now() > at) {
                    scan.incomplete.insert(Incomplete::TIME);
                    return Ok(());
                }
                let end = (hit.end as usize).min(view.len());
                let reach = if hit.reach == Hit::WIDTH { width } else { hit.reach as usize };
                let from = cursor.max(end.saturating_sub(reach));
                cursor = self.confirm(
                    index,
                    Part { base: 0, bytes: view },
                    from,
                    end,
                    mode,
                    &mut reached,
                    ends,
                    &mut scan.work.steps,
                    &mut |candidate| candidates.push(candidate),
                    dropped,
                )?;
            }
        }
        Ok(())
    }

    fn width(&self, pattern: usize) -> Result<usize, ScanError> {
        let parts = self.rules.patterns()[pattern].parts();
        Ok(parts.map_err(|reason| self.broken(pattern, reason))?.total_width())
    }

    fn broken(&self, pattern: usize, reason: String) -> ScanError {
        let rule = self.rules.patterns()[pattern].rule;
        ScanError::Compile { rule: self.rules.rules()[rule].id.clone(), reason }
    }

    pub(crate) fn automata(&self, pattern: usize) -> Result<&Automata, ScanError> {
        once(&self.automata[pattern], || Automata::build(self.rules.patterns()[pattern].parts()?))
            .as_ref()
            .map_err(|reason| self.broken(pattern, reason.clone()))
    }

    /// Looks at every place in `from..to` (offsets of the text, as far as `text` holds it) where a group
    /// of the pattern could begin, and judges it for each of its twins. Returns where to go on: an accepted
    /// candidate may end beyond `to`. `reached` says which twins had one, and where it ended.
    #[expect(
        clippy::too_many_arguments,
        reason = "shared by the whole text and streams, which own different buffers"
    )]
    pub(crate) fn confirm(
        &self,
        index: usize,
        text: Part<'_>,
        from: usize,
        to: usize,
        mode: Mode<'_>,
        reached: &mut Vec<(u32, usize)>,
        ends: &mut Vec<usize>,
        steps: &mut u64,
        accept: &mut dyn FnMut(Candidate),
        dropped: &mut Option<Vec<Explained>>,
    ) -> Result<usize, ScanError> {
        if from >= to {
            return Ok(from);
        }
        let automata = self.automata(index)?;
        let index = index as u32;
        let twins = self.twins.of(&index);
        let (mut at, to) = (from - text.base, to - text.base);
        while at < to {
            if !automata.may_begin(text.bytes, at) {
                at += 1;
                continue;
            }
            let Some(end) = automata.candidate(text.bytes, at, ends, steps) else {
                at += 1;
                continue;
            };
            let start = text.base + at;
            let mut next = usize::MAX;
            for &twin in twins {
                let inside = |(pattern, reach): &&(u32, usize)| *pattern == twin && *reach > start;
                if let Some((_, reach)) = reached.iter().find(inside) {
                    next = next.min(*reach);
                    continue;
                }
                let pattern = &self.rules.patterns()[twin as usize];
                match self.judge(pattern, text.bytes, at, end, mode) {
                    Judged::Kept { rule, score } => {
                        let group_end = text.base + end;
                        let mut candidate = Candidate {
                            start,
                            group_end,
                            rule: rule as u32,
                            pattern: twin,
                            tier: self.rules.rules()[rule].tier,
                            score,
                            extent: if automata.has_body() {
                                Extent::Open(group_end)
                            } else {
                                Extent::Closed(group_end)
                            },
                            decoded: Chain::default(),
                            seen: 0,
                            run: None,
                        };
                        self.extend(&mut candidate, text, mode, steps)?;
                        let extent = candidate.extent;
                        accept(candidate);
                        match extent {
                            // What begins inside a body is part of it: following each beginning to the same
                            // end was quadratic.
                            Extent::Closed(reach) => next = next.min(reach),
                            // A pattern with a body has no twins.
                            Extent::Open(reach) => return Ok(reach),
                        }
                        if twins.len() > 1 {
                            reached.retain(|(_, reach)| *reach > start);
                            reached.push((twin, extent.reach()));
                        }
                    }
                    Judged::Dropped { rule, reason } => {
                        if let Some(lines) = dropped {
                            lines.push(Explained {
                                rule: rule as u32,
                                start,
                                end: text.base + end,
                                score: 0.0,
                                view: pattern.view,
                                decoded: Chain::default(),
                                outcome: Outcome::Dropped(reason),
                            });
                        }
                        next = start + 1;
                    }
                }
            }
            at = next - text.base;
        }
        Ok(text.base + at)
    }

    /// Follows a body as far as the text decides it.
    pub(crate) fn extend(
        &self,
        candidate: &mut Candidate,
        text: Part<'_>,
        mode: Mode<'_>,
        steps: &mut u64,
    ) -> Result<(), ScanError> {
        let Extent::Open(reach) = candidate.extent else { return Ok(()) };
        let automata = self.automata(candidate.pattern as usize)?;
        // A body goes on at whole characters, so that it never ends inside one.
        let whole = |at| if mode.characters { sift_text::ceil_char(text.bytes, at) } else { at };
        let mut at = whole(reach - text.base);
        candidate.extent = loop {
            match automata.body_step(text.bytes, at, mode.complete, steps) {
                Step::To(end) => at = whole(end),
                Step::Open => break Extent::Open(text.base + at),
                Step::No => match automata.end_step(text.bytes, at, mode.complete, steps) {
                    Step::To(end) => break Extent::Closed(text.base + whole(end)),
                    Step::No => break Extent::Closed(text.base + at),
                    Step::Open => break Extent::Open(text.base + at),
                },
            }
        };
        Ok(())
    }

    fn judge(
        &self,
        pattern: &Pattern,
        text: &[u8],
        start: usize,
        end: usize,
        mode: Mode<'_>,
    ) -> Judged {
        let value = &text[start..end];
        let before = &text[start.saturating_sub(LOOK_BEHIND)..start];
        let (rule, admitted) = match pattern.providers.as_slice() {
            [] => (pattern.rule, true),
            providers => {
                let width = pattern.parts().map_or(LOOK_BEHIND, |parts| parts.before_width);
                let lead = &text[start.saturating_sub(width)..start];
                provider(providers, lead, value).unwrap_or((pattern.rule, false))
            }
        };
        let drop = |reason| Judged::Dropped { rule, reason };
        if (mode.keeps)(rule as u32) {
            return drop("kept");
        }
        if !admitted {
            return drop("format");
        }
        if !self.keep[rule] {
            return drop("not_selected");
        }
        if pattern.min_entropy.is_some_and(|bits| entropy(value) < bits) {
            return drop("entropy");
        }
        let (mut score, mut proven) = (self.rules.rules()[rule].score, false);
        let subject = Subject { value, before };
        for check in &pattern.checks {
            match Check::run(*check, &subject) {
                Checked::Keep => {}
                Checked::Set(to) => score = to,
                Checked::Proven => proven = true,
                Checked::Drop(reason) => return drop(reason),
            }
        }
        if let Some(context) = &pattern.context {
            let window = &before[before.len().saturating_sub(context.window)..];
            let behind = || is_labelled(&text[end..], pattern.labels());
            if has_word(window, context) || behind() {
                score = (score + CONTEXT_BONUS).min(CONTEXT_CAP).max(score);
            } else if context.required {
                return drop("no_context");
            }
        }
        if proven {
            score = 1.0;
        }
        if score < self.options.min_score.max(mode.least) {
            return drop("min_score");
        }
        if !self.allowed.is_empty() && self.allowed.contains(value) {
            return drop("allow_list");
        }
        Judged::Kept { rule, score }
    }
}

fn is_edited(rules: &RuleSet, pattern: &Pattern) -> bool {
    matches!(rules.rules()[pattern.rule].category, Category::Secret | Category::Pii)
}

/// Which rules the options leave in; unknown names are errors, since a typo would scan nothing.
fn selected(rules: &RuleSet, options: &Options) -> Result<Vec<bool>, ScanError> {
    let known = |name: &String| rules.rules().iter().any(|r| r.entity == *name);
    if !(0.0..=1.0).contains(&options.min_score) {
        return Err(ScanError::Option("`min_score` must lie between 0 and 1".to_owned()));
    }
    for name in options.entities.iter().flatten() {
        if !known(name) {
            return Err(ScanError::Option(format!(
                "no selected rule has the entity type `{name}`: see `sift-fast rules list`"
            )));
        }
    }
    for name in &options.exclude {
        if !known(name) && rules.find(name).is_none() {
            let reason = sift_rules::withdrawn(name).map_or_else(
                || format!("`exclude` names `{name}`, which is neither an entity type nor a rule id of the selection"),
                |entry| format!("{}; take it out of `exclude`", entry.sentence()),
            );
            return Err(ScanError::Option(reason));
        }
    }
    let excluded: HashSet<usize> = options.exclude.iter().filter_map(|n| rules.find(n)).collect();
    Ok(rules
        .rules()
        .iter()
        .enumerate()
        .map(|(i, r)| {
            let wanted = options.entities.as_ref().is_none_or(|e| e.contains(&r.entity));
            wanted && !options.exclude.contains(&r.entity) && !excluded.contains(&i)
        })
        .collect())
}

/// Whether any rule of the pattern is left in.
fn kept(pattern: &Pattern, keep: &[bool]) -> bool {
    match pattern.providers.as_slice() {
        [] => keep[pattern.rule],
        providers => providers.iter().any(|p| keep[p.rule]),
    }
}

/// Whether a word of a context stands in `text` with no letter or digit at its sides, those of an escaped line feed
/// apart; ASCII case ignored.
fn has_word(text: &[u8], context: &Context) -> bool {
    let joins = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let escaped = |before: &[u8]| {
        matches!(before, [.., b'\\', b'n' | b'r' | b't'])
            || matches!(before, [.., b'%', b'0', b'A' | b'a' | b'D' | b'd' | b'9'])
    };
    text.iter().enumerate().any(|(i, byte)| {
        if !has_byte(&context.firsts, *byte) {
            return false;
        }
        let (before, rest) = text.split_at(i);
        if joins(before.last()) && !escaped(before) {
            return false;
        }
        context.words.iter().map(String::as_bytes).any(|word| {
            // The first byte tells most words apart.
            word.first().is_some_and(|first| first.eq_ignore_ascii_case(byte))
                && rest.get(..word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word))
                && !joins(rest.get(word.len()))
        })
    })
}

/// Widens a candidate to whole UTF-8 characters.
pub(crate) fn widen(candidate: &mut Candidate, text: Part<'_>) {
    let floor = |at: usize| text.base + sift_text::floor_char(text.bytes, at - text.base);
    let ceil = |at: usize| text.base + sift_text::ceil_char(text.bytes, at - text.base);
    candidate.start = floor(candidate.start);
    if let Extent::Closed(end) = candidate.extent {
        candidate.extent = Extent::Closed(ceil(end));
    }
}

/// Maps candidates of the folded view back to the original.
fn unfold(text: &[u8], candidates: &mut [Candidate]) {
    candidates.sort_unstable_by_key(|c| (c.start, c.extent.reach()));
    let mut spans: Vec<(usize, usize)> =
        candidates.iter().map(|c| (c.start, c.extent.reach())).collect();
    sift_text::map_spans(text, &mut spans);
    for (candidate, (start, end)) in candidates.iter_mut().zip(spans) {
        candidate.start = start;
        candidate.group_end = end;
        candidate.extent = Extent::Closed(end);
    }
}

fn unfold_lines(text: &[u8], lines: &mut [Explained]) {
    lines.sort_by_key(|l| (l.start, l.end));
    let mut spans: Vec<(usize, usize)> = lines.iter().map(|l| (l.start, l.end)).collect();
    sift_text::map_spans(text, &mut spans);
    for (line, (start, end)) in lines.iter_mut().zip(spans) {
        (line.start, line.end) = (start, end);
    }
}
