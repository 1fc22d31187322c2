//! Hands the target and the profile of this build to `build_info`.
#![allow(clippy::print_stdout, reason = "standard output is how a build script talks to cargo")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for name in ["TARGET", "PROFILE"] {
        let value = std::env::var(name).unwrap_or_default();
        println!("cargo::rustc-env=SIFT_{name}={value}");
    }
}
