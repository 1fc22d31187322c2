//! What conditions come to whatever is asked: always true, never, or true within bounds. For `policy check`: nothing here
//! decides about a request.
//!
//! Only what is certain is said. A comparison of an attribute with itself counts as true although a request that lacks
//! the attribute makes an error of it; integers have the bounds that comparisons with constants give them.

use super::{Code, Conditions, Conjunct, Constant};

/// What one comparison leaves of an attribute's values.
#[derive(Debug, PartialEq, Eq)]
enum Bound<'c> {
    /// From the first to the last; none, where the first is larger.
    Numbers(i128, i128),
    /// This one alone.
    Constant(&'c Constant),
}

const LEAST: i128 = i64::MIN as i128;
const MOST: i128 = i64::MAX as i128;

impl Bound<'_> {
    /// Whether no value is within both.
    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Bound::Numbers(low, high), Bound::Numbers(other_low, other_high)) => {
                low.max(other_low) > high.min(other_high)
            }
            (Bound::Constant(one), Bound::Constant(other)) => one != other,
            _ => false,
        }
    }

    /// Whether every value within the other is within this one.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Bound::Numbers(low, high), Bound::Numbers(other_low, other_high)) => {
                low <= other_low && other_high <= high
            }
            _ => self == other,
        }
    }
}

/// A part of a condition that must hold, or, turned round, must not.
type Atom<'c> = (&'c Code, bool);

/// The parts that must all hold.
fn atoms<'c>(code: &'c Code, negated: bool, found: &mut Vec<Atom<'c>>) {
    match (code, negated) {
        (Code::Not(of), _) => atoms(of, !negated, found),
        (Code::All(operands), false) | (Code::Any(operands), true) => {
            operands.iter().for_each(|operand| atoms(operand, negated, found));
        }
        _ => found.push((code, negated)),
    }
}

/// Whether it is an attribute of what is asked.
fn is_attribute(code: &Code) -> bool {
    let mut code = code;
    let mut attributes = 0;
    while let Code::Attribute(of, _) = code {
        code = of;
        attributes += 1;
    }
    attributes > 0 && matches!(code, Code::Principal | Code::Resource | Code::Context)
}

