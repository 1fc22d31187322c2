//! From pattern text to `before · group · after`, their widths, and the notation of the engines.
//!
//! The pattern is parsed once, here. Every engine gets the parsed form, so what `\s` or `.` means is
//! decided in one place (`regex-syntax`, bytes, ASCII classes).

use std::fmt::Write as _;

use regex_syntax::hir::{Capture, Class, Hir, HirKind, Look, Repetition};
use regex_syntax::utf8::Utf8Sequences;
use regex_syntax::ParserBuilder;

/// The most bytes `after` may read: the right context an edited finding can make a stream wait for.
pub const MAX_AFTER: usize = 24;
/// The shortest whole run of letters and digits that is a mark of its own.
const MIN_RUN: usize = 32;
/// The widest pattern, in bytes. Longer values have a body.
pub const MAX_WIDTH: usize = 2048;

/// A pattern split at its group, with what the engine needs to know of each part.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Which capture group of the text the group was; 0 for the whole match.
    pub index: u32,
    /// What must stand left of the group; empty or look-around only for most prefixes.
    pub before: Hir,
    /// What is reported and edited.
    pub group: Hir,
    /// What must stand right of the group.
    pub after: Hir,
    /// What may stand there and count for the value: its labels, see [`is_labelled`](crate::is_labelled).
    follow: Option<Hir>,
    /// One step of the body, if the rule has one.
    pub body: Option<Hir>,
    /// What may close the body.
    pub end: Option<Hir>,
    /// Longest `before`, in bytes.
    pub before_width: usize,
    /// Longest `group`, in bytes.
    pub group_width: usize,
    /// Longest `after`, in bytes.
    pub after_width: usize,
    /// Longest of what is looked at right of the group, in bytes.
    right_width: usize,
}

impl Parts {
    /// Parses and splits a pattern.
    ///
    /// `group` is the index of the capture group that is the finding, 0 for the whole match; none means 1
    /// if there is a group, else 0. Errors are
    /// one sentence without the pattern's text, since user patterns may hold customer names.
    pub fn parse(
        pattern: &str,
        group: Option<u32>,
        body: Option<&str>,
        end: Option<&str>,
    ) -> Result<Self, String> {
        let hir = parse(pattern, "pattern")?;
        let group = group.unwrap_or(u32::from(hir.properties().explicit_captures_len() > 0));
        let (before, middle, after) = if group == 0 {
            (Hir::empty(), hir, Hir::empty())
        } else {
            match split(&hir, group) {
                Split::Found(parts) => *parts,
                Split::Absent => return Err(format!("the pattern has no group {group}")),
                Split::Inside(what) => {
                    return Err(format!(
                        "group {group} stands inside {what}: write the group once, outside of it"
                    ))
                }
            }
        };
        for (part, name) in [(&before, "before the group"), (&middle, "the group")] {
            if part.properties().look_set().contains(Look::End) {
                return Err(format!("`\\z` may only stand after the group, not in {name}"));
            }
        }
        for (part, name) in [(&middle, "the group"), (&after, "what stands after it")] {
            // PCRE's `^` does not match behind a line feed that ends the text, `regex-syntax`'s does:
            // with bytes to follow they agree, and only `before` always has some.
            if part.properties().look_set().contains(Look::StartLF) {
                return Err(format!("`(?m:^)` may only stand before the group, not in {name}"));
            }
        }
        if middle.properties().minimum_len() == Some(0)
            || middle.properties().minimum_len().is_none()
        {
            return Err("the group can be empty or can never match".to_owned());
        }
        // Only the group is a capture from here on.
        let (before, middle, after) =
            (without_captures(&before), without_captures(&middle), without_captures(&after));
        let before_width = width(&before, "what stands before the group")?;
        let group_width = width(&middle, "the group")?;
        let after_width = width(&after, "what stands after the group")?;
        if after_width > MAX_AFTER {
            return Err(format!(
                "what stands after the group is up to {after_width} bytes wide, {MAX_AFTER} are allowed"
            ));
        }
        if before_width + group_width > MAX_WIDTH {
            return Err(format!(
                "the pattern is up to {} bytes wide, {MAX_WIDTH} are allowed: shorten it and use `body`",
                before_width + group_width
            ));
        }
        let step = |text: Option<&str>, name: &str| -> Result<Option<Hir>, String> {
            let Some(text) = text else { return Ok(None) };
            let hir = parse(text, name)?;
            if hir.properties().minimum_len().unwrap_or(0) == 0 {
                return Err(format!("`{name}` can be empty"));
            }
            if width(&hir, name)? > MAX_WIDTH {
                return Err(format!("`{name}` is wider than {MAX_WIDTH} bytes"));
            }
            Ok(Some(hir))
        };
        let (body, end) = (step(body, "body")?, step(end, "end")?);
        if end.is_some() && body.is_none() {
            return Err("`end` needs a `body`".to_owned());
        }
        Ok(Self {
            index: group,
            before,
            group: middle,
            after,
            follow: None,
            body,
            end,
            before_width,
            group_width,
            after_width,
            right_width: after_width,
        })
    }

