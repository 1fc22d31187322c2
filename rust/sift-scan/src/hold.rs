//! The hold automaton: after each byte, how much of the text's end an edit could still begin in.
//!
//! One NFA of all patterns, unanchored, determinised lazily. Each live state carries how many bytes its
//! group has at most so far; the largest number is the *hold*, and `length - hold` the *frontier*: no
//! undecided candidate begins before it (DESIGN.md §3). The numbers cost no rows: repeats are unrolled,
//! so the states of a set tell them already, all but at the exits of a repeat.
//!
//! The table is shared by all streams of a scanner. A stream keeps its own state set, so the table may
//! be dropped at any time, and nobody ever waits for it: when it is locked elsewhere (another thread, or
//! a thread that is gone after `fork`) the step is computed without it.

use std::collections::hash_map::{Entry, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, OnceLock, RwLock};

use regex_automata::nfa::thompson::{self, State as NfaState, NFA};
use regex_automata::util::alphabet::ByteClasses;
use regex_automata::util::look::Look;
use regex_automata::util::primitives::StateID;
use sift_rules::{once, Parts};

/// Sets the table may have before it is dropped: about 8 MB. Chat uses 9,000, six megabytes of chat, code,
/// documentation and JSON together 32,000.
const MAX_STATES: usize = 32 * 1024;

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

/// A live state with the bytes of its group so far, plus one; 0 before the group.
type Live = (u32, u32);

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

/// A set of live NFA states between two bytes.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct StateSet {
    /// Byte and look-around states, sorted. The root is left out: it is always there.
    live: Box<[Live]>,
    /// Patterns that end here, or ended one byte ago with a look-around that this byte settled.
    ended: Box<[u32]>,
    before: Kind,
    hold: u32,
}

impl StateSet {
    pub(crate) fn hold(&self) -> usize {
        self.hold as usize
    }
}

#[derive(Debug)]
struct Table {
    generation: u64,
    rows: HashMap<Arc<StateSet>, u32>,
    states: Vec<Arc<StateSet>>,
    /// From `row << 8 | class` to the next row; `ENDS` is set where that has ended patterns. Most sets are
    /// left by two or three classes: full rows made a piece of 24 bytes 0.15 us quicker and took 25 MB more.
    next: HashMap<u64, u32, BuildHasherDefault<Mix>>,
}

const ENDS: u32 = 1 << 31;

