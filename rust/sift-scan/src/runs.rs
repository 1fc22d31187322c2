//! Hits of patterns whose group lies in a run of value bytes (`sift_rules::Shape`).
//!
//! `sift-shapes` finds the runs, a few hundred a megabyte. In each, and left of it as far as something could
//! still lead to an anchor, the text is looked up in one index of all anchors. So a run without an anchor
//! costs tens of nanoseconds, however many names the rules know.

use std::collections::HashMap;

use sift_rules::{Anchor, Mark, Shape, Values, ALPHABETS, LONG_RUN, MAX_LEFT, SHORT_RUN};
use sift_shapes::{Bytes, Run};

use crate::matcher::{Hit, Matcher};

// A byte that one crate counts to a run and the other does not would be a miss in silence.
const _: () = {
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        assert!(sift_rules::is_value_byte(b) == sift_shapes::is_value_byte(b));
        byte += 1;
    }
    // `Fits::begins` takes the ends of alphabets from `sift_shapes::Joints`.
    assert!(ALPHABETS == 4);
    assert!(SHORT_RUN == sift_shapes::SHORT && LONG_RUN == sift_shapes::LONG);
};

/// Patterns that are found by runs.
pub(crate) struct Runs {
    patterns: Vec<Wanted>,
    /// Anchors in a group, by their first bytes.
    inside: Anchors,
    /// Shortest run of a pattern with such an anchor, and how far from a run the anchor may be: left of its
    /// beginning, and right of where the last group can begin.
    inside_run: usize,
    inside_lead: usize,
    inside_ahead: usize,
    /// Anchors left of a group, by their last bytes.
    left: Anchors,
    /// What can stand between such an anchor and a group.
    between: Bytes,
    /// How far left of a group an anchor ends that needs no key word, or a key word.
    near: usize,
    /// What groups behind such an anchor must be.
    fits: Box<Fits>,
    /// Positions of patterns that have no anchor, with the lengths of their runs of letters and digits.
    wholes: Vec<(u32, usize, usize)>,
}

struct Wanted {
    pattern: u32,
    run: usize,
    digit: bool,
    lead: usize,
    /// What a group behind an anchor must be.
    values: Option<Fit>,
    /// What can stand between such an anchor and the group.
    between: Bytes,
}

/// [`Values`] that are asked without going through their ranges: families of providers have hundreds.
struct Fit {
    values: Values,
    /// One bit for each length; all from the last on count as that, and are looked up in the ranges.
    lengths: [u64; LENGTHS / 64],
    behind: Bytes,
}

impl Fit {
    fn new(values: &Values) -> Self {
        let mut lengths = [0; LENGTHS / 64];
        for &(least, most) in &values.lengths {
            for length in least.min(LENGTHS - 1)..=most.min(LENGTHS - 1) {
                lengths[length / 64] |= 1 << (length % 64);
            }
        }
        let within =
            |byte| values.behind.iter().any(|&(first, last)| (first..=last).contains(&byte));
        Self { lengths, behind: Bytes::new(within), values: values.clone() }
    }

    fn takes(&self, length: usize) -> bool {
        let least = length.min(LENGTHS - 1);
        let ranges = || self.values.lengths.iter().any(|&(a, b)| (a..=b).contains(&length));
        self.lengths[least / 64] >> (least % 64) & 1 == 1 && (least == length || ranges())
    }
}

impl Wanted {
    fn takes(&self, begin: &Begin) -> bool {
        self.values.as_ref().is_some_and(|fit| {
            let end = begin.ends[fit.values.alphabet];
            (!self.digit || begin.digit < end)
                && fit.takes(end.saturating_sub(begin.at))
                && fit.behind.has(begin.behind)
        })
    }
}

/// How far an anchor of a pattern is from the group.
#[derive(Clone, Copy)]
struct Need {
    wanted: u32,
    near: usize,
    far: usize,
}

