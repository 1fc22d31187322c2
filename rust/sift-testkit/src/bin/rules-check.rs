//! Lints and verifies rule documents without the Python package: `rules-check [FILE...]`, the built-in
//! rules without a file.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use sift_rules::RuleSet;

#[expect(clippy::print_stdout, reason = "a command's report")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let files: Vec<&Path> = arguments.iter().map(Path::new).collect();
    let sets: &[&str] = if files.is_empty() { &["default"] } else { &[] };
    let problems = RuleSet::select(sets, &files).map_err(|e| e.to_string()).and_then(|rules| {
        let rules = Arc::new(rules);
        let mut problems = sift_rules::lint::lint(&rules);
        problems.extend(sift_scan::verify::verify(&rules).map_err(|e| e.to_string())?);
        println!("{} rules, {} patterns", rules.rules().len(), rules.patterns().len());
        Ok(problems)
    });
    match problems {
        Ok(problems) => {
            for problem in &problems {
                println!("{}: {}: {}", problem.file, problem.rule, problem.reason);
            }
            println!("{} problems", problems.len());
            if problems.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(reason) => {
            println!("{reason}");
            ExitCode::from(2)
        }
    }
}
