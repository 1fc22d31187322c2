//! Reads from a static library `libhs.a` whether it is Intel Hyperscan of a version that is accepted.
//!
//! The name of the file says nothing: Vectorscan installs a `libhs.a` and a `libhs.pc` of the same
//! names with the same description, and up to 5.4.12 it misses matches on x86. What tells them apart
//! is inside: the version string in the member `hs_version.c.o`, and Vectorscan's rewrite of the
//! run-time files from C to C++ (`noodle_engine.cpp.o` where Hyperscan has `noodle_engine.c.o`),
//! which also catches its early releases, numbered 5.4.0 to 5.4.2 like Hyperscan's own.

/// The version numbers of an engine, most significant first.
pub(crate) type Version = (u32, u32, u32);

/// First and one past the last engine version that is accepted. `sift-hs` has the same bounds in
/// its check at run time, `verify`.
pub(crate) const ACCEPTED: (Version, Version) = ((5, 4, 0), (5, 4, 3));

/// What the archive is, when it is usable.
///
/// # Errors
///
/// One sentence, without the path, saying why the archive is refused.
pub(crate) fn inspect(archive: &[u8]) -> Result<Version, String> {
    let members = members(archive)?;
    let vectorscan = members.iter().any(|member| member.name == b"noodle_engine.cpp.o");
    let version = members
        .iter()
        .filter(|member| member.name.starts_with(b"hs_version."))
        .find_map(|member| version_string(member.body))
        .ok_or("it holds no Hyperscan version string")?;
    let (major, minor, patch) = version;
    if vectorscan || ((5, 4, 3)..(5, 5, 0)).contains(&version) {
        return Err(format!(
            "it is Vectorscan {major}.{minor}.{patch}, which misses matches on x86, and Intel \
             Hyperscan 5.4.0 to 5.4.2 is needed (Debian: `apt-get install libhyperscan-dev`)"
        ));
    }
    if version < ACCEPTED.0 || version >= ACCEPTED.1 {
        return Err(format!(
            "it is Hyperscan {major}.{minor}.{patch}, and 5.4.0 to 5.4.2 is needed"
        ));
    }
    Ok(version)
}

struct Member<'a> {
    name: &'a [u8],
    body: &'a [u8],
}

/// The members of a System V `ar` archive.
fn members(archive: &[u8]) -> Result<Vec<Member<'_>>, String> {
    const BROKEN: &str = "it is not a static library, or it is cut short";
    let mut rest = archive.strip_prefix(b"!<arch>\n".as_slice()).ok_or(BROKEN)?;
    let mut long_names: &[u8] = b"";
    let mut found = Vec::new();
    while !rest.is_empty() {
        let header = rest.get(..60).ok_or(BROKEN)?;
        let size = number(&header[48..58]).ok_or(BROKEN)?;
        let body = rest.get(60..60 + size).ok_or(BROKEN)?;
        let field = header[..16].trim_ascii_end();
        let name = match field {
            b"//" => {
                long_names = body;
                field
            }
            // `/123`: the name stands at that offset of the `//` member and ends with `/`.
            [b'/', digits @ ..] if !digits.is_empty() => {
                let start = number(digits).unwrap_or(usize::MAX);
                let name = long_names.get(start..).unwrap_or_default();
                &name[..name.iter().position(|&b| b == b'/').unwrap_or(name.len())]
            }
            _ => field.strip_suffix(b"/").unwrap_or(field),
        };
        found.push(Member { name, body });
        // Members begin at even offsets.
        rest = rest.get(60 + size + size % 2..).unwrap_or_default();
    }
    Ok(found)
}

fn number(field: &[u8]) -> Option<usize> {
    std::str::from_utf8(field).ok()?.trim().parse().ok()
}

/// The first text `major.minor.patch` and a space in an object file: `hs_version()` returns these
/// numbers, a space, and the day of the build (which reproducible builds leave out). A code byte may
/// stand right before it, so all that is asked of that byte is not to be part of a text.
fn version_string(object: &[u8]) -> Option<Version> {
    let begins =
        |at: usize| at.checked_sub(1).is_none_or(|before| !object[before].is_ascii_graphic());
    (0..object.len()).filter(|&at| object[at].is_ascii_digit() && begins(at)).find_map(|at| {
        let text = &object[at..(at + 24).min(object.len())];
        let text = &text[..text.iter().position(|&b| b == b' ')?];
        let mut parts = text.split(|&b| b == b'.').map(|part| {
            let digits = part.len() <= 3 && part.iter().all(u8::is_ascii_digit);
            digits.then(|| number(part)).flatten().and_then(|n| u32::try_from(n).ok())
        });
        let version = (parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(version)
    })
}
