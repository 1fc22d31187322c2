//! What a check says of values: reads lines of a check's name, a tab and a value, and writes a line for each:
//! `proven`, `keep`, `set 0.50`, `drop checksum`. `scripts/compare_stdnum.py` compares it with another implementation.
#![allow(clippy::print_stdout, reason = "the answers are the output")]

use std::io::{self, BufRead};

use sift_checks::{Check, Outcome, Subject};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (name, value) = line.split_once('\t').ok_or("a line is a check, a tab and a value")?;
        let check = Check::from_name(name).ok_or_else(|| format!("there is no check `{name}`"))?;
        match check.run(&Subject { value: value.as_bytes(), before: b"", after: b"" }) {
            Outcome::Proven => println!("proven"),
            Outcome::Keep => println!("keep"),
            Outcome::Set(score) => println!("set {score:.2}"),
            Outcome::Drop(reason) => println!("drop {reason}"),
            Outcome::Shorten(length) => println!("shorten {length}"),
            Outcome::Unless(reason) => println!("unless {reason}"),
        }
    }
    Ok(())
}