    /// The same with an expression of what may stand right of the group and counts for the value.
    pub(crate) fn followed_by(mut self, expression: &str) -> Result<Self, String> {
        let follow = parse(expression, "context")?;
        let follow_width = width(&follow, "what follows the group")?;
        if follow_width > MAX_AFTER {
            return Err(format!(
                "what counts behind the group is up to {follow_width} bytes wide, {MAX_AFTER} are allowed"
            ));
        }
        self.right_width = self.right_width.max(follow_width);
        self.follow = Some(follow);
        Ok(self)
    }

    /// The whole pattern with the group as capture 1.
    pub fn whole(&self) -> Hir {
        let group =
            Hir::capture(Capture { index: 1, name: None, sub: Box::new(self.group.clone()) });
        Hir::concat(vec![self.before.clone(), group, self.after.clone()])
    }

    /// The whole pattern with all that a decision about a candidate looks at right of it: a stream waits as long as
    /// one of its words may be under way.
    pub fn watched(&self) -> Hir {
        let Some(follow) = &self.follow else { return self.whole() };
        let right = Hir::alternation(vec![follow.clone(), self.after.clone()]);
        Self { after: right, follow: None, ..self.clone() }.whole()
    }

    /// A wider language with fewer ends, for the engine that only has to say "about here".
    ///
    /// `[a-z]{20,200}` has up to 181 ends a value; `[a-z]{20}` has one, and the confirm step finds the
    /// rest. Every candidate `(g, e)` keeps a trigger that begins at the same place and ends by `e`.
    pub fn trigger(&self) -> Hir {
        let consumes = self.after_width > 0;
        let (group, trimmed) =
            if consumes { (self.group.clone(), false) } else { trim_tail(&self.group) };
        let after = if trimmed { Hir::empty() } else { self.after.clone() };
        Hir::concat(vec![self.before.clone(), group, after])
    }

    /// If every group begins where a run of ASCII letters and digits does and has at least 32 bytes of it:
    /// the shortest and longest such run. Whoever finds the runs has found where its groups can begin.
    pub(crate) fn alnum_run(&self) -> Option<(usize, usize)> {
        let is_alnum = |byte: u8| byte.is_ascii_alphanumeric();
        let only = only_bytes(&self.group, is_alnum);
        let properties = self.group.properties();
        let (min, max) = (properties.minimum_len()?, properties.maximum_len()?);
        // Nothing that may touch the group on a side is a letter or digit.
        let apart = |part: &Hir, side: Side| {
            let (bytes, may_be_empty) = edge_bytes(part, side);
            !may_be_empty && !(0..=255_u8).any(|b| is_alnum(b) && bytes[b as usize])
        };
        let longest = if apart(&self.after, Side::First) { max } else { usize::MAX };
        (only && min >= MIN_RUN && apart(&self.before, Side::Last)).then_some((min, longest))
    }

    /// Longest match of the pattern, in bytes, with the labels that may follow.
    pub fn total_width(&self) -> usize {
        self.before_width + self.group_width + self.right_width
    }

    /// Length of the shortest literal among the best literals of each alternative: what the weakest arm
    /// gives an engine to look for.
    pub fn weakest_literal(&self) -> usize {
        weakest_literal(&self.whole())
    }
}

/// Whether a language has no other bytes.
pub(crate) fn only_bytes(hir: &Hir, has: fn(u8) -> bool) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => literal.0.iter().all(|&byte| has(byte)),
        HirKind::Class(Class::Bytes(class)) => {
            class.ranges().iter().all(|r| (r.start()..=r.end()).all(has))
        }
        HirKind::Class(Class::Unicode(_)) => false,
        HirKind::Capture(capture) => only_bytes(&capture.sub, has),
        HirKind::Repetition(repeat) => only_bytes(&repeat.sub, has),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().all(|part| only_bytes(part, has))
        }
    }
}