impl Runs {
    pub(crate) fn new(shapes: &[(u32, Shape)]) -> Self {
        let (mut patterns, mut wholes) = (Vec::new(), Vec::new());
        let mut between = Box::new([false; 256]);
        let (mut near, mut fits) = (0, Box::new(Fits::new()));
        let (mut inside, mut left) = (HashMap::new(), HashMap::new());
        let (mut inside_run, mut inside_lead, mut inside_ahead) = (usize::MAX, 0, 0);
        for (position, (pattern, shape)) in (0_u32..).zip(shapes) {
            let Shape { run, digit, lead, .. } = *shape;
            let mut own = [false; 256];
            let values = match &shape.mark {
                Mark::Left { name, link, values, .. } => {
                    for &(first, last) in name.iter().chain(link) {
                        own[first as usize..=last as usize].fill(true);
                    }
                    Some(Fit::new(values))
                }
                Mark::Inside(_) | Mark::Whole(..) => None,
            };
            between.iter_mut().zip(&own).for_each(|(all, one)| *all |= one);
            let own = Bytes::new(|byte| own[byte as usize]);
            patterns.push(Wanted { pattern: *pattern, run, digit, lead, values, between: own });
            match &shape.mark {
                Mark::Inside(anchors) => {
                    add(&mut inside, position, anchors);
                    inside_run = inside_run.min(run);
                    inside_lead = inside_lead.max(lead);
                    let far = anchors.iter().map(|anchor| anchor.far).max();
                    inside_ahead = inside_ahead.max(far.unwrap_or(0));
                }
                Mark::Left { anchors, gate, values, .. } => {
                    // A group that begins left of its run would have to be looked for there.
                    debug_assert_eq!(lead, 0);
                    add(&mut left, position, anchors);
                    let far = |anchors: &[Anchor]| anchors.iter().map(|a| a.far).max().unwrap_or(0);
                    near = near.max(match gate {
                        Some(gate) => {
                            add(&mut left, GATE, &gate.anchors);
                            far(&gate.anchors).max(gate.direct)
                        }
                        None => far(anchors),
                    });
                    fits.add(values, digit);
                }
                Mark::Whole(shortest, longest) => wholes.push((position, *shortest, *longest)),
            }
        }
        Self {
            patterns,
            inside: Anchors::new(inside, End::First),
            inside_run,
            inside_lead,
            inside_ahead,
            left: Anchors::new(left, End::Last),
            between: Bytes::new(|byte| between[byte as usize]),
            near,
            fits,
            wholes,
        }
    }
}

/// In the place of a pattern: a key word that makes it worth looking farther left.
const GATE: u32 = u32::MAX;

/// What groups of the patterns with an anchor left of them can be, before any text but the run is read.
struct Fits {
    /// By the byte before a group: the alphabets of groups that can stand there, one bit each.
    behind: [u8; 256],
    /// By alphabet and length of its stretch: whether a pattern takes it, with a digit or without one.
    lengths: [[Length; LENGTHS]; ALPHABETS],
}

#[derive(Clone, Copy, Default)]
struct Length {
    with_digit: bool,
    without: bool,
}

/// All lengths from the last on count as that.
const LENGTHS: usize = 256;

impl Fits {
    fn new() -> Self {
        Self { behind: [0; 256], lengths: [[Length::default(); LENGTHS]; ALPHABETS] }
    }

    fn add(&mut self, values: &Values, digit: bool) {
        for &(first, last) in &values.behind {
            for byte in first..=last {
                self.behind[byte as usize] |= 1 << values.alphabet;
            }
        }
        for &(least, most) in &values.lengths {
            let (least, most) = (least.min(LENGTHS - 1), most.min(LENGTHS - 1));
            for length in &mut self.lengths[values.alphabet][least..=most] {
                length.with_digit = true;
                length.without |= !digit;
            }
        }
    }

    /// The places in a run where a group can begin, from right to left.
    #[inline]
    fn begins(&self, text: &[u8], run: Run, begins: &mut Vec<Begin>) {
        // From the end: where the stretch of each alphabet ends that covers the place.
        let mut ends = [run.end; ALPHABETS];
        let mut digit = run.end;
        let Some(last) = (run.end - run.start).checked_sub(1) else { return };
        for block in (0..=last / 64).rev().map(|block| run.start + 64 * block) {
            let joints = sift_shapes::joints(text, block).first(run.end - block);
            let next = |mask: u64, later: usize| match mask {
                0 => later,
                _ => block + mask.trailing_zeros() as usize,
            };
            let mut bits = joints.begins;
            while bits != 0 {
                let bit = 63 - bits.leading_zeros();
                bits ^= 1 << bit;
                let at = block + bit as usize;
                let above = !(2_u64 << bit).wrapping_sub(1);
                let mut begin = Begin { at: at + 1, behind: text[at], ends, digit };
                for (end, mask) in begin.ends.iter_mut().zip(joints.ends) {
                    *end = next(mask & above, *end);
                }
                begin.digit = next(joints.digits & above, digit);
                self.offer(begin, begins);
            }
            for (end, mask) in ends.iter_mut().zip(joints.ends) {
                *end = next(mask, *end);
            }
            digit = next(joints.digits, digit);
        }
        // Nothing but an anchor of its own stands left of a group: at the beginning of a text is none.
        if let Some(&behind) = run.start.checked_sub(1).and_then(|before| text.get(before)) {
            self.offer(Begin { at: run.start, behind, ends, digit }, begins);
        }
    }

