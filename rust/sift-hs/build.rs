//! Passes on from `sift-hs-sys` whether there is an engine to wrap.
#![allow(clippy::print_stdout, reason = "standard output is how a build script talks to cargo")]

fn main() {
    println!("cargo::rustc-check-cfg=cfg(no_hyperscan)");
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("DEP_HS_PRESENT").as_deref() != Ok("1") {
        println!("cargo::rustc-cfg=no_hyperscan");
    }
}