/// The attribute that a comparison with a constant is about, and what it leaves of it.
fn bound((code, negated): Atom<'_>) -> Option<(&Code, Bound<'_>)> {
    let (attribute, bound) = match (code, negated) {
        (Code::Less(left, right, or_equal, turned), _) => {
            // `left < right`, or the opposite; with `or_equal`, `left <= right`.
            let opposite = *turned != negated;
            let step = i128::from(!*or_equal);
            match (&**left, &**right) {
                (attribute, Code::Constant(Constant::Long(most))) => {
                    let most = i128::from(*most) - step;
                    let (low, high) = if opposite { (most + 1, MOST) } else { (LEAST, most) };
                    (attribute, Bound::Numbers(low, high))
                }
                (Code::Constant(Constant::Long(least)), attribute) => {
                    let least = i128::from(*least) + step;
                    let (low, high) = if opposite { (LEAST, least - 1) } else { (least, MOST) };
                    (attribute, Bound::Numbers(low, high))
                }
                _ => return None,
            }
        }
        (Code::Equal(left, right), false) | (Code::Unequal(left, right), true) => {
            match (&**left, &**right) {
                (attribute, Code::Constant(constant)) | (Code::Constant(constant), attribute) => {
                    let bound = match constant {
                        Constant::Long(only) => {
                            Bound::Numbers(i128::from(*only), i128::from(*only))
                        }
                        other => Bound::Constant(other),
                    };
                    (attribute, bound)
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    is_attribute(attribute).then_some((attribute, bound))
}

/// Whether parts that must all hold cannot.
fn contradict(parts: &[Atom<'_>]) -> bool {
    let bounds: Vec<_> = parts.iter().filter_map(|part| bound(*part)).collect();
    parts.iter().any(|part| value(*part) == Some(false))
        || bounds.iter().enumerate().any(|(place, (attribute, one))| {
            bounds
                .iter()
                .take(place + 1)
                .any(|(other, before)| other == attribute && one.excludes(before))
        })
}

/// What a part is, if it is that whatever is asked.
fn value((code, negated): Atom<'_>) -> Option<bool> {
    let found = match code {
        Code::Constant(Constant::Bool(value)) => Some(*value),
        Code::Not(of) => value((of, true)),
        Code::All(operands) => {
            let mut parts = Vec::new();
            operands.iter().for_each(|operand| atoms(operand, false, &mut parts));
            if contradict(&parts) {
                Some(false)
            } else {
                parts.iter().all(|part| value(*part) == Some(true)).then_some(true)
            }
        }
        Code::Any(operands) => {
            let values: Vec<_> = operands.iter().map(|operand| value((operand, false))).collect();
            if values.contains(&Some(true)) {
                Some(true)
            } else {
                values.iter().all(|value| *value == Some(false)).then_some(false)
            }
        }
        Code::Equal(left, right) => compared(left, right, |left, right| left == right),
        Code::Unequal(left, right) => compared(left, right, |left, right| left != right),
        Code::Less(left, right, or_equal, turned) => match (&**left, &**right) {
            (Code::Constant(Constant::Long(left)), Code::Constant(Constant::Long(right))) => {
                Some((if *or_equal { left <= right } else { left < right }) != *turned)
            }
            (left, right) if left == right && is_attribute(left) => Some(*or_equal != *turned),
            _ => None,
        },
        _ => None,
    };
    found.map(|value| value != negated)
}

/// Two operands whose comparison is known: constants, or one attribute twice.
fn compared(left: &Code, right: &Code, holds: impl Fn(&Code, &Code) -> bool) -> Option<bool> {
    let constants = matches!((left, right), (Code::Constant(_), Code::Constant(_)));
    let twice = left == right && is_attribute(left);
    (constants || twice).then(|| holds(left, right))
}

/// Whether arguments, or what was read out of them, occur in it.
fn mentions_arguments(code: &Code) -> bool {
    match code {
        Code::Attribute(of, name) => {
            (matches!(**of, Code::Context) && ["args", "sql", "http"].contains(&&**name))
                || mentions_arguments(of)
        }
        Code::Has(of, _) | Code::Not(of) | Code::Negate(of) | Code::IsEmpty(of) => {
            mentions_arguments(of)
        }
        Code::Like(of, _) | Code::Is(of, _) => mentions_arguments(of),
        Code::All(operands) | Code::Any(operands) => operands.iter().any(mentions_arguments),
        Code::If(parts) => parts.iter().any(mentions_arguments),
        Code::Equal(left, right)
        | Code::Unequal(left, right)
        | Code::Less(left, right, ..)
        | Code::Add(left, right)
        | Code::Subtract(left, right)
        | Code::Multiply(left, right)
        | Code::In(left, right)
        | Code::Contains(left, right)
        | Code::ContainsAll(left, right)
        | Code::ContainsAny(left, right) => mentions_arguments(left) || mentions_arguments(right),
        Code::Constant(_)
        | Code::Constants(_)
        | Code::Principal
        | Code::Action
        | Code::Resource
        | Code::Context => false,
    }
}

/// Whether a part leaves few enough values of an argument to be called a limit: an upper bound, one value, one of a set,
/// a pattern; not a lower bound, all values but one, or that the argument is there.
fn limits((code, negated): Atom<'_>) -> bool {
    if value((code, false)).is_some() || !mentions_arguments(code) {
        return false;
    }
    match (code, negated) {
        (Code::Not(of), _) => limits((of, !negated)),
        (Code::All(operands), false) | (Code::Any(operands), true) => {
            operands.iter().any(|operand| limits((operand, negated)))
        }
        (Code::All(operands), true) | (Code::Any(operands), false) => {
            operands.iter().all(|operand| limits((operand, negated)))
        }
        (Code::Less(..), _) => match bound((code, negated)) {
            Some((_, Bound::Numbers(_, high))) => high < MOST,
            // Of two attributes, or of what is computed.
            _ => true,
        },
        (Code::Has(..), _) | (Code::Unequal(..), false) => false,
        (Code::Equal(..) | Code::Like(..) | Code::In(..), true) => false,
        (Code::Contains(..) | Code::ContainsAll(..) | Code::ContainsAny(..), true) => false,
        _ => true,
    }
}

impl Conjunct {
    fn atom(&self) -> Option<Atom<'_>> {
        self.code.as_ref().map(|code| (code, self.negated))
    }
}

impl Conditions {
    /// The parts that must all hold, of what is compiled.
    fn parts(&self) -> Vec<Atom<'_>> {
        let mut parts = Vec::new();
        for (code, negated) in self.conjuncts.iter().filter_map(Conjunct::atom) {
            atoms(code, negated, &mut parts);
        }
        parts
    }

    /// Whether they hold whatever is asked.
    pub(crate) fn always(&self) -> bool {
        self.compiled && self.parts().into_iter().all(|part| value(part) == Some(true))
    }

    /// Whether they cannot hold, whatever is asked.
    pub(crate) fn never(&self) -> bool {
        contradict(&self.parts())
    }

    /// Whether these hold wherever others do.
    pub(crate) fn follow_from(&self, others: &Self) -> bool {
        let given = others.parts();
        let follows = |part: Atom<'_>| {
            value(part) == Some(true)
                || given.contains(&part)
                || bound(part).is_some_and(|(attribute, wide)| {
                    given
                        .iter()
                        .filter_map(|given| bound(*given))
                        .any(|(other, narrow)| other == attribute && wide.covers(&narrow))
                })
        };
        self.compiled && self.parts().into_iter().all(follows)
    }

    /// Whether one of them limits arguments.
    pub(crate) fn limit_arguments(&self) -> bool {
        self.conjuncts.iter().any(|conjunct| match conjunct.atom() {
            Some(part) => limits(part),
            None => ["context.args", "context.sql", "context.http"]
                .iter()
                .any(|part| conjunct.text.contains(part)),
        })
    }
}
