//! The hold automaton: after each byte, how much of the text's end an edit could still begin in.
//!
//! One NFA of all patterns, unanchored, determinised lazily. Each live state carries how many bytes its
//! group has at most so far; the largest number is the *hold*, and `length - hold` the *frontier*: no
//! undecided candidate begins before it (DESIGN.md §3). The numbers cost no rows: repeats are unrolled,
//! so the states of a set tell them already, all but at the exits of a repeat.
//!
//! Sets of all patterns together would be as many as there are ways in which the gaps of two patterns
//! overlap: after 200 conversations every third feed of 24 bytes met new ones, at 100 us and more. So a set of
//! all patterns has only what the last [`SHALLOW`] bytes began, and what lives longer goes on in a set of its
//! pattern, of which prose has one or two. With that a feed of chat took 2.2 us at the median where it was
//! 6.0, and 44 us where it was 2,600 at P99.
//!
//! The table is shared by all streams of a scanner. A stream keeps its own state sets, so the table may
//! be dropped at any time, and nobody ever waits for it: when it is locked elsewhere (another thread, or
//! a thread that is gone after `fork`) the step is computed without it.

use std::collections::hash_map::{Entry, HashMap};
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, OnceLock, RwLock};

use regex_automata::nfa::thompson::{self, State as NfaState, NFA};
use regex_automata::util::alphabet::ByteClasses;
use regex_automata::util::look::Look;
use regex_automata::util::primitives::StateID;
use sift_rules::{once, Parts};

/// Sets the table may have before it is dropped.
const MAX_STATES: usize = 32 * 1024;

/// Steps it may have: 16 bytes each. Chat has five for each set.
const MAX_STEPS: usize = 16 * MAX_STATES;

/// How many bytes all patterns are followed together: with 2, twice as long at the median, with 6 too.
const SHALLOW: u8 = 3;

/// How many beginnings of a pattern have a set each, before the next one goes into the last of these: a name
/// in the gap behind another one made a set for each of their distances. Chat then has a fifth fewer sets.
const APART: usize = 3;

#[derive(Debug)]
enum Node {
    Range(u8, u8, u32),
    Sparse(Box<[(u8, u8, u32)]>),
    Look(Look, u32),
    Union(Box<[u32]>),
    /// The group begins.
    Open(u32),
    Match(u32),
    Fail,
}

/// A live state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Live {
    state: u32,
    /// Bytes since the pattern began, as long as all are followed together; 0 in a set of one pattern.
    depth: u8,
    /// The bytes of its group so far, plus one; 0 before the group.
    distance: u32,
}

/// What the byte before a position is to a look-around.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Start,
    Word,
    Line,
    Other,
}

impl Kind {
    const COUNT: usize = 4;

    fn of(byte: u8) -> Self {
        match byte {
            b'\n' => Self::Line,
            b if b.is_ascii_alphanumeric() || b == b'_' => Self::Word,
            _ => Self::Other,
        }
    }

    fn is_word(self) -> bool {
        self == Self::Word
    }
}

/// A set of live NFA states between two bytes: the shallow ones of all patterns, or the others of its owner.
#[derive(Debug, PartialEq, Eq, Hash)]
struct StateSet {
    /// Byte and look-around states, sorted. The root is left out: it is always there.
    live: Box<[Live]>,
    /// Patterns that end here, or ended one byte ago with a look-around that this byte settled.
    ended: Box<[u32]>,
    /// The pattern, [`BROAD`] or [`ALL`].
    owner: u32,
    before: Kind,
    hold: u32,
}

/// In the place of a pattern: all of them, for the shallow set.
const ALL: u32 = u32::MAX;
/// In the place of a pattern: all that any word begins. They count the same bytes, so that together they have few
/// sets; apart, a text was at 14 rows most of the time.
const BROAD: u32 = u32::MAX - 1;
/// Words that begin no name: the patterns that live longer in them begin everywhere.
const WORDS: [&str; 4] = ["\nqxzj", "\nvkqx", "\nZqJx", "\nx7Kq"];

impl StateSet {
    fn new(owner: u32, before: Kind, mut live: Vec<Live>, mut ended: Vec<u32>) -> Self {
        // Where a state was met twice, the larger number stays.
        live.sort_unstable_by(|a, b| {
            (a.state, a.depth).cmp(&(b.state, b.depth)).then(b.distance.cmp(&a.distance))
        });
        live.dedup_by_key(|it| (it.state, it.depth));
        ended.sort_unstable();
        ended.dedup();
        let hold = live.iter().map(|it| it.distance.saturating_sub(1)).max().unwrap_or(0);
        Self { live: live.into(), ended: ended.into(), owner, before, hold }
    }