    #[inline]
    fn offer(&self, begin: Begin, begins: &mut Vec<Begin>) {
        let alphabets = self.behind[begin.behind as usize];
        let fits = begin.ends.iter().zip(&self.lengths).enumerate().any(|(i, (&end, lengths))| {
            let length = lengths[end.saturating_sub(begin.at).min(LENGTHS - 1)];
            alphabets >> i & 1 == 1
                && if begin.digit < end { length.with_digit } else { length.without }
        });
        if fits {
            begins.push(begin);
        }
    }
}

/// A place where a group may begin.
struct Begin {
    at: usize,
    /// The byte before it.
    behind: u8,
    /// Where the stretch of each alphabet ends.
    ends: [usize; ALPHABETS],
    /// The first digit from there on; none before the run's end.
    digit: usize,
}

fn add<'s>(all: &mut HashMap<&'s [u8], Vec<Need>>, wanted: u32, anchors: &'s [Anchor]) {
    for Anchor { text, near, far } in anchors {
        all.entry(text).or_default().push(Need { wanted, near: *near, far: *far });
    }
}

/// Where groups of the patterns can begin in one run: pattern, first and last place.
type Places = Vec<(u32, usize, usize)>;

impl Matcher for Runs {
    fn hits(&self, text: &[u8], on_hit: &mut dyn FnMut(Hit) -> bool) -> Result<(), String> {
        let (mut places, mut begins) = (Places::new(), Vec::new());
        sift_shapes::value_runs(text, &mut |run| {
            self.look_inside(text, run, &mut places);
            self.look_left(text, run, &mut begins, &mut places);
            let told = places.drain(..).all(|(wanted, from, to)| {
                let (end, reach) = (to as u32 + 1, (to - from) as u32 + 1);
                on_hit(Hit { pattern: self.patterns[wanted as usize].pattern, end, reach })
            });
            told && (self.wholes.is_empty() || self.whole_runs(text, run, on_hit))
        });
        Ok(())
    }
}

impl Runs {
    /// Anchors in groups of this run.
    fn look_inside(&self, text: &[u8], run: Run, places: &mut Places) {
        let Some(last) = run.end.checked_sub(self.inside_run).filter(|&last| last >= run.start)
        else {
            return;
        };
        let from = run.start.saturating_sub(self.inside_lead);
        let to = (last + self.inside_ahead + 1).min(run.end);
        self.inside.each_beginning(text, from, to, &mut |at, needs| {
            for need in needs {
                let (from, to) = (at.saturating_sub(need.far), at.checked_sub(need.near));
                if let Some(to) = to {
                    self.place(run, need.wanted, from, to, places);
                }
            }
        });
    }

    /// Anchors left of where a group may begin in this run.
    fn look_left(&self, text: &[u8], run: Run, begins: &mut Vec<Begin>, places: &mut Places) {
        begins.clear();
        self.fits.begins(text, run, begins);
        let (Some(last), Some(first)) = (begins.first(), begins.last()) else { return };
        let (first, last) = (first.at, last.at);
        // The place from which all is between, no farther than `most` bytes left of the first group.
        let reach = |from: usize, most: usize| {
            let least = first.saturating_sub(most);
            from - sift_shapes::reach_left(text, from, from - least, &self.between)
        };
        let mut note = |end: usize, need: &Need| {
            let wanted = &self.patterns[need.wanted as usize];
            let span = end + need.near..=end + need.far;
            let apart = |at: usize| {
                at.checked_sub(end).is_some_and(|left| {
                    sift_shapes::reach_left(text, at, left, &wanted.between) == left
                })
            };
            // Those of the span lie side by side, from right to left: looking at all of them for each anchor
            // took minutes for a megabyte of `key=`.
            let right = begins.partition_point(|begin| begin.at > *span.end());
            let near = begins[right..].iter().take_while(|begin| begin.at >= *span.start());
            for begin in near.filter(|begin| wanted.takes(begin) && apart(begin.at)) {
                self.place(run, need.wanted, begin.at, begin.at, places);
            }
        };
        let mut gate = false;
        let from = reach(first, self.near);
        self.left.each_ending(text, from, last, &mut |end, needs| {
            for need in needs {
                if need.wanted == GATE {
                    gate = true;
                } else {
                    note(end, need);
                }
            }
        });
        let farther = if gate { reach(from, MAX_LEFT) } else { from };
        if farther < from {
            self.left.each_ending(text, farther, from - 1, &mut |end, needs| {
                needs.iter().filter(|need| need.wanted != GATE).for_each(|need| note(end, need));
            });
        }
    }

