//! Numbers that states give to people, firms and vehicles: one function a number, by the rule of its
//! authority, of the value as it stands in the text.
//!
//! Each answers with what its rule is worth (see `checksum`): a right number under a checksum that is hard
//! to pass by chance is proven, one under a weak checksum keeps the score of its rule. A number whose
//! checksum the authority no longer holds to is never dropped for it. No function reads a clock.

pub(crate) mod africa;
pub(crate) mod americas;
pub(crate) mod asia;
pub(crate) mod britain;
pub(crate) mod europe;
pub(crate) mod germany;
pub(crate) mod oceania;

#[cfg(test)]
pub(crate) mod testing {
    //! Expectations as one table a country: numbers that authorities print as examples or specimens, and
    //! numbers that follow from their rules. `scripts/compare_stdnum.py` compares random ones with another
    //! implementation.

    use crate::{Check, Outcome};

    /// A check, a value and the answer.
    pub(crate) type Case = (Check, &'static str, Outcome);

    pub(crate) const PROVEN: Outcome = Outcome::Proven;
    /// The score of the rule stands.
    pub(crate) const KEPT: Outcome = Outcome::Keep;
    /// Of a weak checksum, in groups.
    pub(crate) const EDITED: Outcome = Outcome::Set(0.5);
    pub(crate) const WRONG: Outcome = Outcome::Drop("checksum");
    pub(crate) const MISFIT: Outcome = Outcome::Drop("shape");

    pub(crate) const fn scored(score: f32) -> Outcome {
        Outcome::Set(score)
    }

    pub(crate) const fn dropped(reason: &'static str) -> Outcome {
        Outcome::Drop(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::{africa, americas, asia, britain, europe, germany, oceania};
    use crate::{Check, Outcome, Subject};

    const TABLES: [&[super::testing::Case]; 7] = [
        africa::cases::CASES,
        americas::cases::CASES,
        asia::cases::CASES,
        britain::cases::CASES,
        europe::cases::CASES,
        germany::cases::CASES,
        oceania::cases::CASES,
    ];

    fn run(check: Check, value: &str) -> Outcome {
        check.run(&Subject { value: value.as_bytes(), before: b"", after: b"" })
    }

    #[test]
    fn numbers_of_states() {
        for &(check, value, expected) in TABLES.into_iter().flatten() {
            assert_eq!(run(check, value), expected, "{check:?} of `{value}`");
        }
    }

    /// A check whose table has no number that is worth more than another could answer anything.
    #[test]
    fn every_check_tells_one_number_from_another() {
        let all = Check::all();
        let at = |check| all.iter().position(|it| *it == check).unwrap();
        for &check in &all[at(Check::UsSsn)..=at(Check::NgNin)] {
            let cases = || TABLES.into_iter().flatten().filter(|case| case.0 == check);
            let kept = cases().filter(|case| !matches!(case.2, Outcome::Drop(_)));
            assert!(kept.count() > 0, "{check:?} has no right number");
            let first = cases().next().map(|case| case.2);
            assert!(cases().any(|case| Some(case.2) != first), "{check:?} has no wrong number");
        }
    }

    /// A hand that slips gives another digit, and a checksum is there to tell.
    #[test]
    fn one_digit_changed_is_worth_less() {
        for &(check, value, expected) in TABLES.into_iter().flatten() {
            // Kinds of holders and regions, and what follows the digit that is checked.
            let free = [Check::InPan, Check::InPlate, Check::UkPlate, Check::AuMedicare];
            if free.contains(&check) || !matches!(expected, Outcome::Proven | Outcome::Set(0.5)) {
                continue;
            }
            let last = value.rfind(|it: char| it.is_ascii_digit()).unwrap();
            let digit = value.as_bytes()[last] - b'0';
            let mut same = 0;
            for other in (0..10).filter(|other| *other != digit) {
                let mut changed = value.as_bytes().to_vec();
                changed[last] = b'0' + other;
                let outcome = check.run(&Subject { value: &changed, before: b"", after: b"" });
                same += usize::from(outcome == expected);
            }
            assert!(same <= 1, "{check:?} takes {same} other digits in `{value}`");
        }
    }
}
