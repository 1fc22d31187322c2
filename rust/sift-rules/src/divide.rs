//! Takes triggers apart by whether their words need a byte above ASCII: most texts have none, and an engine
//! need not look for the words of other scripts there.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Repetition};
use regex_syntax::utf8::Utf8Sequences;

/// Larger classes are gaps between words, and stay whole.
const MAX_CLASS: usize = 64;
/// A sequence with more parts that have such arms stays whole: it would be written out once for each.
const MAX_ARMS: usize = 4;

/// Two languages that together hold every word of a trigger.
#[derive(Clone, Debug)]
pub struct Divided {
    /// Words with any bytes; none if each needs one above ASCII.
    pub plain: Option<Hir>,
    /// Words that all have one of `bytes`, ascending and above ASCII.
    pub high: Option<Hir>,
    /// Empty without `high`.
    pub bytes: Vec<u8>,
}

/// Divides a language. Which words go where is decided by arms: what is in neither arm stays in `plain`.
pub fn divide(hir: &Hir) -> Divided {
    let (plain, high) = arms(hir);
    let mut bytes = high.as_ref().and_then(needed).unwrap_or_default();
    bytes.sort_unstable();
    bytes.dedup();
    Divided { plain, high, bytes }
}

/// INVARIANT: `needed` knows bytes for every second part, and for the whole where there is no first.
fn arms(hir: &Hir) -> (Option<Hir>, Option<Hir>) {
    if needed(hir).is_some() {
        return (None, Some(hir.clone()));
    }
    let whole = || (Some(hir.clone()), None);
    match hir.kind() {
        HirKind::Alternation(parts) => {
            let (plain, high): (Vec<_>, Vec<_>) = parts.iter().map(arms).unzip();
            (either(plain), either(high))
        }
        HirKind::Concat(parts) => {
            let (plain, high): (Vec<_>, Vec<_>) = parts.iter().map(arms).unzip();
            if high.iter().flatten().count() > MAX_ARMS {
                return whole();
            }
            // A word is plain up to the first part that has the byte; what follows may be anything.
            let Some(plain) = plain.into_iter().collect::<Option<Vec<Hir>>>() else {
                return whole();
            };
            let high = high.into_iter().enumerate().map(|(i, high)| {
                let (left, right) = (plain.iter().take(i), parts.iter().skip(i + 1));
                Some(Hir::concat(left.cloned().chain([high?]).chain(right.cloned()).collect()))
            });
            let high = either(high.collect());
            (Some(Hir::concat(plain)), high)
        }
        HirKind::Repetition(repeat) if repeat.min == 0 => match arms(&repeat.sub) {
            (None, Some(_)) => {
                let some = Repetition { min: 1, ..repeat.clone() };
                (Some(Hir::empty()), Some(Hir::repetition(some)))
            }
            (Some(plain), high) if repeat.max == Some(1) => {
                let plain = Repetition { sub: Box::new(plain), ..repeat.clone() };
                (Some(Hir::repetition(plain)), high)
            }
            _ => whole(),
        },
        HirKind::Class(Class::Unicode(class)) if points(class) <= MAX_CLASS => {
            let mut high = class.clone();
            high.intersect(&ClassUnicode::new([ClassUnicodeRange::new('\u{80}', char::MAX)]));
            if needed(&Hir::class(Class::Unicode(high.clone()))).is_none() {
                return whole();
            }
            let mut plain = class.clone();
            plain.difference(&high);
            let part = |class: ClassUnicode| {
                (!class.ranges().is_empty()).then(|| Hir::class(Class::Unicode(class)))
            };
            (part(plain), part(high))
        }
        _ => whole(),
    }
}

fn either(parts: Vec<Option<Hir>>) -> Option<Hir> {
    let parts: Vec<Hir> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| Hir::alternation(parts))
}

fn points(class: &ClassUnicode) -> usize {
    class.ranges().iter().map(ClassUnicodeRange::len).sum()
}

/// Bytes above ASCII of which every word has one; those that few texts have, if there is a choice.
fn needed(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            let high = literal.0.iter().copied().filter(|byte| !byte.is_ascii());
            let (_, byte) = high.filter_map(|byte| Some((price(byte)?, byte))).min()?;
            Some(vec![byte])
        }
        HirKind::Class(Class::Bytes(class)) => {
            let ranges = class.ranges();
            let high = !ranges.is_empty() && ranges.iter().all(|range| range.start() >= 0x80);
            let bytes: Vec<u8> = ranges.iter().flat_map(|r| r.start()..=r.end()).collect();
            (high && total(&bytes).is_some()).then_some(bytes)
        }
        HirKind::Class(Class::Unicode(class)) => {
            let ranges = class.ranges();
            if ranges.is_empty() || ranges.iter().any(|range| range.start() < '\u{80}') {
                return None;
            }
            let sequences = ranges.iter().flat_map(|r| Utf8Sequences::new(r.start(), r.end()));
            let cheapest = sequences.map(|sequence| {
                let steps = sequence.as_slice().iter();
                let steps = steps.map(|step| (step.start..=step.end).collect::<Vec<u8>>());
                steps.filter_map(|bytes| Some((total(&bytes)?, bytes))).min()
            });
            let cheapest: Vec<(u32, Vec<u8>)> = cheapest.collect::<Option<_>>()?;
            Some(cheapest.into_iter().flat_map(|(_, bytes)| bytes).collect())
        }
        HirKind::Capture(capture) => needed(&capture.sub),
        HirKind::Repetition(repeat) if repeat.min > 0 => needed(&repeat.sub),
        HirKind::Alternation(parts) => {
            let parts: Vec<Vec<u8>> = parts.iter().map(needed).collect::<Option<_>>()?;
            Some(parts.concat())
        }
        HirKind::Concat(parts) => {
            let parts = parts.iter().filter_map(needed);
            let priced = parts.filter_map(|bytes| Some((total(&bytes)?, bytes)));
            priced.min().map(|(_, bytes)| bytes)
        }
        _ => None,
    }
}

