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
    //! numbers that follow from their rules. Random ones were compared once with python-stdnum 2.2, for 24
    //! kinds of number: what differs is the ranges that this crate holds to and it does not, or the reverse.

    use crate::{Check, Outcome, Subject};

    /// Asserts that each value is dropped by its check or not.
    pub(crate) fn holds(cases: &[(Check, &str, bool)]) {
        for &(check, value, valid) in cases {
            let outcome = check.run(&Subject { value: value.as_bytes(), before: b"" });
            assert_eq!(!matches!(outcome, Outcome::Drop(_)), valid, "{check:?} of `{value}`");
        }
    }
}