fn parse(text: &str, name: &str) -> Result<Hir, String> {
    let hir = ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .nest_limit(64)
        .build()
        .parse(text)
        .map_err(|error| {
            let kind = match &error {
                regex_syntax::Error::Parse(e) => e.kind().to_string(),
                regex_syntax::Error::Translate(e) => e.kind().to_string(),
                _ => "it does not parse".to_owned(),
            };
            format!("`{name}` is not a valid pattern: {kind}")
        })?;
    for look in hir.properties().look_set().iter() {
        match look {
            Look::WordAscii | Look::WordAsciiNegate | Look::StartLF | Look::EndLF | Look::End => {}
            Look::Start => {
                return Err(format!(
                    "`{name}` uses `^` or `\\A`, which a stream has not: use `(?m:^)`"
                ))
            }
            _ => {
                return Err(format!(
                    "`{name}` uses a look-around other than `\\b`, `\\B`, `(?m:^)`, `(?m:$)`, `\\z`"
                ))
            }
        }
    }
    Ok(hir)
}

fn width(hir: &Hir, name: &str) -> Result<usize, String> {
    hir.properties()
        .maximum_len()
        .ok_or_else(|| format!("{name} has no bound: replace `*`, `+` and `{{n,}}` by `{{n,m}}`"))
}

enum Split {
    Found(Box<(Hir, Hir, Hir)>),
    Absent,
    Inside(&'static str),
}

fn split(hir: &Hir, group: u32) -> Split {
    let holds = |part: &Hir| !matches!(split(part, group), Split::Absent);
    match hir.kind() {
        HirKind::Capture(capture) if capture.index == group => {
            Split::Found(Box::new((Hir::empty(), (*capture.sub).clone(), Hir::empty())))
        }
        HirKind::Capture(capture) => split(&capture.sub, group),
        HirKind::Concat(parts) => {
            for (i, part) in parts.iter().enumerate() {
                match split(part, group) {
                    Split::Absent => {}
                    Split::Inside(what) => return Split::Inside(what),
                    Split::Found(found) => {
                        let (before, middle, after) = *found;
                        let (left, right) = parts.split_at(i);
                        let mut lead = left.to_vec();
                        lead.push(before);
                        let mut tail = vec![after];
                        tail.extend(right.iter().skip(1).cloned());
                        return Split::Found(Box::new((
                            Hir::concat(lead),
                            middle,
                            Hir::concat(tail),
                        )));
                    }
                }
            }
            Split::Absent
        }
        HirKind::Alternation(arms) if arms.iter().any(holds) => Split::Inside("an alternation"),
        HirKind::Repetition(repeat) if holds(&repeat.sub) => Split::Inside("a repetition"),
        _ => Split::Absent,
    }
}

fn without_captures(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Capture(capture) => without_captures(&capture.sub),
        HirKind::Repetition(repeat) => Hir::repetition(Repetition {
            min: repeat.min,
            max: repeat.max,
            greedy: repeat.greedy,
            sub: Box::new(without_captures(&repeat.sub)),
        }),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(without_captures).collect()),
        HirKind::Alternation(arms) => Hir::alternation(arms.iter().map(without_captures).collect()),
        _ => hir.clone(),
    }
}

