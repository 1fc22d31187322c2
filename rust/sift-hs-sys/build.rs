//! Finds Intel Hyperscan 5.4 and links it statically, or says in one sentence why it is not there.
//!
//! Looked at in this order: the folder in `SIFT_HS_LIB_DIR`; `.engine` at the root of the workspace
//! (an unpacked package or an own build, no root rights needed); `pkg-config`; Debian's usual folder.
//! A missing engine does not fail the build: the crate is then built with `cfg(no_hyperscan)` and
//! `DEP_HS_PRESENT=0`, and what stands above uses its second engine. `SIFT_ENGINE=automata` asks for
//! that, `SIFT_ENGINE=hyperscan` turns a missing engine into an error. A folder that was named in
//! `SIFT_HS_LIB_DIR` and does not fit is an error as well: whoever names one means it.
#![allow(clippy::print_stdout, reason = "standard output is how a build script talks to cargo")]

#[path = "build/archive.rs"]
mod archive;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const INSTALL: &str = "type `apt-get install libhyperscan-dev`, or name the folder of a Hyperscan \
                       5.4 libhs.a in SIFT_HS_LIB_DIR";

struct Engine {
    folder: PathBuf,
    version: archive::Version,
    cxx_runtime: PathBuf,
}

enum Failure {
    /// The automata engine was asked for.
    Declined,
    /// There is no usable engine; nobody insisted on one place.
    Absent(String),
    /// What was asked for by name cannot be had.
    Refused(String),
}

fn main() {
    println!("cargo::rustc-check-cfg=cfg(no_hyperscan)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/archive.rs");
    for name in ["SIFT_HS_LIB_DIR", "SIFT_ENGINE", "CXX", "PKG_CONFIG_PATH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    match choose() {
        Ok(engine) => link(&engine),
        Err(Failure::Declined) => absent(),
        Err(Failure::Absent(why)) => {
            println!("cargo::warning={why}; building without it, on the slower automata engine");
            absent();
        }
        Err(Failure::Refused(why)) => println!("cargo::error={why}"),
    }
}

fn absent() {
    println!("cargo::rustc-cfg=no_hyperscan");
    println!("cargo::metadata=present=0");
}

fn link(engine: &Engine) {
    let (major, minor, patch) = engine.version;
    println!("cargo::rerun-if-changed={}", engine.folder.join("libhs.a").display());
    println!("cargo::metadata=present=1");
    println!("cargo::metadata=version={major}.{minor}.{patch}");
    // `-bundle`: the archive is handed to the final link instead of being copied into the rlib, so
    // that the order hs, stdc++, m holds there.
    println!("cargo::rustc-link-search=native={}", engine.folder.display());
    println!("cargo::rustc-link-lib=static:-bundle=hs");
    println!("cargo::rustc-link-search=native={}", engine.cxx_runtime.display());
    println!("cargo::rustc-link-lib=static:-bundle=stdc++");
    println!("cargo::rustc-link-lib=dylib=m");
}

fn choose() -> Result<Engine, Failure> {
    let asked = env::var("SIFT_ENGINE").unwrap_or_default();
    match asked.as_str() {
        "automata" => return Err(Failure::Declined),
        "" | "auto" | "hyperscan" => {}
        other => {
            return Err(Failure::Refused(format!(
                "SIFT_ENGINE is `{other}`, and it may be `auto`, `hyperscan` or `automata`"
            )))
        }
    }
    find().map_err(|failure| match failure {
        Failure::Absent(why) if asked == "hyperscan" => {
            Failure::Refused(format!("SIFT_ENGINE asks for Hyperscan, but {why}"))
        }
        other => other,
    })
}

fn find() -> Result<Engine, Failure> {
    let target = |part: &str| env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    if target("ARCH") != "x86_64" || target("OS") != "linux" {
        return Err(Failure::Absent(format!(
            "Hyperscan is used on x86-64 Linux only, and this is {} {}",
            target("ARCH"),
            target("OS")
        )));
    }
    if let Some(folder) = env::var_os("SIFT_HS_LIB_DIR").filter(|folder| !folder.is_empty()) {
        let folder = PathBuf::from(folder);
        return match inspect(&folder) {
            Some(Ok(version)) => complete(folder, version),
            Some(Err(why)) => Err(Failure::Refused(why)),
            None => Err(Failure::Refused(format!(
                "SIFT_HS_LIB_DIR names {}, where there is no libhs.a",
                folder.display()
            ))),
        };
    }
    let mut refused = None;
    let mut missing = Vec::new();
    for folder in usual_folders() {
        match inspect(&folder) {
            Some(Ok(version)) => return complete(folder, version),
            Some(Err(why)) => refused = refused.or(Some(why)),
            None => missing.push(folder),
        }
    }
    // A path that is not there makes cargo run this again at every build: wanted as long as there is
    // no engine, since it may be installed meanwhile.
    for folder in missing {
        println!("cargo::rerun-if-changed={}", folder.join("libhs.a").display());
    }
    Err(Failure::Absent(match refused {
        Some(why) => format!("no usable Hyperscan: {why}"),
        None => format!("Hyperscan is not installed: {INSTALL}"),
    }))
}

/// Adds the C++ run-time that the engine's compiler half needs.
fn complete(folder: PathBuf, version: archive::Version) -> Result<Engine, Failure> {
    let named = env::var("CXX").unwrap_or_default();
    let runtime = [named.as_str(), "g++", "c++", "clang++"].into_iter().find_map(|compiler| {
        let mut words = compiler.split_whitespace();
        let output = Command::new(words.next()?)
            .args(words)
            .arg("-print-file-name=libstdc++.a")
            .output()
            .ok()?;
        let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        // A compiler that has no such file answers with the bare name.
        (path.is_absolute() && path.is_file()).then(|| path.parent().map(Path::to_path_buf))?
    });
    match runtime {
        Some(cxx_runtime) => Ok(Engine { folder, version, cxx_runtime }),
        None => Err(Failure::Absent(
            "Hyperscan is there but the static C++ run-time libstdc++.a is not: type `apt-get \
             install g++`"
                .to_owned(),
        )),
    }
}

/// The folders that may hold the engine when nobody named one.
fn usual_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(manifest) = env::var_os("CARGO_MANIFEST_DIR") {
        if let Some(root) = Path::new(&manifest).ancestors().nth(2) {
            let engine = root.join(".engine");
            folders.push(engine.join("usr/lib/x86_64-linux-gnu"));
            folders.push(engine.join("lib"));
            folders.push(engine.join("lib64"));
        }
    }
    let answer = Command::new("pkg-config").args(["--variable=libdir", "libhs"]).output();
    if let Some(libdir) = answer.ok().and_then(|output| String::from_utf8(output.stdout).ok()) {
        if !libdir.trim().is_empty() {
            folders.push(PathBuf::from(libdir.trim()));
        }
    }
    folders.push(PathBuf::from("/usr/lib/x86_64-linux-gnu"));
    folders.dedup();
    folders
}

/// `None`: no `libhs.a` in this folder.
fn inspect(folder: &Path) -> Option<Result<archive::Version, String>> {
    let path = folder.join("libhs.a");
    if !path.is_file() {
        return None;
    }
    Some(match std::fs::read(&path) {
        Ok(bytes) => {
            archive::inspect(&bytes).map_err(|why| format!("{} is not used: {why}", path.display()))
        }
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    })
}