    /// Notes that a group of a pattern may begin in `from..=to`, as far as the run lets it.
    fn place(&self, run: Run, position: u32, from: usize, to: usize, places: &mut Places) {
        let wanted = &self.patterns[position as usize];
        if run.end - run.start < wanted.run || (wanted.digit && !run.digit) {
            return;
        }
        let from = from.max(run.start.saturating_sub(wanted.lead));
        let to = to.min(run.end - wanted.run);
        if from > to {
            return;
        }
        match places.iter_mut().find(|place| place.0 == position) {
            Some(place) => (place.1, place.2) = (place.1.min(from), place.2.max(to)),
            None => places.push((position, from, to)),
        }
    }

    /// Hits of the patterns whose group is a whole run of letters and digits, inside a run of value bytes.
    fn whole_runs(&self, text: &[u8], run: Run, on_hit: &mut dyn FnMut(Hit) -> bool) -> bool {
        let Some(bytes) = text.get(run.start..run.end) else { return true };
        let mut start = run.start;
        for part in bytes.split(|byte| !byte.is_ascii_alphanumeric()) {
            for &(wanted, shortest, longest) in &self.wholes {
                let pattern = self.patterns[wanted as usize].pattern;
                let fits = (shortest..=longest).contains(&part.len());
                // The group can begin only where the run does.
                if fits && !on_hit(Hit { pattern, end: start as u32 + 1, reach: 1 }) {
                    return false;
                }
            }
            start += part.len() + 1;
        }
        true
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// Anchors by three bytes of one of their ends.
struct Anchors {
    /// One bit for each hash of three bytes that an anchor has there.
    grams: Box<[u64; GRAM_BITS / 64]>,
    /// By a hash of the four outer bytes, one past an anchor's number; the others by `next`. Those of three
    /// bytes come behind, by a hash of them: together they were chains of twenty names that end in the same
    /// letters.
    heads: Box<[u32; FOURS + THREES]>,
    outer: Vec<Outer>,
    texts: Vec<Box<[u8]>>,
    needs: Vec<Box<[Need]>>,
}

/// The bytes at the outer end of an anchor, up to eight: all of most, and one comparison. Byte after byte,
/// in loops whose end no branch predictor knows, all that is done for runs took 3 % more.
struct Outer {
    bytes: u64,
    mask: u64,
    next: u32,
    length: u32,
}

/// 2 KB for each end: an engine leaves little of the first cache. With 16 KB, a branch for every four
/// places and the joints of a run byte after byte, all that is done for runs took 9 % more on documents and
/// JSON.
const GRAM_BITS: usize = 1 << 14;
const FOURS: usize = 1 << 11;
const THREES: usize = 1 << 8;
const FOLDS: u64 = 0x2020_2020_2020_2020;
const THREE: u32 = 0x00ff_ffff;
/// Bytes of text that are looked up by one bit each of a mask: ten times six, as many as a load of eight
/// bytes has grams.
const GROUP: usize = 60;

/// Of the three lower bytes: the highest is multiplied out of the result.
#[inline]
fn gram_hash(gram: u32) -> usize {
    (gram.wrapping_mul(0x9e37_79b1 << 8) >> 18) as usize
}

const _: () = assert!(GRAM_BITS == 1 << (32 - 18));

fn four_hash(four: u32) -> usize {
    (four.wrapping_mul(0x85eb_ca6b) >> 21) as usize
}

const _: () = assert!(FOURS == 1 << (32 - 21));

/// The eight bytes at `at`, zeros for those that are not there.
#[inline]
fn eight(text: &[u8], at: usize) -> u64 {
    let rest = text.get(at..).unwrap_or_default();
    u64::from_le_bytes(rest.first_chunk().copied().unwrap_or_else(|| {
        let mut eight = [0; 8];
        eight[..rest.len()].copy_from_slice(rest);
        eight
    }))
}

/// The eight bytes before `end`, zeros for those that are not there.
#[inline]
fn eight_before(text: &[u8], end: usize) -> u64 {
    let left = text.get(..end).unwrap_or_default();
    u64::from_le_bytes(left.last_chunk().copied().unwrap_or_else(|| {
        let mut eight = [0; 8];
        eight[8 - left.len()..].copy_from_slice(left);
        eight
    }))
}

impl Anchors {
    fn new(needs: HashMap<&[u8], Vec<Need>>, end: End) -> Self {
        let mut all = Self {
            grams: Box::new([0; GRAM_BITS / 64]),
            heads: Box::new([0; FOURS + THREES]),
            outer: Vec::with_capacity(needs.len()),
            texts: Vec::with_capacity(needs.len()),
            needs: Vec::with_capacity(needs.len()),
        };
        for (text, needs) in needs {
            let (three, four) = match end {
                End::First => (text.first_chunk::<3>(), text.first_chunk::<4>()),
                End::Last => (text.last_chunk::<3>(), text.last_chunk::<4>()),
            };
            // `Shape` has no shorter ones.
            let Some(&[a, b, c]) = three else { continue };
            let three = u32::from_le_bytes([a, b, c, 0]);
            let hash = gram_hash(three);
            all.grams[hash / 64] |= 1 << (hash % 64);
            let four = four.map(|four| u32::from_le_bytes(*four));
            let head = &mut all.heads[four.map_or(FOURS + hash % THREES, four_hash)];
            let unused = 8_u32.saturating_sub(text.len() as u32) * 8;
            let (bytes, mask) = match end {
                End::First => (eight(text, 0), u64::MAX >> unused),
                End::Last => (eight_before(text, text.len()), u64::MAX << unused),
            };
            let length = text.len() as u32;
            all.outer.push(Outer { bytes, mask, next: *head, length });
            *head = all.outer.len() as u32;
            all.texts.push(text.into());
            all.needs.push(needs.into());
        }
        all
    }

    /// Calls `on_anchor(at, needs)` for each anchor that begins in `from..to`, in order.
    #[inline]
    fn each_beginning(
        &self,
        text: &[u8],
        from: usize,
        to: usize,
        on_anchor: &mut impl FnMut(usize, &[Need]),
    ) {
        self.each_gram(text, from, to, &mut |at| {
            let outer = eight(text, at) | FOLDS;
            let (three, four) = (outer as u32 & THREE, outer as u32);
            self.check(text, outer, [three, four], |_| Some(at), &mut |needs| on_anchor(at, needs));
        });
    }

    /// Calls `on_anchor(end, needs)` for each anchor that ends in `from..=to`, in order.
    #[inline]
    fn each_ending(
        &self,
        text: &[u8],
        from: usize,
        to: usize,
        on_anchor: &mut impl FnMut(usize, &[Need]),
    ) {
        self.each_gram(text, from.saturating_sub(3), (to + 1).saturating_sub(3), &mut |at| {
            let end = at + 3;
            let outer = eight_before(text, end) | FOLDS;
            let (three, four) = ((outer >> 40) as u32, (outer >> 32) as u32);
            let begin = |length| end.checked_sub(length);
            self.check(text, outer, [three, four], begin, &mut |needs| on_anchor(end, needs));
        });
    }

    /// Calls `on_gram` for each place in `from..to` whose three bytes an anchor may have at its end, in
    /// order.
    #[inline]
    fn each_gram(&self, text: &[u8], from: usize, to: usize, on_gram: &mut impl FnMut(usize)) {
        let to = to.min(text.len().saturating_sub(2));
        let mut at = from;
        while at < to {
            let count = (to - at).min(GROUP);
            // One mask and no branch for all: each branch that guesses wrong costs as much as ten places.
            let mut mask = 0_u64;
            for six in (0..count).step_by(6) {
                let bytes = eight(text, at + six) | FOLDS;
                let bits = (0..6).fold(0, |bits, i| {
                    let hash = gram_hash((bytes >> (8 * i)) as u32);
                    bits | (self.grams[hash / 64] >> (hash % 64) & 1) << i
                });
                mask |= bits << six;
            }
            mask &= (1 << count) - 1;
            while mask != 0 {
                on_gram(at + mask.trailing_zeros() as usize);
                mask &= mask - 1;
            }
            at += count;
        }
    }

    /// Compares the anchors that have these three or four bytes, each where `begin` says for its length.
    fn check(
        &self,
        text: &[u8],
        eight: u64,
        [three, four]: [u32; 2],
        begin: impl Fn(usize) -> Option<usize>,
        on_anchor: &mut impl FnMut(&[Need]),
    ) {
        for slot in [four_hash(four), FOURS + gram_hash(three) % THREES] {
            let mut head = self.heads[slot];
            while let Some(anchor) = head.checked_sub(1) {
                let outer = &self.outer[anchor as usize];
                head = outer.next;
                if eight & outer.mask != outer.bytes {
                    continue;
                }
                let length = outer.length as usize;
                let there = begin(length).and_then(|at| text.get(at..at + length));
                let same = |text: &[u8]| {
                    let expected = &self.texts[anchor as usize];
                    length <= 8 || text.iter().zip(expected).all(|(a, b)| a | 0x20 == *b)
                };
                if there.is_some_and(same) {
                    on_anchor(&self.needs[anchor as usize]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sift_rules::RuleSet;

    use crate::{EngineKind, Options, Scanner};

    fn rule(id: &str, pattern: &str) -> String {
        format!(
            "[[rule]]\nid = \"secret.acme.{id}\"\ntitle = \"t\"\nentity = \"ACME_KEY\"\nseverity = \"high\"\n\
             score = 0.9\npattern = '''{pattern}'''\nexamples = [\"x\"]\n"
        )
    }

    /// Runs are one way to hits; the automata engine reads every byte and knows none.
    #[test]
    fn findings_are_those_of_an_engine_that_knows_no_runs() {
        let rules = [
            rule(
                "left",
                r#"(?i:acme|zed)[\w.\x20-]{0,9}["']?\s?(?:=>|[=:]|\x20)\s?["']?([a-z0-9_]{32,36})"#,
            ),
            rule("touching", r"[?&]sig=([a-z0-9%]{32})"),
            rule("inside", r"((?:zed|ak)_[a-z0-9/+]{30,40}=?)"),
            rule("behind", r"(ak\.[a-z0-9]{32})\b"),
            rule("whole", r"\b([a-f0-9]{33})\b"),
            rule(
                "gate",
                r#"(?i:wile|acme)(?:[\w\s.:="-]{0,40}(?i:key|token)[\w.]{0,16}|s?)[\s=:"-]{1,9}([\w-]{32,64})(?:[^\w+/=-]|\z)"#,
            ),
            rule("exact", r#"(?i:wile)[\w-]{0,9}[\s=:-]{1,3}([a-z0-9]{33})(?:[^\w-]|\z)"#),
        ];
        let set = Arc::new(RuleSet::from_document("acme", &rules.concat()).unwrap());
        let shaped = set.patterns().iter().filter(|p| p.shape().unwrap().is_some()).count();
        assert_eq!(shaped, rules.len());
        let scanner = |engine| {
            let options = Options { engine, ..Options::default() };
            Scanner::new(Arc::clone(&set), options).unwrap()
        };
        let (runs, reference) = (scanner(None), scanner(Some(EngineKind::Automata)));
        let pieces = [
            "acme",
            "wile",
            "_key",
            "Token-",
            "ZED",
            "zed_",
            "ak_",
            "ak.",
            "sig=",
            "?",
            "&",
            "=",
            ":",
            " ",
            "\"",
            "\n",
            ".",
            "é",
            "/",
            "0123456789abcdef",
            "deadbeef",
            "a1b2c3d4e5f6",
            "a",
            "7",
            "_",
            "x-y",
        ];
        let mut state = 11_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize
        };
        let mut found = 0;
        for _ in 0..20_000 {
            let text: String = (0..next() % 24).map(|_| pieces[next() % pieces.len()]).collect();
            let expected = reference.scan(text.as_bytes()).unwrap().findings;
            assert_eq!(runs.scan(text.as_bytes()).unwrap().findings, expected);
            found += expected.len();
        }
        assert!(found > 200, "{found}");
    }
}