fn trim_tail(hir: &Hir) -> (Hir, bool) {
    match hir.kind() {
        HirKind::Repetition(repeat) if Some(repeat.min) != repeat.max => {
            let shortest = Repetition {
                min: repeat.min,
                max: Some(repeat.min),
                greedy: true,
                sub: repeat.sub.clone(),
            };
            (Hir::repetition(shortest), true)
        }
        HirKind::Capture(capture) => trim_tail(&capture.sub),
        HirKind::Concat(parts) => match parts.split_last() {
            Some((last, rest)) => {
                let (last, trimmed) = trim_tail(last);
                let mut all = rest.to_vec();
                all.push(last);
                (Hir::concat(all), trimmed)
            }
            None => (hir.clone(), false),
        },
        _ => (hir.clone(), false),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    First,
    Last,
}

/// The bytes a word of the language can have next to a letter or digit that it touches, and whether it may
/// be empty and say nothing of that byte.
pub(crate) fn edge_bytes(hir: &Hir, side: Side) -> ([bool; 256], bool) {
    let mut edge = [false; 256];
    match hir.kind() {
        // Nothing follows the end of the text, and beside a letter or digit `\b` wants no other.
        HirKind::Look(Look::End | Look::WordAscii) => return (edge, false),
        HirKind::Empty | HirKind::Look(_) => return (edge, true),
        HirKind::Literal(literal) => {
            let byte = if side == Side::First { literal.0.first() } else { literal.0.last() };
            byte.iter().for_each(|&&byte| edge[byte as usize] = true);
            return (edge, false);
        }
        HirKind::Class(Class::Bytes(class)) => {
            for range in class.ranges() {
                (range.start()..=range.end()).for_each(|byte| edge[byte as usize] = true);
            }
            return (edge, false);
        }
        // Any byte: which ones would take its UTF-8 apart, and no pattern needs to know.
        HirKind::Class(Class::Unicode(_)) => return ([true; 256], false),
        HirKind::Capture(capture) => return edge_bytes(&capture.sub, side),
        HirKind::Repetition(repeat) => {
            let (bytes, empty) = edge_bytes(&repeat.sub, side);
            return (bytes, empty || repeat.min == 0);
        }
        HirKind::Alternation(arms) => {
            let mut empty = false;
            for arm in arms {
                let (bytes, may) = edge_bytes(arm, side);
                edge.iter_mut().zip(bytes).for_each(|(all, one)| *all |= one);
                empty |= may;
            }
            return (edge, empty);
        }
        HirKind::Concat(parts) => {
            let mut parts: Vec<&Hir> = parts.iter().collect();
            if side == Side::Last {
                parts.reverse();
            }
            for part in parts {
                let (bytes, empty) = edge_bytes(part, side);
                edge.iter_mut().zip(bytes).for_each(|(all, one)| *all |= one);
                if !empty {
                    return (edge, false);
                }
            }
        }
    }
    (edge, true)
}

fn weakest_literal(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Capture(capture) => weakest_literal(&capture.sub),
        HirKind::Repetition(repeat) if repeat.min > 0 => weakest_literal(&repeat.sub),
        HirKind::Alternation(arms) => arms.iter().map(weakest_literal).min().unwrap_or(0),
        HirKind::Concat(parts) => {
            let (mut best, mut run) = (0, 0);
            for part in parts {
                if let HirKind::Capture(_) | HirKind::Alternation(_) | HirKind::Repetition(_) =
                    part.kind()
                {
                    let inner = weakest_literal(part);
                    // An alternation between literals still gives one contiguous literal in each arm.
                    run = if part.properties().is_literal()
                        || part.properties().is_alternation_literal()
                    {
                        run + inner
                    } else {
                        0
                    };
                    best = best.max(inner).max(run);
                } else if let HirKind::Literal(literal) = part.kind() {
                    run += literal.0.len();
                    best = best.max(run);
                } else if is_caseless_byte(part) {
                    run += 1;
                    best = best.max(run);
                } else if !matches!(part.kind(), HirKind::Look(_) | HirKind::Empty) {
                    run = 0;
                }
            }
            best
        }
        _ => usize::from(is_caseless_byte(hir)),
    }
}

/// One letter in both cases, which engines treat as a literal byte.
fn is_caseless_byte(hir: &Hir) -> bool {
    let HirKind::Class(Class::Bytes(class)) = hir.kind() else { return false };
    let bytes: Vec<u8> = class.ranges().iter().flat_map(|r| r.start()..=r.end()).take(3).collect();
    matches!(bytes.as_slice(), [upper, lower] if upper.to_ascii_lowercase() == *lower)
}

/// Prints a parsed pattern in the notation Hyperscan reads: bytes and classes as hexadecimal escapes,
/// so that no class name or flag of its dialect can mean something else.
pub fn hyperscan_expression(hir: &Hir) -> String {
    let mut out = String::new();
    print(hir, &mut out);
    out
}