    /// Two sets of an owner behind the same byte.
    fn merged(&self, other: &Self) -> Self {
        let both = |a: &[Live], b: &[Live]| [a, b].concat();
        let ended = [&*self.ended, &*other.ended].concat();
        Self::new(self.owner, self.before, both(&self.live, &other.live), ended)
    }

    fn is_empty(&self) -> bool {
        self.live.is_empty() && self.ended.is_empty()
    }
}

#[derive(Debug)]
struct Table {
    generation: u64,
    rows: HashMap<Arc<StateSet>, u32, BuildHasherDefault<Mix>>,
    states: Vec<Arc<StateSet>>,
    /// From `row << 8 | class` to the next row; [`ENDS`] is set where that has ended patterns, [`SPILLS`] where
    /// there is more of it in `spills`. Most sets are left by two or three classes: full rows made a piece of
    /// 24 bytes 0.15 us quicker and took 25 MB more.
    next: HashMap<u64, u32, BuildHasherDefault<Mix>>,
    /// Rows of what outlives the shallow set with a step.
    spills: HashMap<u64, Box<[u32]>, BuildHasherDefault<Mix>>,
    /// From two rows of an owner, the first in the upper half, to the row of both together.
    merged: HashMap<u64, u32, BuildHasherDefault<Mix>>,
}

const ENDS: u32 = 1 << 31;
const SPILLS: u32 = 1 << 30;
/// In the place of a row: nothing is under way.
const NOTHING: u32 = SPILLS - 1;