/// How gladly a text is told by the byte: rather by the first of a character than by a later one, which
/// scripts share. Not by those of dashes, quotes and dots, which stand in English prose: a word that has no
/// other stays with the plain ones.
fn price(byte: u8) -> Option<u32> {
    match byte {
        0x80 | 0xe2 | 0x93 | 0x94 | 0x98 | 0x99 | 0x9c | 0x9d | 0xa2 | 0xa6 => None,
        0xc2 | 0xa0 => Some(20),
        0xc3..=0xf4 => Some(1),
        _ => Some(3),
    }
}

/// Of all of them together.
fn total(bytes: &[u8]) -> Option<u32> {
    bytes.iter().map(|&byte| price(byte)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parts;
    use regex_automata::meta::Regex;

    fn divided(pattern: &str) -> Divided {
        divide(&Parts::parse(pattern, None, None, None).unwrap().trigger())
    }

    #[test]
    fn words_of_other_scripts_are_high() {
        let d = divided(r"(?:забудь|не обращай) [^.]{0,20}инструкции");
        assert!(d.plain.is_none());
        assert_eq!(d.bytes, [0xd0]);
        let d = divided(r"forget .{0,20}instructions");
        assert!(d.plain.is_some() && d.high.is_none() && d.bytes.is_empty());
    }

    #[test]
    fn arms_go_where_they_belong() {
        let d = divided(r"ignor(?:a|ez) .{0,9}(?:instrucciones|règles|reglas)");
        let (plain, high) = (d.plain.unwrap(), d.high.unwrap());
        let matches = |hir: &Hir, text: &str| {
            Regex::builder().build_from_hir(hir).unwrap().is_match(text.as_bytes())
        };
        assert!(matches(&plain, "ignora las reglas") && !matches(&high, "ignora las reglas"));
        assert!(matches(&high, "ignorez les règles") && !matches(&plain, "ignorez les règles"));
        assert_eq!(d.bytes, [0xc3]);
    }

    #[test]
    fn bytes_of_english_prose_are_avoided() {
        assert_eq!(
            divided(r"(?:\xe2\x80[\x8b-\x8f]){10,24}").bytes,
            [0x8b, 0x8c, 0x8d, 0x8e, 0x8f]
        );
        assert_eq!(divided(r"(?u:[\u{200b}-\u{200c}]){4}").bytes, [0x8b, 0x8c]);
        assert!(divided(r"don(?:'|’)t (?:“|”)follow").high.is_none());
    }

    /// Whatever the pattern: each word is in one of the two, and those of `high` have one of the bytes.
    #[test]
    fn nothing_is_lost() {
        let patterns = [
            r"(?:a|ä)?b(?:c|ç){1,2}d",
            r"(?:é|e)(?:è|e)x?(?:ñ|n)",
            r"(?u:[aäbñ])(?:x|ü){0,1}(?u:[eéê])?",
            r"(?:ab|cä|(?:dö|e)f){0,2}x",
            r"[^x]{0,3}(?:é|x)\b(?:ä){0,3}",
            r"(?:a|ä)(?:b|ö)(?:c|ü)(?:d|é)(?:e|è)",
        ];
        let letters: Vec<char> = "abcdefxnäöüéèêñç".chars().collect();
        let mut seed = 7_u64;
        let mut random = |bound: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % bound as u64) as usize
        };
        for pattern in patterns {
            let trigger = Parts::parse(pattern, None, None, None).unwrap().trigger();
            let d = divide(&trigger);
            let regex = |hir: &Hir| Regex::builder().build_from_hir(hir).unwrap();
            let whole = regex(&trigger);
            let (plain, high) = (d.plain.as_ref().map(regex), d.high.as_ref().map(regex));
            let mut found = 0;
            for _ in 0..20_000 {
                let text: String =
                    (0..=random(6)).map(|_| letters[random(letters.len())]).collect();
                let matches = |regex: &Option<Regex>| {
                    regex.as_ref().is_some_and(|regex| regex.is_match(text.as_bytes()))
                };
                let in_high = matches(&high);
                assert_eq!(
                    whole.is_match(text.as_bytes()),
                    matches(&plain) || in_high,
                    "{pattern}"
                );
                assert!(!in_high || text.bytes().any(|b| d.bytes.contains(&b)), "{pattern}");
                found += usize::from(in_high);
            }
            assert!(found > 0 || d.high.is_none(), "{pattern}");
        }
    }
}