fn print(hir: &Hir, out: &mut String) {
    match hir.kind() {
        HirKind::Empty => out.push_str("(?:)"),
        HirKind::Literal(literal) => {
            for byte in literal.0.iter() {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
        HirKind::Class(Class::Bytes(class)) => {
            let ranges: Vec<(u8, u8)> =
                class.ranges().iter().map(|r| (r.start(), r.end())).collect();
            print_bytes(&ranges, out);
        }
        HirKind::Class(Class::Unicode(class)) => {
            out.push_str("(?:");
            let mut first = true;
            for range in class.ranges() {
                for sequence in Utf8Sequences::new(range.start(), range.end()) {
                    if !std::mem::take(&mut first) {
                        out.push('|');
                    }
                    for step in sequence.as_slice() {
                        print_bytes(&[(step.start, step.end)], out);
                    }
                }
            }
            out.push(')');
        }
        HirKind::Look(look) => out.push_str(match look {
            Look::WordAsciiNegate => "\\B",
            Look::StartLF => "(?m:^)",
            Look::EndLF => "(?m:$)",
            Look::End => "\\z",
            // `parse` lets no other look through.
            _ => "\\b",
        }),
        HirKind::Repetition(repeat) => {
            out.push_str("(?:");
            print(&repeat.sub, out);
            match repeat.max {
                Some(max) if max == repeat.min => {
                    let _ = write!(out, "){{{max}}}");
                }
                Some(max) => {
                    let _ = write!(out, "){{{},{max}}}", repeat.min);
                }
                None => {
                    let _ = write!(out, "){{{},}}", repeat.min);
                }
            }
        }
        HirKind::Capture(capture) => print(&capture.sub, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| print(part, out)),
        HirKind::Alternation(arms) => {
            out.push_str("(?:");
            for (i, arm) in arms.iter().enumerate() {
                if i > 0 {
                    out.push('|');
                }
                print(arm, out);
            }
            out.push(')');
        }
    }
}

fn print_bytes(ranges: &[(u8, u8)], out: &mut String) {
    if ranges.is_empty() {
        // No byte at all; Hyperscan has no notation for an empty class other than this.
        out.push_str("[^\\x00-\\xff]");
        return;
    }
    out.push('[');
    for (start, end) in ranges {
        let _ = write!(out, "\\x{start:02x}");
        if end > start {
            let _ = write!(out, "-\\x{end:02x}");
        }
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(pattern: &str) -> Result<Parts, String> {
        Parts::parse(pattern, Some(1), None, None)
    }

    #[test]
    fn splits_at_the_group_and_knows_widths() {
        let p = parts(r#"\bkey\s{0,3}=(?:"([a-z]{8,20})["'])"#).unwrap();
        assert_eq!((p.before_width, p.group_width, p.after_width), (8, 20, 1));
    }

    #[test]
    fn refuses_what_a_stream_cannot_do() {
        for (pattern, word) in [
            ("key=([a-z]+)", "bound"),
            ("^key=([a-z]{8})", "stream"),
            ("(?:key=([a-z]{8})|x)", "alternation"),
            ("(?:([a-z]{8})){2}", "repetition"),
            ("key=([a-z]{0,8})", "empty"),
            ("key=([a-z]{8})[a-z]{25}", "24"),
            ("key=([a-z]{8}", "valid"),
            ("key=[a-z]{8}", "no group"),
            (r"key=(\z[a-z]{8})", "after"),
            (r"key=([a-z]{8})\n(?m:^)", "before"),
        ] {
            let error = parts(pattern).unwrap_err();
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn trigger_has_one_end_for_an_open_tail() {
        let p = parts(r"tok_([a-z]{20,200})\b").unwrap();
        assert_eq!(p.trigger().properties().maximum_len(), Some(24));
        let p = parts(r#"tok_([a-z]{20,200})["]"#).unwrap();
        assert_eq!(p.trigger().properties().maximum_len(), Some(205));
    }

    #[test]
    fn literals_are_counted_per_arm() {
        assert_eq!(parts("(?:alpha|be)([0-9]{8})").unwrap().weakest_literal(), 2);
        assert_eq!(parts("(?i)secret=([0-9]{8})").unwrap().weakest_literal(), 7);
        assert_eq!(parts("([0-9]{8})").unwrap().weakest_literal(), 0);
    }

    #[test]
    fn knows_which_groups_are_whole_runs() {
        assert_eq!(parts(r#"key[ =]{1,3}"?([a-z0-9]{32})\b"#).unwrap().alnum_run(), Some((32, 32)));
        assert_eq!(parts(r"key=([a-z]{40,50})(?:[^\w-]|\z)").unwrap().alnum_run(), Some((40, 50)));
        // Shorter, another class, or a run that may begin left of the group.
        assert_eq!(parts(r"key=([a-z0-9]{31})").unwrap().alnum_run(), None);
        assert_eq!(parts(r"key=([a-z_]{40})").unwrap().alnum_run(), None);
        assert_eq!(parts(r"key([a-z0-9]{40})").unwrap().alnum_run(), None);
        assert_eq!(parts(r"key=?([a-z0-9]{40})").unwrap().alnum_run(), None);
        assert_eq!(parts(r"\B([a-z0-9]{40})").unwrap().alnum_run(), None);
        assert_eq!(parts(r"\b([a-z0-9]{40})").unwrap().alnum_run(), Some((40, usize::MAX)));
        // Of several parts.
        let of_two = parts(r"\b(AC[0-9a-f]{32}|S[A-F0-9]{35,36})\b").unwrap();
        assert_eq!(of_two.alnum_run(), Some((34, 37)));
        assert_eq!(parts(r"\b(A-[0-9a-f]{32})\b").unwrap().alnum_run(), None);
    }

    #[test]
    fn prints_classes_as_bytes() {
        let p = parts(r"(?u:é)\s([a-c])\b").unwrap();
        assert_eq!(hyperscan_expression(&p.whole()), r"\xc3\xa9[\x09-\x0d\x20][\x61-\x63]\b");
    }
}
