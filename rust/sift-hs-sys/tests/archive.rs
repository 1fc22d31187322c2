//! The refusal of foreign engines, on archives made here byte by byte.

#[path = "../build/archive.rs"]
mod archive;

use archive::inspect;

/// An `ar` archive with these members.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, body) in members {
        let head = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 644, body.len());
        assert_eq!(head.len(), 60);
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(body);
        if body.len() % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    bytes
}

fn with_version(text: &str) -> Vec<u8> {
    let body = [b"\x7fELF code \xc3", text.as_bytes(), b"\x00 more"].concat();
    archive(&[("noodle.c.o/", b"odd"), ("hs_version.c.o/", &body)])
}

#[test]
fn versions_in_and_out_of_bounds() {
    assert_eq!(inspect(&with_version("5.4.0 2021-01-26")), Ok((5, 4, 0)));
    assert_eq!(inspect(&with_version("5.4.2 2023-04-19")), Ok((5, 4, 2)));
    // Vectorscan as Debian packages it: no date.
    for foreign in ["5.4.3 ", "5.4.9 ", "5.4.12 2025-01-01"] {
        let why = inspect(&with_version(foreign)).unwrap_err();
        assert!(why.contains("Vectorscan"), "{why}");
    }
    for other in ["5.2.1", "6.0.0"] {
        let why = inspect(&with_version(&format!("{other} 2019-10-01"))).unwrap_err();
        assert!(why.contains("5.4.0 to 5.4.2 is needed"), "{why}");
    }
}

#[test]
fn early_vectorscan_is_known_by_its_files() {
    let version: &[u8] = b"\x005.4.1 2021-07-01\x00";
    // 19 characters do not fit the name field: they stand in the table of long names.
    let bytes = archive(&[
        ("//", b"first.o/\nnoodle_engine.cpp.o/\n"),
        ("/9", b"body"),
        ("hs_version.c.o/", version),
    ]);
    let why = inspect(&bytes).unwrap_err();
    assert!(why.contains("Vectorscan 5.4.1"), "{why}");
}

#[test]
fn what_is_no_engine() {
    assert!(inspect(b"").is_err());
    assert!(inspect(b"plain text").is_err());
    let why = inspect(&archive(&[("other.o/", b"\x005.4.0 2021-01-26\x00")])).unwrap_err();
    assert!(why.contains("no Hyperscan version"), "{why}");
    let whole = with_version("5.4.0 2021-01-26");
    for cut in 0..whole.len() - 1 {
        // Never a panic; a cut in the padding at the very end may still be read.
        let _ = inspect(&whole[..cut]);
    }
    assert!(inspect(&whole[..whole.len() - 8]).is_err());
}

#[test]
fn a_version_is_three_numbers_and_a_space() {
    for text in ["5.4", "5.4.0.1 x", "a5.4.0 x", "5.4.x x", "5..0 x", "5.4.0"] {
        assert!(inspect(&with_version(text)).is_err(), "`{text}` was taken for a version");
    }
}
