//! Walks of small trees made for the purpose: what is read, what is left out, what is told.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;

use sift_files::{visit, Progress, Skip, Skipped, Summary, WalkOptions};
use tempfile::TempDir;

/// A directory with these files; each file holds its own path. With `git` it is a repository.
fn tree(git: bool, files: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    if git {
        fs::create_dir_all(directory.path().join(".git/info")).unwrap();
        fs::write(directory.path().join(".git/config"), "[core]\n").unwrap();
    }
    for file in files {
        write(directory.path(), file, file.as_bytes());
    }
    directory
}

fn write(directory: &Path, file: &str, bytes: &[u8]) {
    let path = directory.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Walks and returns the paths read, relative to `directory`, sorted; repetitions stay.
fn walk_with(directory: &Path, paths: &[&str], options: &WalkOptions) -> (Vec<String>, Summary) {
    let paths: Vec<PathBuf> = paths.iter().map(|path| directory.join(path)).collect();
    let found = Mutex::new(Vec::new());
    let progress = Progress::default();
    let summary = visit(&paths, options, &AtomicBool::new(false), &progress, |_, path, bytes| {
        found.lock().unwrap().push((path.to_path_buf(), bytes.to_vec()));
    });
    let found = found.into_inner().unwrap();
    assert_eq!(summary.files as usize, found.len());
    assert_eq!(summary.bytes as usize, found.iter().map(|(_, bytes)| bytes.len()).sum::<usize>());
    assert_eq!(summary.files, progress.files.into_inner());
    assert_eq!(summary.bytes, progress.bytes.into_inner());
    assert_eq!(summary.binary, progress.binary.into_inner());
    assert_eq!(summary.not_files, progress.not_files.into_inner());
    assert_eq!(summary.errors.len() as u64, progress.errors.into_inner());
    assert!(!summary.stopped);
    let mut names: Vec<String> = found
        .iter()
        .map(|(path, bytes)| {
            let raw = fs::read(path).unwrap();
            assert!(*bytes == raw || raw.starts_with(b"\xff\xfe"));
            path.strip_prefix(directory).unwrap().to_str().unwrap().to_string()
        })
        .collect();
    names.sort();
    (names, summary)
}

fn walk(directory: &TempDir, paths: &[&str]) -> (Vec<String>, Summary) {
    walk_with(directory.path(), paths, &WalkOptions::default())
}

#[test]
fn ignore_files_are_obeyed_as_git_does() {
    let files =
        ["a.txt", "build/x.o", "deep/b.log", "deep/keep.log", "deep/c.txt", "local.txt", "own.txt"];
    let directory = tree(true, &files);
    write(directory.path(), ".gitignore", b"/build/\n*.log\n!keep.log\n");
    write(directory.path(), ".git/info/exclude", b"local.txt\n");
    write(directory.path(), ".ignore", b"own.txt\n");
    let (found, summary) = walk(&directory, &[""]);
    assert_eq!(found, [".gitignore", ".ignore", "a.txt", "deep/c.txt", "deep/keep.log"]);
    assert!(summary.errors.is_empty() && summary.skipped.is_empty());

    let all = WalkOptions { no_ignore: true, ..WalkOptions::default() };
    let (found, _) = walk_with(directory.path(), &[""], &all);
    assert_eq!(found.len(), files.len() + 2, "{found:?}");
    assert!(found.iter().all(|path| !path.starts_with(".git/")));
}

#[test]
fn ignore_files_above_the_argument_count() {
    let directory = tree(true, &["sub/a.txt", "sub/b.log"]);
    write(directory.path(), ".gitignore", b"*.log\n");
    assert_eq!(walk(&directory, &["sub"]).0, ["sub/a.txt"]);
}

/// git's own files are not the project's; in a worktree `.git` is a file.
#[test]
fn the_git_directory_is_left_out_unless_it_is_named() {
    let directory = tree(true, &["a.txt", ".github/ci.yml", "module/.git", "module/b.txt"]);
    let expected = [".github/ci.yml", "a.txt", "module/b.txt"];
    assert_eq!(walk(&directory, &[""]).0, expected);
    assert_eq!(walk(&directory, &[".git"]).0, [".git/config"]);
}

#[test]
fn hidden_files_are_scanned_unless_told_otherwise() {
    let directory = tree(false, &[".env", ".config/a.txt", "b.txt"]);
    assert_eq!(walk(&directory, &[""]).0, [".config/a.txt", ".env", "b.txt"]);
    let seen = WalkOptions { hidden: false, ..WalkOptions::default() };
    assert_eq!(walk_with(directory.path(), &[""], &seen).0, ["b.txt"]);
    assert_eq!(walk_with(directory.path(), &[".env"], &seen).0, [".env"]);
}

#[test]
fn what_is_named_is_scanned_even_if_ignored() {
    let directory = tree(true, &["a.txt", "secret.log", "build/x.txt", "build/y.txt"]);
    write(directory.path(), ".gitignore", b"*.log\nbuild/\n");
    assert_eq!(walk(&directory, &["secret.log"]).0, ["secret.log"]);
    assert_eq!(walk(&directory, &["build/x.txt"]).0, ["build/x.txt"]);
    let (found, _) = walk(&directory, &["", "secret.log", "build/y.txt"]);
    assert_eq!(found, [".gitignore", "a.txt", "build/y.txt", "secret.log"]);
    assert_eq!(walk(&directory, &["build"]).0, ["build/x.txt", "build/y.txt"]);
    let (found, _) = walk(&directory, &["build", ""]);
    assert_eq!(found, [".gitignore", "a.txt", "build/x.txt", "build/y.txt"]);
}

#[test]
fn a_file_named_twice_or_below_two_paths_is_read_once() {
    let directory = tree(false, &["a.txt", "sub/b.txt", "sub/deep/c.txt", "other/b.txt"]);
    let all = ["a.txt", "other/b.txt", "sub/b.txt", "sub/deep/c.txt"];
    for paths in [
        &["", ""][..],
        &["", "sub"],
        &["sub", ""],
        &["", "sub/deep", "sub", "sub/b.txt", "a.txt", "a.txt"],
        &["sub/../a.txt", "", "./sub/./deep", "other/../other"],
    ] {
        let (mut found, summary) = walk(&directory, paths);
        found.iter_mut().for_each(|path| {
            let full = directory.path().join(&*path).canonicalize().unwrap();
            let root = directory.path().canonicalize().unwrap();
            *path = full.strip_prefix(root).unwrap().to_str().unwrap().to_string();
        });
        found.sort();
        assert_eq!(found, all, "{paths:?}");
        assert!(summary.errors.is_empty());
    }
}

#[test]
fn binary_files_are_left_out_and_counted() {
    let directory = tree(false, &["a.txt"]);
    write(directory.path(), "b.bin", b"ab\0cd");
    write(directory.path(), "utf16.txt", b"\xff\xfeh\0i\0");
    write(directory.path(), "latin1.txt", b"caf\xe9 \xff\xfe");
    let (found, summary) = walk(&directory, &[""]);
    assert_eq!(found, ["a.txt", "latin1.txt", "utf16.txt"]);
    assert_eq!((summary.binary, summary.skipped.len()), (1, 0));

    let (found, summary) = walk(&directory, &["b.bin"]);
    assert!(found.is_empty());
    let path = directory.path().join("b.bin");
    assert_eq!(summary.skipped, [Skipped { path, why: Skip::Binary }]);

    let all = WalkOptions { include_binary: true, ..WalkOptions::default() };
    let (found, summary) = walk_with(directory.path(), &[""], &all);
    assert_eq!((found.len(), summary.binary), (4, 0));
}

#[test]
fn files_too_large_are_told_by_name() {
    let directory = tree(false, &[]);
    write(directory.path(), "at.txt", &[b'x'; 1000]);
    write(directory.path(), "over.txt", &[b'x'; 1001]);
    write(directory.path(), "sub/huge.txt", &[b'x'; 300_000]);
    write(directory.path(), "huge.bin", &[0; 300_000]);
    let options = WalkOptions { max_file_bytes: 1000, ..WalkOptions::default() };
    let (found, summary) = walk_with(directory.path(), &[""], &options);
    assert_eq!(found, ["at.txt"]);
    let skipped = |file: &str, bytes| Skipped {
        path: directory.path().join(file),
        why: Skip::TooLarge(bytes),
    };
    assert_eq!(summary.skipped, [skipped("over.txt", 1001), skipped("sub/huge.txt", 300_000)]);
    assert_eq!(summary.binary, 1);
    assert_eq!(summary.skipped[0].why.to_string(), "larger than the limit: 1001 bytes");
}

#[test]
fn what_is_missing_is_told_and_the_rest_is_read() {
    let directory = tree(false, &["a.txt"]);
    let (found, summary) = walk(&directory, &["missing", "a.txt", "a.txt/below"]);
    assert_eq!(found, ["a.txt"]);
    let told: Vec<_> = summary.errors.iter().map(|e| (e.path.clone(), e.reason.as_str())).collect();
    let path = |file: &str| directory.path().join(file);
    assert_eq!(
        told,
        [
            (path("a.txt/below"), "a part of the path is not a directory"),
            (path("missing"), "there is no such file or directory"),
        ]
    );
    assert!(summary.errors[1]
        .to_string()
        .ends_with("missing`: there is no such file or directory"));
    let nothing = visit(
        &[],
        &WalkOptions::default(),
        &AtomicBool::new(false),
        &Progress::default(),
        |_, _, _| unreachable!(),
    );
    assert_eq!(nothing, Summary::default());
}

#[test]
fn many_files_are_each_read_once_by_few_workers() {
    let names: Vec<String> = (0..600).map(|i| format!("d{}/e{}/f{i}.txt", i % 7, i % 3)).collect();
    let directory = tree(false, &names.iter().map(String::as_str).collect::<Vec<_>>());
    for threads in [0, 1, 3, 8] {
        let options = WalkOptions { threads, ..WalkOptions::default() };
        let busy: Vec<AtomicBool> = (0..64).map(|_| AtomicBool::new(false)).collect();
        let workers = Mutex::new(std::collections::HashSet::new());
        let summary = visit(
            &[directory.path().to_path_buf()],
            &options,
            &AtomicBool::new(false),
            &Progress::default(),
            |worker, path, bytes| {
                assert!(!busy[worker].swap(true, Ordering::SeqCst), "two files at once");
                assert!(path.ends_with(std::str::from_utf8(bytes).unwrap()));
                workers.lock().unwrap().insert(worker);
                busy[worker].store(false, Ordering::SeqCst);
            },
        );
        assert_eq!(summary.files, 600);
        let workers = workers.into_inner().unwrap();
        assert!(threads == 0 || workers.iter().all(|&worker| worker < threads), "{workers:?}");
    }
}

#[test]
fn a_walk_that_is_stopped_reads_no_more() {
    let names: Vec<String> = (0..200).map(|i| format!("f{i}.txt")).collect();
    let directory = tree(false, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let options = WalkOptions { threads: 2, ..WalkOptions::default() };
    let stop = AtomicBool::new(false);
    let paths = [directory.path().to_path_buf()];
    let summary = visit(&paths, &options, &stop, &Progress::default(), |_, _, _| {
        stop.store(true, Ordering::SeqCst);
    });
    assert!(summary.stopped);
    assert!((1..=2).contains(&summary.files), "{}", summary.files);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{symlink, PermissionsExt};
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    fn follow() -> WalkOptions {
        WalkOptions { follow_links: true, ..WalkOptions::default() }
    }

    /// A pipe without a writer blocks whoever opens it: this test would not end.
    #[test]
    fn pipes_sockets_and_devices_are_not_opened() {
        let directory = tree(false, &["a.txt"]);
        let pipe = directory.path().join("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success());
        assert!(made, "mkfifo is needed for this test");
        let _socket = UnixListener::bind(directory.path().join("socket")).unwrap();
        symlink("/dev/zero", directory.path().join("zero")).unwrap();

        let (found, summary) = walk(&directory, &[""]);
        assert_eq!((found, summary.not_files), (vec!["a.txt".to_string()], 3));
        assert!(summary.skipped.is_empty() && summary.errors.is_empty());
        let (found, summary) = walk_with(directory.path(), &[""], &follow());
        assert_eq!((found, summary.not_files), (vec!["a.txt".to_string()], 3));

        let (found, summary) = walk(&directory, &["pipe", "socket", "zero"]);
        assert!(found.is_empty() && summary.errors.is_empty());
        assert!(summary.skipped.iter().all(|skipped| skipped.why == Skip::NotAFile));
        assert_eq!(summary.skipped.len(), 3);
    }

    #[test]
    fn links_are_followed_when_named_or_told_to() {
        let directory = tree(false, &["real/a.txt", "real/b.txt", "tree/c.txt"]);
        symlink(directory.path().join("real"), directory.path().join("tree/link")).unwrap();
        symlink(directory.path().join("real/a.txt"), directory.path().join("tree/a")).unwrap();
        let (found, summary) = walk(&directory, &["tree"]);
        assert_eq!((found, summary.not_files), (vec!["tree/c.txt".to_string()], 2));
        assert_eq!(walk(&directory, &["tree/link"]).0, ["tree/link/a.txt", "tree/link/b.txt"]);
        assert_eq!(walk(&directory, &["tree/a"]).0, ["tree/a"]);
        // Once, though there are three ways to it.
        let (found, _) = walk_with(directory.path(), &["", "tree/link", "tree"], &follow());
        assert_eq!(found.len(), 3, "{found:?}");
    }

    /// The link is named, and what it leads to is below the other argument.
    #[test]
    fn a_link_and_its_target_are_read_once() {
        let directory = tree(false, &["real/a.txt", "real/b.txt"]);
        symlink("real/a.txt", directory.path().join("link")).unwrap();
        symlink("real", directory.path().join("links")).unwrap();
        assert_eq!(walk(&directory, &["real", "link"]).0, ["link", "real/b.txt"]);
        let (found, _) = walk(&directory, &["links", "real"]);
        assert_eq!(found, ["links/a.txt", "links/b.txt"]);
        let (found, _) = walk(&directory, &["", "links"]);
        assert_eq!(found, ["links/a.txt", "links/b.txt"]);
    }

    #[test]
    fn broken_links_and_loops_are_told_where_links_count() {
        let directory = tree(false, &["sub/a.txt"]);
        symlink("nowhere", directory.path().join("sub/broken")).unwrap();
        symlink("..", directory.path().join("sub/up")).unwrap();
        symlink("self", directory.path().join("sub/self")).unwrap();
        let (found, summary) = walk(&directory, &[""]);
        assert_eq!((found.len(), summary.not_files, summary.errors.len()), (1, 3, 0));

        let (found, summary) = walk_with(directory.path(), &[""], &follow());
        assert_eq!(found, ["sub/a.txt"]);
        let told: Vec<_> = summary.errors.iter().map(|error| error.path.clone()).collect();
        let path = |file: &str| directory.path().join(file);
        assert_eq!(told, [path("sub/broken"), path("sub/self"), path("sub/up")]);
        assert_eq!(summary.errors[2].reason, "the link leads back to a directory above it");

        let (_, summary) = walk(&directory, &["sub/broken", "sub/self"]);
        assert_eq!(summary.errors.len(), 2);
    }

    #[test]
    fn what_may_not_be_read_is_told_and_the_rest_is_read() {
        let directory = tree(false, &["a.txt", "closed.txt", "closed/b.txt"]);
        let closed = [directory.path().join("closed"), directory.path().join("closed.txt")];
        for path in &closed {
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        }
        if fs::read(&closed[1]).is_ok() {
            skip("root reads everything, so nothing can be closed to this test");
        } else {
            let (found, summary) = walk(&directory, &[""]);
            assert_eq!(found, ["a.txt"]);
            let told: Vec<_> = summary.errors.iter().map(|error| error.path.clone()).collect();
            assert_eq!(told, closed);
            assert!(summary.errors.iter().all(|error| error.reason == "permission denied"));
        }
        for path in &closed {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
    }

    #[allow(clippy::print_stderr, reason = "a skipped test says so")]
    fn skip(why: &str) {
        eprintln!("skipped: {why}");
    }

    #[test]
    fn names_that_are_no_text_are_names() {
        let directory = tree(false, &["a.txt"]);
        let odd = std::ffi::OsStr::from_bytes(b"\xff odd \x80.txt");
        fs::write(directory.path().join(odd), "odd").unwrap();
        let found = Mutex::new(Vec::new());
        visit(
            &[directory.path().to_path_buf()],
            &WalkOptions::default(),
            &AtomicBool::new(false),
            &Progress::default(),
            |_, path, _| found.lock().unwrap().push(path.file_name().unwrap().to_os_string()),
        );
        let mut found = found.into_inner().unwrap();
        found.sort();
        assert_eq!(found, [std::ffi::OsStr::new("a.txt"), odd]);
    }

    /// Files of `/proc` say that they are empty.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_without_a_size_is_read_to_its_end() {
        let (found, summary) = {
            let paths = [PathBuf::from("/proc/self/status")];
            let found = Mutex::new(Vec::new());
            let summary = visit(
                &paths,
                &WalkOptions::default(),
                &AtomicBool::new(false),
                &Progress::default(),
                |_, _, bytes| found.lock().unwrap().extend_from_slice(bytes),
            );
            (found.into_inner().unwrap(), summary)
        };
        assert!(summary.bytes > 0 && summary.bytes as usize == found.len());
        assert!(found.starts_with(b"Name:") && found.ends_with(b"\n"));
    }
}

#[test]
fn what_ignore_files_name_is_counted() {
    let directory =
        tree(true, &[".env", "a.txt", "build/x.o", "build/y.o", "src/b.txt", "src/b.log"]);
    write(directory.path(), ".gitignore", b".env\n/build/\n*.log\n");
    let (names, summary) = walk(&directory, &["."]);
    assert_eq!(names, [".gitignore", "a.txt", "src/b.txt"]);
    // A directory counts as one, and `.git` is no choice of an ignore file.
    assert_eq!(summary.ignored, 3);
    let options = WalkOptions { no_ignore: true, ..WalkOptions::default() };
    let (names, summary) = walk_with(directory.path(), &["."], &options);
    assert_eq!((names.len(), summary.ignored), (7, 0));
    let (_, summary) = walk(&directory, &["src", "a.txt"]);
    assert_eq!(summary.ignored, 1);
}