/// Mixes small numbers; nobody outside chooses them.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u8(&mut self, key: u8) {
        self.write_u64(u64::from(key));
    }

    fn write_u32(&mut self, key: u32) {
        self.write_u64(u64::from(key));
    }

    fn write_usize(&mut self, key: usize) {
        self.write_u64(key as u64);
    }

    fn write_u64(&mut self, key: u64) {
        // Fibonacci hashing; the table takes its index from the low bits, so the high ones are folded in.
        let mixed = (self.0 ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// States that a step has met, each with its largest number. Most steps meet a few, and looking through them
/// is quicker than hashing; digits and signs under rules for all countries meet hundreds.
#[derive(Default)]
struct Met {
    few: Vec<Live>,
    many: HashMap<u64, u32, BuildHasherDefault<Mix>>,
}

impl Met {
    const FEW: usize = 48;

    /// Whether the state is new, or its number larger than before.
    fn insert(&mut self, it: Live) -> bool {
        let same = |known: &&mut Live| (known.state, known.depth) == (it.state, it.depth);
        if let Some(known) = self.few.iter_mut().find(same) {
            let grew = it.distance > known.distance;
            known.distance = it.distance.max(known.distance);
            return grew;
        }
        if self.few.len() < Self::FEW {
            self.few.push(it);
            return true;
        }
        match self.many.entry(u64::from(it.state) << 8 | u64::from(it.depth)) {
            Entry::Vacant(free) => {
                free.insert(it.distance);
                true
            }
            Entry::Occupied(mut known) => it.distance > known.insert(it.distance.max(*known.get())),
        }
    }
}

fn cell(row: u32, class: u8) -> u64 {
    u64::from(row) << 8 | u64::from(class)
}

fn pair(first: u32, second: u32) -> u64 {
    u64::from(first) << 32 | u64::from(second)
}

/// Shared by all streams of a scanner.
#[derive(Debug)]
pub(crate) struct HoldAutomaton {
    nodes: Box<[Node]>,
    /// The pattern of each node, or [`BROAD`].
    owners: Box<[u32]>,
    root: u32,
    classes: ByteClasses,
    stride: usize,
    longest: usize,
    shallow: u8,
    /// What begins with a byte of a class behind a byte of a kind; it is the same for every set.
    roots: Box<[OnceLock<Box<[Live]>>]>,
    table: RwLock<Table>,
}

/// Where one stream stands.
#[derive(Clone, Debug)]
pub(crate) struct Position {
    /// The shallow set, then one of each owner of which something is under way.
    states: Vec<Arc<StateSet>>,
    /// Their rows in the table of this generation; empty if they are not known.
    rows: Vec<u32>,
    generation: u64,
}

impl Position {
    pub(crate) fn hold(&self) -> usize {
        self.states.iter().map(|state| state.hold).max().unwrap_or(0) as usize
    }
}

impl HoldAutomaton {
    /// Builds the automaton of `patterns`; matches are reported by position in that list.
    pub(crate) fn build(patterns: &[&Parts]) -> Result<Self, String> {
        Self::with_shallow(patterns, SHALLOW)
    }

    fn with_shallow(patterns: &[&Parts], shallow: u8) -> Result<Self, String> {
        let hirs: Vec<_> = patterns.iter().map(|p| p.watched()).collect();
        let nfa = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    .which_captures(thompson::WhichCaptures::All)
                    .nfa_size_limit(Some(64 << 20)),
            )
            .build_many_from_hir(&hirs)
            .map_err(|_| "the rules are too large for a stream".to_owned())?;
        let nodes: Box<[Node]> = nfa.states().iter().map(node).collect();
        let root = nfa.start_anchored().as_u32();
        let classes = *nfa.byte_classes();
        let stride = classes.alphabet_len();
        let longest = longest_hold(&nfa, root)?;
        let table = Table {
            generation: 0,
            rows: HashMap::default(),
            states: Vec::new(),
            next: HashMap::default(),
            spills: HashMap::default(),
            merged: HashMap::default(),
        };
        let roots = (0..Kind::COUNT * stride).map(|_| OnceLock::new()).collect();
        let mut automaton = Self {
            owners: owners(&nfa),
            nodes,
            root,
            classes,
            stride,
            longest,
            shallow,
            roots,
            table: RwLock::new(table),
        };
        automaton.find_broad();
        Ok(automaton)
    }

    /// Makes one owner of the patterns that begin in most words.
    fn find_broad(&mut self) {
        let mut met: HashMap<u32, usize> = HashMap::new();
        for word in WORDS {
            let mut set = StateSet::new(ALL, Kind::Start, Vec::new(), Vec::new());
            let mut owners = HashSet::new();
            for byte in word.bytes() {
                let (next, spilled) = self.step(&set, byte);
                owners.extend(spilled.iter().map(|set| set.owner));
                set = next;
            }
            owners.into_iter().for_each(|owner| *met.entry(owner).or_default() += 1);
        }
        for owner in &mut self.owners {
            if met.get(owner).is_some_and(|&words| words > WORDS.len() / 2) {
                *owner = BROAD;
            }
        }
    }

    /// The longest hold any text can cause, in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// Rows of the table, and how often it was dropped; none while somebody writes to it.
    pub(crate) fn table_size(&self) -> Option<(usize, u64)> {
        self.table.try_read().ok().map(|table| (table.states.len(), table.generation))
    }

    /// Where every stream begins.
    pub(crate) fn start(&self) -> Position {
        let state = StateSet::new(ALL, Kind::Start, Vec::new(), Vec::new());
        Position { states: vec![Arc::new(state)], rows: Vec::new(), generation: 0 }
    }

    /// Reads `text` from `position`; `on_end(pattern, i)` says that a match of `pattern` ends at or one
    /// byte before index `i` of `text`.
    pub(crate) fn advance(
        &self,
        position: &mut Position,
        text: &[u8],
        mut on_end: impl FnMut(u32, usize),
    ) {
        let mut i = 0;
        while i < text.len() {
            i = self.advance_known(position, text, i, &mut on_end);
            if let Some(&byte) = text.get(i) {
                self.learn(position, byte);
                i += 1;
                let ended = position.states.iter().flat_map(|state| &*state.ended);
                ended.for_each(|&pattern| on_end(pattern, i));
            }
        }
    }

    /// The matches that the end of the text settles.
    pub(crate) fn finish(&self, position: &Position) -> Vec<u32> {
        let (mut ended, mut targets) = (Vec::new(), Vec::new());
        let root = Live { state: self.root, depth: 0, distance: 0 };
        let before = position.states.first().map_or(Kind::Start, |state| state.before);
        let live = position.states.iter().flat_map(|state| &*state.live);
        for &live in live.chain(std::iter::once(&root)) {
            self.resolve(live, before, None, &mut targets, &mut ended);
        }
        ended.sort_unstable();
        ended.dedup();
        ended
    }

    /// Follows transitions that are in the table. Returns the first index that is not.
    fn advance_known(
        &self,
        position: &mut Position,
        text: &[u8],
        mut i: usize,
        on_end: &mut impl FnMut(u32, usize),
    ) -> usize {
        let Ok(table) = self.table.try_read() else { return i };
        if position.generation != table.generation || position.rows.is_empty() {
            return i;
        }
        let begun = i;
        let mut rows = std::mem::take(&mut position.rows);
        let mut next = Vec::with_capacity(rows.len() + 4);
        while let Some(&byte) = text.get(i) {
            next.clear();
            let Some(ends) = table.step(&rows, self.classes.get(byte), &mut next) else { break };
            std::mem::swap(&mut rows, &mut next);
            i += 1;
            if ends {
                // A set of which nothing else is under way is gone with the next byte.
                let ended = rows.iter().flat_map(|&row| &*table.states[row as usize].ended);
                ended.for_each(|&pattern| on_end(pattern, i));
            }
        }
        if i > begun {
            position.states.clear();
            position.states.extend(rows.iter().map(|&row| table.states[row as usize].clone()));
        }
        position.rows = rows;
        i
    }

    /// Computes one step and, if nobody else is at the table, writes it down.
    fn learn(&self, position: &mut Position, byte: u8) {
        let Ok(mut table) = self.table.try_write() else {
            let mut states = Vec::with_capacity(position.states.len() + 4);
            let mut spilled = Vec::new();
            for state in &position.states {
                let (next, more) = self.step(state, byte);
                if next.owner == ALL || !next.is_empty() {
                    states.push(Arc::new(next));
                }
                spilled.extend(more);
            }
            for more in spilled {
                let more = Arc::new(more);
                match place(&states, &more, |state| state.owner) {
                    Place::There => {}
                    Place::New => states.push(more),
                    Place::With(at) => states[at] = Arc::new(states[at].merged(&more)),
                }
            }
            (position.states, position.rows) = (states, Vec::new());
            return;
        };
        if table.states.len() > MAX_STATES || table.next.len() + table.merged.len() > MAX_STEPS {
            table.clear();
        }
        if position.generation != table.generation || position.rows.is_empty() {
            position.rows = position.states.iter().map(|it| table.intern(it.clone())).collect();
            position.generation = table.generation;
        }
        let class = self.classes.get(byte);
        for (&row, state) in position.rows.iter().zip(&position.states) {
            if !table.next.contains_key(&cell(row, class)) {
                let (next, spilled) = self.step(state, byte);
                table.note(row, class, next, spilled);
            }
        }
        table.merge(&position.rows, class);
        let mut next = Vec::with_capacity(position.rows.len() + 4);
        table.step(&position.rows, class, &mut next);
        position.rows = next;
        position.states.clear();
        position.states.extend(position.rows.iter().map(|&row| table.states[row as usize].clone()));
    }

    /// What a byte makes of a set, and what of the shallow set outlives it, at most one set for each owner.
    fn step(&self, from: &StateSet, byte: u8) -> (StateSet, Vec<StateSet>) {
        let kind = Kind::of(byte);
        let (mut targets, mut live, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for &it in &from.live {
            self.resolve(it, from.before, Some(byte), &mut targets, &mut ended);
        }
        self.close(&mut targets, &mut live, &mut ended);
        if from.owner != ALL {
            return (StateSet::new(from.owner, kind, live, ended), Vec::new());
        }
        // A pattern has at least one byte, so the root ends none.
        let class = self.classes.get(byte) as usize;
        let roots = once(&self.roots[from.before as usize * self.stride + class], || {
            let (mut targets, mut live) = (Vec::new(), Vec::new());
            let root = Live { state: self.root, depth: 0, distance: 0 };
            self.resolve(root, from.before, Some(byte), &mut targets, &mut Vec::new());
            self.close(&mut targets, &mut live, &mut Vec::new());
            live.into()
        });
        live.extend_from_slice(roots);
        let mut deep: Vec<Live> = live.extract_if(.., |it| it.depth >= self.shallow).collect();
        let owner = |it: &Live| self.owners[it.state as usize];
        deep.sort_unstable_by_key(owner);
        let spilled = deep.chunk_by(|a, b| owner(a) == owner(b)).map(|group| {
            let live = group.iter().map(|it| Live { depth: 0, ..*it }).collect();
            StateSet::new(group.first().map_or(ALL, owner), kind, live, Vec::new())
        });
        let spilled = spilled.collect();
        (StateSet::new(ALL, kind, live, ended), spilled)
    }

    /// Follows everything that needs no byte from `targets`, which are empty afterwards.
    fn close(&self, targets: &mut Vec<Live>, live: &mut Vec<Live>, ended: &mut Vec<u32>) {
        let mut met = Met::default();
        while let Some(it) = targets.pop() {
            match &self.nodes[it.state as usize] {
                Node::Range(..) | Node::Sparse(_) | Node::Look(..) => live.push(it),
                Node::Match(pattern) => ended.push(*pattern),
                Node::Fail => {}
                // Few states lead on without a byte.
                _ if !met.insert(it) => {}
                Node::Union(next) => {
                    targets.extend(next.iter().map(|&state| Live { state, ..it }));
                }
                Node::Open(next) => {
                    targets.push(Live { state: *next, distance: it.distance.max(1), ..it });
                }
            }
        }
    }

    /// Follows everything that needs no byte from a state, look-arounds decided by the bytes on both
    /// sides, then the byte itself. `next` is none at the end of the text.
    fn resolve(
        &self,
        live: Live,
        before: Kind,
        next: Option<u8>,
        targets: &mut Vec<Live>,
        ended: &mut Vec<u32>,
    ) {
        // In a deep set the depth is 0 and stays so: it is the root's as well, which is never in a set.
        let is_root = live.state == self.root;
        let grown = |it: Live, state: u32| Live {
            state,
            depth: if it.depth > 0 || is_root { it.depth.saturating_add(1) } else { 0 },
            distance: if it.distance > 0 { it.distance + 1 } else { 0 },
        };
        let mut stack = Vec::new();
        let mut now = Some(live);
        // Patterns have no loops, so the walk ends; it may meet a state twice, which is harmless.
        while let Some(it) = now.take().or_else(|| stack.pop()) {
            match &self.nodes[it.state as usize] {
                Node::Range(low, high, target) => {
                    if next.is_some_and(|b| (*low..=*high).contains(&b)) {
                        targets.push(grown(it, *target));
                    }
                }
                Node::Sparse(ranges) => {
                    if let Some(b) = next {
                        let at = ranges.partition_point(|(_, high, _)| *high < b);
                        let hit = ranges.get(at).filter(|(low, _, _)| *low <= b);
                        targets.extend(hit.map(|(_, _, target)| grown(it, *target)));
                    }
                }
                Node::Look(look, target) => {
                    if holds(*look, before, next) {
                        stack.push(Live { state: *target, ..it });
                    }
                }
                Node::Union(next) => {
                    stack.extend(next.iter().map(|&state| Live { state, ..it }));
                }
                Node::Open(next) => {
                    stack.push(Live { state: *next, distance: it.distance.max(1), ..it });
                }
                Node::Match(pattern) => ended.push(*pattern),
                Node::Fail => {}
            }
        }
    }
}

impl Table {
    fn intern(&mut self, state: Arc<StateSet>) -> u32 {
        if let Some(&row) = self.rows.get(&state) {
            return row;
        }
        // A step adds some hundred rows to at most MAX_STATES: far below NOTHING.
        let row = self.states.len() as u32;
        self.rows.insert(state.clone(), row);
        self.states.push(state);
        row
    }

    fn clear(&mut self) {
        self.generation += 1;
        self.rows.clear();
        self.states.clear();
        self.next.clear();
        self.spills.clear();
        self.merged.clear();
    }

    /// Adds the rows behind a byte to `next` and says whether any of them has ended patterns; none if a step is
    /// not known.
    #[inline]
    fn step(&self, rows: &[u32], class: u8, next: &mut Vec<u32>) -> Option<bool> {
        let (&shallow, deep) = rows.split_first()?;
        let first = cell(shallow, class);
        let mut all = *self.next.get(&first)?;
        next.push(all & NOTHING);
        for &row in deep {
            let to = *self.next.get(&cell(row, class))?;
            if to != NOTHING && !next.contains(&(to & NOTHING)) {
                all |= to & ENDS;
                next.push(to & NOTHING);
            }
        }
        if all & SPILLS != 0 {
            let owner = |row: &u32| self.states[*row as usize].owner;
            for row in &**self.spills.get(&first)? {
                match place(next, row, owner) {
                    Place::There => {}
                    Place::New => next.push(*row),
                    Place::With(at) => next[at] = *self.merged.get(&pair(next[at], *row))?,
                }
            }
        }
        Some(all & ENDS != 0)
    }

    /// Writes down what a byte makes of a row.
    fn note(&mut self, row: u32, class: u8, next: StateSet, spilled: Vec<StateSet>) {
        let key = cell(row, class);
        let nothing = next.owner != ALL && next.is_empty();
        let ends = if next.ended.is_empty() { 0 } else { ENDS };
        let mut to = if nothing { NOTHING } else { self.intern(Arc::new(next)) | ends };
        if !spilled.is_empty() {
            to |= SPILLS;
            let rows = spilled.into_iter().map(|state| self.intern(Arc::new(state))).collect();
            self.spills.insert(key, rows);
        }
        self.next.insert(key, to);
    }

    /// Writes down what becomes of sets that are under way when what is spilled joins them. Steps from `rows` are
    /// known.
    fn merge(&mut self, rows: &[u32], class: u8) {
        let Some((&shallow, deep)) = rows.split_first() else { return };
        let mut next = vec![shallow];
        for &row in deep {
            let to = self.next.get(&cell(row, class)).map_or(NOTHING, |to| to & NOTHING);
            if to != NOTHING && !next.contains(&to) {
                next.push(to);
            }
        }
        let spilled = self.spills.get(&cell(shallow, class)).cloned().unwrap_or_default();
        for row in spilled {
            match place(&next, &row, |row| self.states[*row as usize].owner) {
                Place::There => {}
                Place::New => next.push(row),
                Place::With(at) => {
                    let state = |row: u32| &self.states[row as usize];
                    let both = Arc::new(state(next[at]).merged(state(row)));
                    let both = self.intern(both);
                    self.merged.insert(pair(next[at], row), both);
                    next[at] = both;
                }
            }
        }
    }
}

/// Where a set goes that is spilled.
enum Place {
    /// It is there already.
    There,
    New,
    /// Its owner has as many as are followed apart: together with this one.
    With(usize),
}

fn place<T: PartialEq>(sets: &[T], set: &T, owner: impl Fn(&T) -> u32) -> Place {
    let (mut count, mut last) = (0, 0);
    for (at, other) in sets.iter().enumerate().skip(1) {
        if other == set {
            return Place::There;
        }
        if owner(other) == owner(set) {
            (count, last) = (count + 1, at);
        }
    }
    if count < APART {
        Place::New
    } else {
        Place::With(last)
    }
}

fn holds(look: Look, before: Kind, next: Option<u8>) -> bool {
    let next_word = next.is_some_and(|b| Kind::of(b).is_word());
    match look {
        Look::WordAscii => before.is_word() != next_word,
        Look::WordAsciiNegate => before.is_word() == next_word,
        Look::StartLF => matches!(before, Kind::Start | Kind::Line),
        Look::EndLF => next.is_none_or(|b| b == b'\n'),
        Look::End => next.is_none(),
        // The loader refuses all others.
        _ => false,
    }
}

fn node(state: &NfaState) -> Node {
    let id = |s: StateID| s.as_u32();
    match state {
        NfaState::ByteRange { trans } => Node::Range(trans.start, trans.end, id(trans.next)),
        NfaState::Sparse(sparse) => {
            Node::Sparse(sparse.transitions.iter().map(|t| (t.start, t.end, id(t.next))).collect())
        }
        NfaState::Dense(dense) => Node::Sparse(
            (0..=255_u8)
                .zip(dense.transitions.iter())
                .filter(|(_, next)| **next != StateID::ZERO)
                .map(|(byte, next)| (byte, byte, id(*next)))
                .collect(),
        ),
        NfaState::Look { look, next } => Node::Look(*look, id(*next)),
        NfaState::Union { alternates } => Node::Union(alternates.iter().map(|s| id(*s)).collect()),
        NfaState::BinaryUnion { alt1, alt2 } => Node::Union(Box::new([id(*alt1), id(*alt2)])),
        NfaState::Capture { next, .. } if opens_group(state) => Node::Open(id(*next)),
        NfaState::Capture { next, .. } => Node::Union(Box::new([id(*next)])),
        NfaState::Fail => Node::Fail,
        NfaState::Match { pattern_id } => Node::Match(pattern_id.as_u32()),
    }
}

/// The pattern each state belongs to: those of different patterns have no path to one another.
fn owners(nfa: &NFA) -> Box<[u32]> {
    let mut owners = vec![ALL; nfa.states().len()].into_boxed_slice();
    for pattern in nfa.patterns() {
        let mut stack: Vec<StateID> = nfa.start_pattern(pattern).into_iter().collect();
        while let Some(state) = stack.pop() {
            let owner = &mut owners[state.as_usize()];
            if *owner == ALL {
                *owner = pattern.as_u32();
                stack.extend(successors(&nfa.states()[state.as_usize()]));
            }
        }
    }
    owners
}

/// Whether a state is the beginning of the group, which [`Parts::whole`] makes capture 1.
fn opens_group(state: &NfaState) -> bool {
    // Slots come in pairs, the beginning first.
    matches!(state, NfaState::Capture { group_index, slot, .. }
        if group_index.as_usize() == 1 && slot.as_usize() % 2 == 0)
}

/// The largest distance any text can bring about: the longest path from a group's first byte.
fn longest_hold(nfa: &NFA, root: u32) -> Result<usize, String> {
    // None: the group has not begun on any path.
    let mut distance: Vec<Option<usize>> = vec![None; nfa.states().len()];
    for &index in &topological_order(nfa, root)? {
        let state = &nfa.states()[index as usize];
        let here = distance[index as usize];
        let next = match state {
            NfaState::ByteRange { .. } | NfaState::Sparse(_) | NfaState::Dense(_) => {
                here.map(|d| d + 1)
            }
            _ if opens_group(state) => here.max(Some(0)),
            _ => here,
        };
        for target in successors(state) {
            let cell = &mut distance[target.as_usize()];
            *cell = (*cell).max(next);
        }
    }
    Ok(distance.into_iter().flatten().max().unwrap_or(0))
}

fn successors(state: &NfaState) -> Vec<StateID> {
    match state {
        NfaState::ByteRange { trans } => vec![trans.next],
        NfaState::Sparse(sparse) => sparse.transitions.iter().map(|t| t.next).collect(),
        NfaState::Dense(dense) => {
            dense.transitions.iter().copied().filter(|s| *s != StateID::ZERO).collect()
        }
        NfaState::Look { next, .. } | NfaState::Capture { next, .. } => vec![*next],
        NfaState::Union { alternates } => alternates.to_vec(),
        NfaState::BinaryUnion { alt1, alt2 } => vec![*alt1, *alt2],
        NfaState::Fail | NfaState::Match { .. } => Vec::new(),
    }
}

fn topological_order(nfa: &NFA, root: u32) -> Result<Vec<u32>, String> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; nfa.states().len()];
    let mut order = Vec::with_capacity(marks.len());
    // (state, whether its successors were pushed)
    let mut stack = vec![(root, false)];
    while let Some((state, expanded)) = stack.pop() {
        let mark = &mut marks[state as usize];
        if expanded {
            *mark = Mark::Done;
            order.push(state);
            continue;
        }
        if *mark != Mark::New {
            continue;
        }
        *mark = Mark::Open;
        stack.push((state, true));
        for next in successors(&nfa.states()[state as usize]) {
            match marks[next.as_usize()] {
                Mark::New => stack.push((next.as_u32(), false)),
                Mark::Open => return Err("a rule has a repeat without a bound".to_owned()),
                Mark::Done => {}
            }
        }
    }
    order.reverse();
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold_at_each_byte(pattern: &str, text: &str) -> Vec<usize> {
        let parts = Parts::parse(pattern, Some(1), None, None).unwrap();
        let automaton = HoldAutomaton::build(&[&parts]).unwrap();
        let mut position = automaton.start();
        text.bytes()
            .map(|byte| {
                automaton.advance(&mut position, &[byte], |_, _| {});
                position.hold()
            })
            .collect()
    }

    #[test]
    fn a_prefix_is_held_from_its_first_byte_and_let_go_when_it_dies() {
        assert_eq!(
            hold_at_each_byte(r"\b(tok_[a-z]{3})", "a tok_ab."),
            [0, 0, 1, 2, 3, 4, 5, 6, 0]
        );
        // Inside a word nothing can begin, and a decided end is not held.
        assert_eq!(hold_at_each_byte(r"\b(tok_[a-z]{3})", "atok_abc"), [0; 8]);
        assert_eq!(hold_at_each_byte(r"(tok_[a-z]{3})", "tok_abc"), [1, 2, 3, 4, 5, 6, 0]);
    }

    #[test]
    fn what_stands_before_the_group_is_not_held() {
        assert_eq!(
            hold_at_each_byte(r#"key=([a-z]{2,3})["]"#, r#"key=abc""#),
            [0, 0, 0, 0, 1, 2, 3, 0]
        );
    }

    #[test]
    fn a_look_ahead_is_held_until_the_next_byte() {
        assert_eq!(hold_at_each_byte(r"k=([a-z]{2})\b", "k=ab "), [0, 0, 1, 2, 0]);
    }

    /// What is under way in digits and signs, under the rules of all countries: the work of a byte that was not
    /// met before. When each of 23 countries had telephone numbers of its own it was 0.3 to 0.7 ms.
    #[test]
    fn states_under_way_are_bounded() {
        let rules = Arc::new(sift_rules::RuleSet::select(&["pii-all"], &[]).unwrap());
        let scanner = crate::Scanner::new(rules, crate::Options::default()).unwrap();
        let automaton = &scanner.hold().unwrap().automaton;
        let mut rng = sift_rules::format::Rng::new(5);
        for letters in ["0123456789", "0123456789 .-/()+:", "1 ", "1.", "12-", "(0)", "+1 "] {
            let mut position = automaton.start();
            let (mut most, mut bytes) = (0, letters.bytes().cycle());
            for _ in 0..2_000 {
                let byte = match letters.len() {
                    0..=3 => bytes.next().unwrap(),
                    count => letters.as_bytes()[rng.below(count)],
                };
                automaton.advance(&mut position, &[byte], |_, _| {});
                let live = position.states.iter().map(|set| set.live.len()).sum();
                most = most.max(live);
            }
            assert!(most <= 500, "{letters:?} has {most} states under way");
        }
    }

    #[test]
    fn a_dropped_table_changes_nothing() {
        let parts = Parts::parse(r"([ab]{1,30}c)", Some(1), None, None).unwrap();
        let automaton = HoldAutomaton::build(&[&parts]).unwrap();
        let text: Vec<u8> = (0..4000_u32).map(|i| b"abc"[(i * i % 7 % 3) as usize]).collect();
        let collect = |drop_at: usize| {
            let (mut position, mut ends) = (automaton.start(), Vec::new());
            for (i, byte) in text.iter().enumerate() {
                if i % drop_at == 0 {
                    let mut table = automaton.table.write().unwrap();
                    table.clear();
                }
                automaton.advance(&mut position, &[*byte], |p, _| ends.push((p, i)));
                ends.push((99, position.hold()));
            }
            ends
        };
        assert_eq!(collect(5000), collect(7));
    }

    /// All patterns in one set is what the sets apart must agree with.
    #[test]
    fn sets_apart_say_what_one_set_says() {
        let patterns = [
            r"\b(tok_[a-z]{3})\b",
            r"(?:[^\w.-]|(?m:^))([A-Za-z0-9][A-Za-z0-9.-]{2,20}\.acme\.io)(?:[^\w.-]|\z)",
            r"\b([A-Za-z0-9]{6}_[a-z]{2})\b",
            r"(?i:acme|zed|tok)[\w.\x20-]{0,12}(?i:key|tok)[\x20=]{1,3}([a-z0-9]{4,9})",
            r"(?m:^)key=([a-z]{2,8})(?m:$)",
            r"([ab]{1,12}c)",
            r"key\b([^\n]{1,6})\z",
        ];
        let parts: Vec<_> =
            patterns.iter().map(|p| Parts::parse(p, Some(1), None, None).unwrap()).collect();
        let parts: Vec<_> = parts.iter().collect();
        let apart = HoldAutomaton::build(&parts).unwrap();
        let owners: HashSet<u32> = apart.owners.iter().copied().collect();
        assert!(owners.contains(&BROAD) && owners.contains(&0));
        let together = HoldAutomaton::with_shallow(&parts, u8::MAX).unwrap();
        let pieces =
            ["tok", "_", "acme", "key", "=", " ", "\n", ".", "io", "ab", "c", "Zq7xyz", "-", "é"];
        let mut state = 5_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        let (mut held, mut ended) = (0, 0);
        for round in 0..400 {
            let text: String = (0..next(60)).map(|_| pieces[next(pieces.len())]).collect();
            let told = |automaton: &HoldAutomaton, drop_at: usize| {
                let (mut position, mut told) = (automaton.start(), Vec::new());
                for (i, byte) in text.bytes().enumerate() {
                    if i % drop_at == drop_at - 1 {
                        automaton.table.write().unwrap().clear();
                    }
                    let mut ended = Vec::new();
                    automaton.advance(&mut position, &[byte], |pattern, _| ended.push(pattern));
                    ended.sort_unstable();
                    ended.dedup();
                    told.push((position.hold(), ended));
                }
                (told, automaton.finish(&position))
            };
            let expected = told(&together, 1000);
            assert_eq!(told(&apart, 1000), expected, "{text:?}");
            assert_eq!(told(&apart, 1 + round % 7), expected, "{text:?}");
            // As while another thread has the table.
            let reading = apart.table.read().unwrap();
            assert_eq!(told(&apart, 1000), expected, "{text:?}");
            drop(reading);
            held += expected.0.iter().filter(|it| it.0 > 0).count();
            ended += expected.0.iter().map(|it| it.1.len()).sum::<usize>() + expected.1.len();
        }
        assert!(held > 1000 && ended > 500, "{held} {ended}");
    }
}