/// Mixes keys that are small numbers already; nobody outside chooses them.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, key: u64) {
        // Fibonacci hashing; the table takes its index from the low bits, so the high ones are folded in.
        let mixed = (self.0 ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// States that a step has met, each with its largest number. Most steps meet a few, and looking through them
/// is quicker than hashing; digits and signs under rules for all countries meet a thousand.
#[derive(Default)]
struct Met {
    few: Vec<Live>,
    many: HashMap<u64, u32, BuildHasherDefault<Mix>>,
}

impl Met {
    const FEW: usize = 48;

    /// Whether the state is new, or its number larger than before.
    fn insert(&mut self, state: u32, distance: u32) -> bool {
        if let Some(known) = self.few.iter_mut().find(|(known, _)| *known == state) {
            let grew = distance > known.1;
            known.1 = distance.max(known.1);
            return grew;
        }
        if self.few.len() < Self::FEW {
            self.few.push((state, distance));
            return true;
        }
        match self.many.entry(u64::from(state)) {
            Entry::Vacant(free) => {
                free.insert(distance);
                true
            }
            Entry::Occupied(mut known) => distance > known.insert(distance.max(*known.get())),
        }
    }
}

fn cell(row: u32, class: u8) -> u64 {
    u64::from(row) << 8 | u64::from(class)
}

/// Shared by all streams of a scanner.
#[derive(Debug)]
pub(crate) struct HoldAutomaton {
    nodes: Box<[Node]>,
    root: u32,
    classes: ByteClasses,
    stride: usize,
    longest: usize,
    /// Where the root gets with a byte of a class behind a byte of a kind; it is the same for every set,
    /// and with hundreds of patterns it is most of a step: 10 us a step without, 1 us with.
    roots: Box<[OnceLock<Box<[Live]>>]>,
    table: RwLock<Table>,
}

/// Where one stream stands.
#[derive(Clone, Debug)]
pub(crate) struct Position {
    pub(crate) state: Arc<StateSet>,
    row: Option<(u64, u32)>,
}

impl HoldAutomaton {
    /// Builds the automaton of `patterns`; matches are reported by position in that list.
    pub(crate) fn build(patterns: &[&Parts]) -> Result<Self, String> {
        let hirs: Vec<_> = patterns.iter().map(|p| p.whole()).collect();
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
            rows: HashMap::new(),
            states: Vec::new(),
            next: HashMap::default(),
        };
        let roots = (0..Kind::COUNT * stride).map(|_| OnceLock::new()).collect();
        Ok(Self { nodes, root, classes, stride, longest, roots, table: RwLock::new(table) })
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
        let state =
            StateSet { live: Box::default(), ended: Box::default(), before: Kind::Start, hold: 0 };
        Position { state: Arc::new(state), row: None }
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
        self.attach(position);
        while i < text.len() {
            i = self.advance_known(position, text, i, &mut on_end);
            if let Some(&byte) = text.get(i) {
                let (state, row) = self.learn(position, byte);
                *position = Position { state, row };
                i += 1;
                position.state.ended.iter().for_each(|&p| on_end(p, i));
            }
        }
    }

    /// The matches that the end of the text settles.
    pub(crate) fn finish(&self, position: &Position) -> Vec<u32> {
        let (mut ended, mut targets) = (Vec::new(), Vec::new());
        for &live in position.state.live.iter().chain(std::iter::once(&(self.root, 0))) {
            self.resolve(live, position.state.before, None, &mut targets, &mut ended);
        }
        ended.sort_unstable();
        ended.dedup();
        ended
    }

    /// Finds the row of the stream's set again after the table was dropped, or at the beginning.
    fn attach(&self, position: &mut Position) {
        let known = match (self.table.try_read(), position.row) {
            (Ok(table), Some((generation, _))) => generation == table.generation,
            (Ok(_), None) => false,
            (Err(_), _) => return,
        };
        if !known {
            if let Ok(mut table) = self.table.try_write() {
                let row = table.intern(&position.state);
                position.row = Some((table.generation, row));
            }
        }
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
        let Some((generation, mut row)) = position.row else { return i };
        if generation != table.generation {
            return i;
        }
        let begun = i;
        while let Some(&byte) = text.get(i) {
            let Some(&next) = table.next.get(&cell(row, self.classes.get(byte))) else { break };
            row = next & !ENDS;
            i += 1;
            if next & ENDS != 0 {
                table.states[row as usize].ended.iter().for_each(|&p| on_end(p, i));
            }
        }
        if i > begun {
            position.state = table.states[row as usize].clone();
            position.row = Some((generation, row));
        }
        i
    }

    /// Computes one step and, if nobody else is at the table, writes it down.
    fn learn(&self, position: &Position, byte: u8) -> (Arc<StateSet>, Option<(u64, u32)>) {
        let next = self.step(&position.state, byte);
        let Ok(mut table) = self.table.try_write() else { return (Arc::new(next), None) };
        if table.states.len() + 2 > MAX_STATES {
            table.generation += 1;
            table.rows.clear();
            table.states.clear();
            table.next.clear();
        }
        let from = match position.row {
            Some((generation, row)) if generation == table.generation => row,
            _ => table.intern(&position.state),
        };
        let ends = if next.ended.is_empty() { 0 } else { ENDS };
        let next = Arc::new(next);
        let row = table.intern(&next);
        table.next.insert(cell(from, self.classes.get(byte)), row | ends);
        (next, Some((table.generation, row)))
    }

    fn step(&self, from: &StateSet, byte: u8) -> StateSet {
        let (mut targets, mut ended) = (Vec::new(), Vec::new());
        for &live in &from.live {
            self.resolve(live, from.before, Some(byte), &mut targets, &mut ended);
        }
        // A pattern has at least one byte, so the root ends none.
        let class = self.classes.get(byte) as usize;
        let roots = once(&self.roots[from.before as usize * self.stride + class], || {
            let mut targets = Vec::new();
            self.resolve((self.root, 0), from.before, Some(byte), &mut targets, &mut Vec::new());
            targets.into()
        });
        targets.extend_from_slice(roots);
        let mut live: Vec<Live> = Vec::with_capacity(targets.len());
        let mut met = Met::default();
        while let Some((state, distance)) = targets.pop() {
            if !met.insert(state, distance) {
                continue;
            }
            match &self.nodes[state as usize] {
                Node::Union(next) => targets.extend(next.iter().map(|&n| (n, distance))),
                Node::Open(next) => targets.push((*next, distance.max(1))),
                Node::Match(pattern) => ended.push(*pattern),
                Node::Fail => {}
                Node::Range(..) | Node::Sparse(_) | Node::Look(..) => live.push((state, distance)),
            }
        }
        // Where a state was met twice, the larger number stays.
        live.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        live.dedup_by_key(|(state, _)| *state);
        ended.sort_unstable();
        ended.dedup();
        let hold = live.iter().map(|&(_, d)| d.saturating_sub(1)).max().unwrap_or(0);
        StateSet { live: live.into(), ended: ended.into(), before: Kind::of(byte), hold }
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
        let mut stack = vec![live];
        let grown = |distance: u32| if distance > 0 { distance + 1 } else { 0 };
        // Patterns have no loops, so the walk ends; it may meet a state twice, which is harmless.
        while let Some((state, distance)) = stack.pop() {
            match &self.nodes[state as usize] {
                Node::Range(low, high, target) => {
                    if next.is_some_and(|b| (*low..=*high).contains(&b)) {
                        targets.push((*target, grown(distance)));
                    }
                }
                Node::Sparse(ranges) => {
                    if let Some(b) = next {
                        let hit = ranges.iter().find(|(low, high, _)| (*low..=*high).contains(&b));
                        targets.extend(hit.map(|(_, _, target)| (*target, grown(distance))));
                    }
                }
                Node::Look(look, target) => {
                    if holds(*look, before, next) {
                        stack.push((*target, distance));
                    }
                }
                Node::Union(next) => stack.extend(next.iter().map(|&n| (n, distance))),
                Node::Open(next) => stack.push((*next, distance.max(1))),
                Node::Match(pattern) => ended.push(*pattern),
                Node::Fail => {}
            }
        }
    }
}

impl Table {
    fn intern(&mut self, state: &Arc<StateSet>) -> u32 {
        if let Some(&row) = self.rows.get(state) {
            return row;
        }
        // At most MAX_STATES rows, far below ENDS.
        let row = self.states.len() as u32;
        self.rows.insert(state.clone(), row);
        self.states.push(state.clone());
        row
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
                position.state.hold()
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
                most = most.max(position.state.live.len());
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
                    table.generation += 1;
                    table.rows.clear();
                    table.states.clear();
                    table.next.clear();
                }
                automaton.advance(&mut position, &[*byte], |p, _| ends.push((p, i)));
                ends.push((99, position.state.hold()));
            }
            ends
        };
        assert_eq!(collect(5000), collect(7));
    }
}
