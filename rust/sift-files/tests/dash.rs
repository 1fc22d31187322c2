//! A file called `-`: the walker below would take it for standard input. In a process of its own, because
//! the name is one only in the current directory.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::Mutex;

use sift_files::{visit, Progress, WalkOptions};

#[test]
fn a_dash_is_a_file() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("-"), "dash").unwrap();
    std::env::set_current_dir(directory.path()).unwrap();
    for (arguments, told) in [(&["-"][..], "./-"), (&["."], "./-"), (&["-", "."], "./-")] {
        let found = Mutex::new(Vec::new());
        let paths: Vec<PathBuf> = arguments.iter().map(PathBuf::from).collect();
        let summary = visit(
            &paths,
            &WalkOptions::default(),
            &AtomicBool::new(false),
            &Progress::default(),
            |_, path, bytes| found.lock().unwrap().push((path.to_path_buf(), bytes.to_vec())),
        );
        let found = found.into_inner().unwrap();
        assert_eq!(found, [(Path::new(told).to_path_buf(), b"dash".to_vec())], "{arguments:?}");
        assert!(summary.errors.is_empty());
    }
}
